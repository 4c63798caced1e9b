// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/api/query_api.h"

#include <algorithm>
#include <cmath>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "observe/metrics/api/result_json.h"
#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

using promql::QueryResult;

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

Answer answer_of(QueryResult result, std::int64_t t) {
  Answer answer;
  append_json(answer.body, result, t);
  answer.warnings = std::move(result.warnings);
  answer.infos = std::move(result.infos);
  return answer;
}

Error bad_parameter(std::string_view name, const std::string& why) {
  return {ErrorCode::bad_request, "invalid parameter " + quote(name) + ": " + why};
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
  std::string_view get(std::string_view name) const { return http::query_get(parameters_, name); }

  Result<std::int64_t> time(std::string_view name, std::int64_t otherwise) const {
    const std::string_view text = get(name);
    if (text.empty()) return otherwise;
    auto t = parse_api_time(text);
    if (!t.ok()) return bad_parameter(name, t.error().message);
    return t;
  }

  Result<promql::EngineOptions> engine_options() const {
    promql::EngineOptions options = options_.engine;
    if (const std::string_view text = get("timeout"); !text.empty()) {
      const auto ms = parse_duration(text);
      if (!ms.ok()) return bad_parameter("timeout", ms.error().message);
      options.timeout = std::min(options.timeout, std::chrono::milliseconds(*ms));
    }
    return options;
  }

  Result<Answer> query() const {
    const std::int64_t t = TRY(time("time", now_));
    return answer_of(TRY(promql::query_instant(storage_, TRY(engine_options()), get("query"), t)), t);
  }

  Result<Answer> query_range() const {
    const std::int64_t start = TRY(time("start", INT64_MIN)), end = TRY(time("end", INT64_MIN));
    if (start == INT64_MIN) return bad_parameter("start", "cannot parse \"\" to a valid timestamp");
    if (end == INT64_MIN) return bad_parameter("end", "cannot parse \"\" to a valid timestamp");
    if (end < start) return bad_parameter("end", "end timestamp must not be before start time");
    const std::string_view text = get("step");
    std::int64_t step = 0;
    if (const auto seconds = parse_float(text); seconds && std::isfinite(*seconds) && std::fabs(*seconds) < 9e12) {
      step = static_cast<std::int64_t>(*seconds * 1000);
    } else {
      const auto ms = parse_duration(text);
      if (!ms.ok()) return bad_parameter("step", "cannot parse " + quote(text) + " to a valid duration");
      step = *ms;
    }
    if (step <= 0)
      return bad_parameter("step",
                           "zero or negative query resolution step widths are not accepted. Try a positive integer");
    if (static_cast<std::uint64_t>(end - start) / static_cast<std::uint64_t>(step) > options_.points_max)
      return Error{ErrorCode::bad_request,
                   "exceeded maximum resolution of " + std::to_string(options_.points_max) +
                       " points per timeseries. Try decreasing the query resolution (?step=XX)"};
    return answer_of(TRY(promql::query_range(storage_, TRY(engine_options()), get("query"), start, end, step)), end);
  }

  Result<std::vector<std::vector<Matcher>>> selectors() const {
    std::vector<std::vector<Matcher>> list;
    for (const auto& [name, value] : parameters_) {
      if (name != "match[]") continue;
      auto matchers = promql::parse_selector(value);
      if (!matchers.ok()) return bad_parameter("match[]", matchers.error().message);
      list.push_back(std::move(matchers).value());
    }
    return list;
  }

  std::size_t limit() const {
    const auto number = parse_int(get("limit"));
    return number && *number > 0 ? static_cast<std::size_t>(*number) : SIZE_MAX;
  }

  Result<Answer> series() const {
    const auto list = TRY(selectors());
    if (list.empty()) return Error{ErrorCode::bad_request, "no match[] parameter provided"};
    const std::int64_t start = TRY(time("start", INT64_MIN)), end = TRY(time("end", INT64_MAX));
    std::vector<Labels> found;
    for (const auto& matchers : list)
      for (const auto& one : TRY(storage_.select(matchers, start, end))) found.push_back(one->labels());
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    Answer answer;
    if (found.size() > limit()) {
      found.resize(limit());
      answer.warnings.push_back("results truncated due to limit");
    }
    answer.body += '[';
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (i > 0) answer.body += ',';
      append_json(answer.body, found[i]);
    }
    answer.body += ']';
    return answer;
  }

  template <class List>
  Result<Answer> texts(List list_of) const {
    const auto selected = TRY(selectors());
    std::vector<std::string> all = selected.empty() ? list_of(std::span<const Matcher>()) : std::vector<std::string>();
    for (const auto& matchers : selected) {
      const std::vector<std::string> some = list_of(std::span<const Matcher>(matchers));
      all.insert(all.end(), some.begin(), some.end());
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    Answer answer;
    if (all.size() > limit()) {
      all.resize(limit());
      answer.warnings.push_back("results truncated due to limit");
    }
    append_list(answer.body, all);
    return answer;
  }

  Result<Answer> names() const {
    return texts([&](std::span<const Matcher> matchers) { return storage_.label_names(matchers); });
  }

  Result<Answer> values(std::string_view encoded) const {
    const std::string name = TRY(percent_decode(encoded));
    if (name.empty()) return bad_parameter("name", "invalid label name: \"\"");
    return texts([&](std::span<const Matcher> matchers) { return storage_.label_values(name, matchers); });
  }

  Result<Answer> format() const {
    auto expr = promql::parse(get("query"));
    if (!expr.ok()) return bad_parameter("query", expr.error().message);
    Answer answer;
    json::append_string(answer.body, promql::pretty(**expr));
    return answer;
  }

  Result<Answer> tsdb_status() const {
    const TsdbStats stats = storage_.stats();
    return answer_with(
        "{\"seriesCountByMetricName\":[],\"labelValueCountByLabelName\":[],\"memoryInBytesByLabelName\":[],"
        "\"seriesCountByLabelValuePair\":[],\"headStats\":{\"numSeries\":" +
        std::to_string(stats.series) + ",\"minTime\":" + std::to_string(stats.oldest) +
        ",\"maxTime\":" + std::to_string(stats.newest) + "}}");
  }

  const Tsdb& storage_;
  const ApiOptions& options_;
  const std::int64_t now_;
  const http::Query& parameters_;
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
  const Error& error = result.error();
  struct Kind {
    int status;
    std::string_view type;
  };
  const Kind kind = error.code == ErrorCode::not_found   ? Kind{404, "not_found"}
                    : error.code == ErrorCode::timeout   ? Kind{503, "timeout"}
                    : error.code == ErrorCode::too_large ? Kind{422, "execution"}
                    : error.code == ErrorCode::internal  ? Kind{500, "internal"}
                                                         : Kind{400, "bad_data"};
  response.status = kind.status;
  response.body = "{\"status\":\"error\",\"errorType\":\"" + std::string(kind.type) + "\",\"error\":";
  json::append_string(response.body, error.message);
  response.body += '}';
  return response;
}

}  // namespace

Result<std::int64_t> parse_api_time(std::string_view text) {
  const auto seconds = parse_float(text);
  if (seconds && std::isfinite(*seconds) && std::fabs(*seconds) < 9e15)
    return static_cast<std::int64_t>(std::llround(*seconds * 1000));
  const auto time = parse_time(text);
  if (!time) return Error{ErrorCode::bad_request, "cannot parse " + quote(text) + " to a valid timestamp"};
  return std::chrono::duration_cast<std::chrono::milliseconds>(time->time_since_epoch()).count();
}

http::Response answer_query_api(const Tsdb& storage, const ApiOptions& options, std::int64_t now_ms,
                                std::string_view path, const http::Query& parameters) {
  return response_of(QueryApi(storage, options, now_ms, parameters).answer(path));
}

}  // namespace caisson::metrics
