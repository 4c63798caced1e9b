// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/api/query_api.h"

#include <algorithm>
#include <set>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "observe/metrics/api/parameters.h"
#include "observe/metrics/api/response.h"
#include "observe/metrics/api/result_json.h"
#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

using promql::QueryResult;
using promql::ValueType;

// What is answered: `data` is JSON and stands behind the head of the body already, as it may be long.
struct Answer {
  std::string body = "{\"status\":\"success\",\"data\":";
  std::vector<std::string> warnings, infos;
};

Answer answer_with(std::string_view data) {
  Answer answer;
  answer.body += data;
  return answer;
}

void append_list(std::string& out, const std::vector<std::string>& texts) {
  out += '[';
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) out += ',';
    json::append_string(out, texts[i]);
  }
  out += ']';
}

constexpr std::string_view kTruncated = "results truncated due to limit";

// What is wrong with a query that can be read shows while it is evaluated: another kind of error.
Error of_evaluation(Error error) {
  if (error.code == ErrorCode::bad_request) error.code = ErrorCode::invalid;
  return error;
}

// The first `limit` series, said by a warning.
void truncate(QueryResult& result, std::size_t limit) {
  if ((result.type != ValueType::matrix && result.type != ValueType::vector) || result.matrix.size() <= limit) return;
  result.matrix.resize(limit);
  result.warnings.emplace_back(kTruncated);
}

void append_counts(std::string& out, std::string_view key, const std::vector<Cardinality::Count>& counts) {
  ((out += ",\"") += key) += "\":[";
  for (std::size_t i = 0; i < counts.size(); ++i) {
    out += i > 0 ? ",{\"name\":" : "{\"name\":";
    json::append_string(out, counts[i].name);
    (out += ",\"value\":") += std::to_string(counts[i].value) + "}";
  }
  out += ']';
}

class QueryApi {
 public:
  QueryApi(const Tsdb& storage, const ApiOptions& options, std::int64_t now, const http::Query& parameters)
      : storage_(storage), options_(options), now_(now), parameters_(parameters) {}

  Result<Answer> answer(std::string_view path) {
    constexpr std::string_view kPrefix = "/api/v1/";
    if (!path.starts_with(kPrefix)) return Error{ErrorCode::not_found, "no such path: " + std::string(path)};
    path.remove_prefix(kPrefix.size());
    if (path == "query") return query();
    if (path == "query_range") return query_range();
    if (path == "series") return series();
    if (path == "labels") return names();
    if (path.starts_with("label/") && path.ends_with("/values")) return values(path.substr(6, path.size() - 13));
    if (path == "format_query") return format();
    if (path == "status/buildinfo")
      return answer_with(
          "{\"version\":\"3.16.0\",\"revision\":\"\",\"branch\":\"\",\"buildUser\":\"caisson\",\"buildDate\":\"\","
          "\"goVersion\":\"\"}");
    if (path == "status/tsdb") return tsdb_status();
    return Error{ErrorCode::not_found, "no such path: /api/v1/" + std::string(path)};
  }

 private:
  Result<promql::EngineOptions> engine_options() const {
    promql::EngineOptions options = options_.engine;
    const auto timeout = parameters_.duration("timeout");
    if (!timeout.ok()) return bad_parameter("timeout", timeout.error().message);
    if (*timeout) options.timeout = std::min(options.timeout, std::chrono::milliseconds(**timeout));
    const auto lookback = TRY(parameters_.duration("lookback_delta").in("error parsing lookback delta duration"));
    if (lookback && *lookback > 0) options.lookback_ms = *lookback;
    return options;
  }

  // Only a query that can be read; its type.
  Result<ValueType> type_of_query() const {
    const auto expr = promql::parse(parameters_.get("query"));
    if (!expr.ok()) return bad_parameter("query", expr.error().message);
    return promql::type_of(**expr);
  }

