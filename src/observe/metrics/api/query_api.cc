// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/api/query_api.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

using promql::QueryResult;
using promql::Series;
using promql::ValueType;

struct Answer {
  std::string data;  // JSON
  std::vector<std::string> warnings, infos;
};

void append_text(std::string& out, std::string_view text) {
  json::append_string(out, text);
}

std::string text_list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    append_text(out, text);
  }
  return out + "]";
}

void append_labels(std::string& out, const Labels& labels) {
  out += '{';
  bool first = true;
  for (const LabelView label : labels.items()) {
    if (!first) out += ',';
    first = false;
    append_text(out, label.name);
    out += ':';
    append_text(out, label.value);
  }
  out += '}';
}

// A point is written into a buffer and appended at once: answers have tens of thousands of them.
constexpr std::size_t kNumberMax = 48;  // characters of a time or a value

char* put_whole(char* at, std::int64_t number) {
  return std::to_chars(at, at + kNumberMax, number).ptr;
}

char* put_time(char* at, std::int64_t ms) {
  at = put_whole(at, ms / 1000);
  const auto part = static_cast<int>(std::abs(ms % 1000));
  if (part == 0) return at;
  *at++ = '.';
  *at++ = static_cast<char>('0' + part / 100);
  if (part % 100 != 0) *at++ = static_cast<char>('0' + part / 10 % 10);
  if (part % 10 != 0) *at++ = static_cast<char>('0' + part % 10);
  return at;
}

char* put_value(char* at, double v) {
  constexpr double kWholeMax = 9007199254740992.0;  // 2^53; counts and bytes are below it
  *at++ = '"';
  if (v > -kWholeMax && v < kWholeMax && v == std::trunc(v) && (v != 0 || !std::signbit(v))) {
    at = put_whole(at, static_cast<std::int64_t>(v));
  } else {
    const std::string text = format_sample(v);
    at = std::copy(text.begin(), text.end(), at);
  }
  *at++ = '"';
  return at;
}

void append_time(std::string& out, std::int64_t ms) {
  char buffer[kNumberMax];
  out.append(buffer, put_time(buffer, ms));
}

void append_value(std::string& out, double v) {
  char buffer[kNumberMax];
  out.append(buffer, put_value(buffer, v));
}

void append_point(std::string& out, const FloatPoint& p) {
  char buffer[2 * kNumberMax + 4];
  char* at = buffer;
  *at++ = '[';
  at = put_time(at, p.t);
  *at++ = ',';
  at = put_value(at, p.v);
  *at++ = ']';
  out.append(buffer, at);
}

// A bucket is [rule, lower, upper, count]; the rule says which bounds belong to it: 0 the upper, 1 the lower, 3 both.
void append_point(std::string& out, const HistogramPoint& p) {
  out += '[';
  append_time(out, p.t);
  out += ",{\"count\":";
  append_value(out, p.h->count);
  out += ",\"sum\":";
  append_value(out, p.h->sum);
  bool any = false;
  for (const BucketRange& b : buckets_ascending(*p.h)) {
    if (b.count == 0) continue;
    out += any ? "," : ",\"buckets\":[";
    any = true;
    const int rule = b.lower < 0 && b.upper > 0 ? 3 : b.upper <= 0 && !p.h->has_custom_bounds() ? 1 : 0;
    out += '[' + std::to_string(rule) + ',';
    append_value(out, b.lower);
    out += ',';
    append_value(out, b.upper);
    out += ',';
    append_value(out, b.count);
    out += ']';
  }
  if (any) out += ']';
  out += "}]";
}

template <class Point>
void append_points(std::string& out, std::string_view key, const std::vector<Point>& points) {
  if (points.empty()) return;
  (out += ",\"") += key;
  out += "\":[";
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (i > 0) out += ',';
    append_point(out, points[i]);
  }
  out += ']';
}

void append_series(std::string& out, const Series& series, bool instant) {
  out += "{\"metric\":";
  append_labels(out, series.labels);
  if (!instant) {
    append_points(out, "values", series.floats);
    append_points(out, "histograms", series.histograms);
  } else if (!series.floats.empty()) {
    out += ",\"value\":";
    append_point(out, series.floats[0]);
  } else if (!series.histograms.empty()) {
    out += ",\"histogram\":";
    append_point(out, series.histograms[0]);
  }
  out += '}';
}

Answer answer_of(QueryResult result, std::int64_t t) {
  std::string out = "{\"resultType\":\"" + std::string(promql::api_type(result.type)) + "\",\"result\":";
  if (result.type == ValueType::string) {
    out += '[';
    append_time(out, t);
    out += ',';
    append_text(out, result.text);
    out += ']';
  } else if (result.type == ValueType::scalar) {
    append_point(out, result.matrix[0].floats[0]);
  } else {
    constexpr std::size_t kPointBytes = 32, kSeriesBytes = 256;  // about; growing a long text costs more than room
    std::size_t points = 0;
    for (const Series& series : result.matrix) points += series.floats.size();
    out.reserve(points * kPointBytes + result.matrix.size() * kSeriesBytes);
    out += '[';
    for (std::size_t i = 0; i < result.matrix.size(); ++i) {
      if (i > 0) out += ',';
      append_series(out, result.matrix[i], result.type == ValueType::vector);
    }
    out += ']';
  }
  out += '}';
  return {std::move(out), std::move(result.warnings), std::move(result.infos)};
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
      return Answer{
          "{\"version\":\"3.16.0\",\"revision\":\"\",\"branch\":\"\",\"buildUser\":\"caisson\",\"buildDate\":\"\","
          "\"goVersion\":\"\"}",
          {},
          {}};
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
    Answer answer{"[", {}, {}};
    if (found.size() > limit()) {
      found.resize(limit());
      answer.warnings.push_back("results truncated due to limit");
    }
    for (const Labels& labels : found) {
      if (answer.data.size() > 1) answer.data += ',';
      append_labels(answer.data, labels);
    }
    answer.data += ']';
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
    answer.data = text_list(all);
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
    append_text(answer.data, promql::pretty(**expr));
    return answer;
  }

  Result<Answer> tsdb_status() const {
    const TsdbStats stats = storage_.stats();
    return Answer{
        "{\"seriesCountByMetricName\":[],\"labelValueCountByLabelName\":[],\"memoryInBytesByLabelName\":[],"
        "\"seriesCountByLabelValuePair\":[],\"headStats\":{\"numSeries\":" +
            std::to_string(stats.series) + ",\"minTime\":" + std::to_string(stats.oldest) +
            ",\"maxTime\":" + std::to_string(stats.newest) + "}}",
        {},
        {}};
  }

  const Tsdb& storage_;
  const ApiOptions& options_;
  const std::int64_t now_;
  const http::Query& parameters_;
};

http::Response response_of(const Result<Answer>& answer) {
  http::Response response;
  response.headers.set("Content-Type", "application/json");
  if (answer.ok()) {
    response.body = std::move(answer->data);
    response.body.insert(0, "{\"status\":\"success\",\"data\":");
    if (!answer->warnings.empty()) response.body += ",\"warnings\":" + text_list(answer->warnings);
    if (!answer->infos.empty()) response.body += ",\"infos\":" + text_list(answer->infos);
    response.body += '}';
    return response;
  }
  const Error& error = answer.error();
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
  append_text(response.body, error.message);
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