  Result<Answer> answer_of(Result<QueryResult> result, std::size_t limit, std::int64_t t) const {
    if (!result.ok()) return of_evaluation(result.error());
    QueryResult found = std::move(result).value();
    truncate(found, limit);
    Answer answer;
    append_json(answer.body, found, t);
    answer.warnings = std::move(found.warnings);
    answer.infos = std::move(found.infos);
    return answer;
  }

  Result<Answer> query() const {
    const std::size_t limit = TRY(parameters_.limit());
    const std::int64_t t = TRY(parameters_.time("time", now_));
    const promql::EngineOptions options = TRY(engine_options());
    TRY(type_of_query());
    return answer_of(promql::query_instant(storage_, options, parameters_.get("query"), t), limit, t);
  }

  Result<Answer> query_range() const {
    const std::size_t limit = TRY(parameters_.limit());
    const std::int64_t start = TRY(parameters_.time("start")), end = TRY(parameters_.time("end"));
    if (end < start) return bad_parameter("end", "end timestamp must not be before start time");
    const auto step = parse_api_duration(parameters_.get("step"));
    if (!step.ok()) return bad_parameter("step", step.error().message);
    if (*step <= 0)
      return bad_parameter("step",
                           "zero or negative query resolution step widths are not accepted. Try a positive integer");
    const std::uint64_t range = static_cast<std::uint64_t>(end) - static_cast<std::uint64_t>(start);
    if (range / static_cast<std::uint64_t>(*step) > options_.points_max)
      return Error{ErrorCode::bad_request,
                   "exceeded maximum resolution of " + with_commas(options_.points_max) +
                       " points per timeseries. Try decreasing the query resolution (?step=XX)"};
    const promql::EngineOptions options = TRY(engine_options());
    const ValueType type = TRY(type_of_query());
    if (type != ValueType::vector && type != ValueType::scalar)
      return bad_parameter("query", "invalid expression type " + quote(promql::documented_type(type)) +
                                        " for range query, must be Scalar or instant Vector");
    return answer_of(promql::query_range(storage_, options, parameters_.get("query"), start, end, *step), limit, end);
  }

  static std::string with_commas(std::size_t number) {
    std::string text = std::to_string(number);
    for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
    return text;
  }

  Result<Answer> series() const {
    if (http::query_get(parameters_.all(), "match[]").empty())
      return Error{ErrorCode::bad_request, "no match[] parameter provided"};
    const std::size_t limit = TRY(parameters_.limit());
    const std::int64_t start = TRY(parameters_.time("start", INT64_MIN)), end = TRY(parameters_.time("end", INT64_MAX));
    const auto list = parameters_.selectors();
    if (!list.ok()) return bad_parameter("match[]", list.error().message);
    std::vector<Labels> found;
    for (const auto& matchers : *list)
      for (const auto& one : TRY(storage_.select(matchers, start, end))) found.push_back(one->labels());
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    Answer answer;
    if (found.size() > limit) {
      found.resize(limit);
      answer.warnings.emplace_back(kTruncated);
    }
    answer.body += '[';
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (i > 0) answer.body += ',';
      append_json(answer.body, found[i]);
    }
    answer.body += ']';
    return answer;
  }

  using Texts = std::set<std::string, std::less<>>;

  static void add(Texts& into, std::string_view text) {
    if (!into.contains(text)) into.emplace(text);
  }

  // Texts of the series that are asked for: `of_index` has them for a whole index or some matchers, `of_series` for
  // one.
  template <class OfIndex, class OfSeries>
  Result<Answer> texts(OfIndex of_index, OfSeries of_series) const {
    const std::size_t limit = TRY(parameters_.limit());
    const std::int64_t start = TRY(parameters_.time("start", INT64_MIN)), end = TRY(parameters_.time("end", INT64_MAX));
    auto selected = TRY(parameters_.selectors());
    if (selected.empty()) selected.emplace_back();
    Texts found;
    for (const std::vector<Matcher>& matchers : selected) {
      if (start == INT64_MIN && end == INT64_MAX) {
        for (std::string& text : of_index(matchers)) found.insert(std::move(text));
        continue;
      }
      for (const auto& one : TRY(storage_.select(matchers, start, end))) of_series(one->labels(), found);
    }
    std::vector<std::string> all(found.begin(), found.end());
    Answer answer;
    if (all.size() > limit) {
      all.resize(limit);
      answer.warnings.emplace_back(kTruncated);
    }
    append_list(answer.body, all);
    return answer;
  }

  Result<Answer> names() const {
    return texts([&](std::span<const Matcher> matchers) { return storage_.label_names(matchers); },
                 [](const Labels& labels, Texts& into) {
                   for (const LabelView label : labels.items()) add(into, label.name);
                 });
  }

  Result<Answer> values(std::string_view encoded) const {
    const std::string name = unescaped_label_name(TRY(percent_decode(encoded)));
    if (name.empty() || !is_valid_utf8(name))
      return Error{ErrorCode::bad_request, "invalid label name: " + quote(name)};
    return texts([&](std::span<const Matcher> matchers) { return storage_.label_values(name, matchers); },
                 [&](const Labels& labels, Texts& into) {
                   if (const std::string_view value = labels.get(name); !value.empty()) add(into, value);
                 });
  }

  Result<Answer> format() const {
    auto expr = promql::parse(parameters_.get("query"));
    if (!expr.ok()) return bad_parameter("query", expr.error().message);
    Answer answer;
    json::append_string(answer.body, promql::pretty(**expr));
    return answer;
  }

  Result<Answer> tsdb_status() const {
    constexpr std::int64_t kLimit = 10, kLimitMax = 10'000;
    std::int64_t limit = kLimit;
    if (const std::string_view text = parameters_.get("limit"); !text.empty()) {
      const auto number = parse_int(text);
      if (!number || *number < 1) return Error{ErrorCode::bad_request, "limit must be a positive number"};
      if (*number > kLimitMax)
        return Error{ErrorCode::bad_request, "limit must not exceed " + std::to_string(kLimitMax)};
      limit = *number;
    }
    const TsdbStats stats = storage_.stats();
    const Cardinality counts = storage_.cardinality(static_cast<std::size_t>(limit));
    Answer answer = answer_with(
        "{\"headStats\":{\"numSeries\":" + std::to_string(stats.series) +
        ",\"numLabelPairs\":" + std::to_string(counts.pairs) + ",\"chunkCount\":" + std::to_string(stats.chunks) +
        ",\"minTime\":" + std::to_string(stats.oldest) + ",\"maxTime\":" + std::to_string(stats.newest) + "}");
    append_counts(answer.body, "seriesCountByMetricName", counts.series_by_metric);
    append_counts(answer.body, "labelValueCountByLabelName", counts.values_by_label);
    append_counts(answer.body, "memoryInBytesByLabelName", counts.bytes_by_label);
    append_counts(answer.body, "seriesCountByLabelValuePair", counts.series_by_pair);
    answer.body += '}';
    return answer;
  }

  const Tsdb& storage_;
  const ApiOptions& options_;
  const std::int64_t now_;
  const Parameters parameters_;
};

http::Response response_of(Result<Answer> result) {
  http::Response response;
  response.headers.set("Content-Type", "application/json");
  if (result.ok()) {
    Answer answer = std::move(result).value();
    response.body = std::move(answer.body);
    for (const auto& [key, texts] :
         {std::pair(",\"warnings\":", &answer.warnings), std::pair(",\"infos\":", &answer.infos)}) {
      if (texts->empty()) continue;
      response.body += key;
      append_list(response.body, *texts);
    }
    response.body += '}';
    return response;
  }
  return error_response(result.error());
}

}  // namespace

http::Response answer_query_api(const Tsdb& storage, const ApiOptions& options, std::int64_t now_ms,
                                std::string_view path, const http::Query& parameters) {
  return response_of(QueryApi(storage, options, now_ms, parameters).answer(path));
}

}  // namespace caisson::metrics
