// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/api/query_api.h"

#include <algorithm>
#include <set>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "observe/logs/api/discover.h"
#include "observe/logs/api/json_text.h"
#include "observe/logs/api/parameters.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs {
namespace {

constexpr std::int64_t kSixHours = 6 * 3'600LL * 1'000'000'000;
constexpr std::size_t kVolumesMax = 1000;

std::string success(std::string_view data) {
  return "{\"status\":\"success\",\"data\":" + std::string(data) + "}";
}

class QueryApi {
 public:
  QueryApi(const Store& store, const ApiOptions& options, std::int64_t now, const http::Query& query,
           const http::Headers& headers)
      : store_(store), options_(options), now_(now), parameters_(query, now) {
    categorize_ = headers.get("X-Loki-Response-Encoding-Flags").find("categorize-labels") != std::string_view::npos;
  }

  Result<std::string> answer(std::string_view path) {
    if (path == "query") return instant();
    if (path == "query_range") return range();
    if (path == "labels" || path == "label") return labels();
    if (path.starts_with("label/") && path.ends_with("/values")) return values(path.substr(6, path.size() - 13));
    if (path == "series") return series();
    if (path == "index/stats") return stats();
    if (path == "index/volume") return volume(false);
    if (path == "index/volume_range") return volume(true);
    if (path == "patterns") return patterns();
    if (path == "detected_fields") return fields({});
    constexpr std::string_view kField = "detected_field/", kValues = "/values";
    if (path.starts_with(kField) && path.ends_with(kValues) && path.size() > kField.size() + kValues.size())
      return fields(path.substr(kField.size(), path.size() - kField.size() - kValues.size()));
    if (path == "detected_labels") return detected_labels();
    if (path == "format_query") return format();
    if (path == "status/buildinfo")
      return std::string(
          "{\"version\":\"3.7.0\",\"revision\":\"\",\"branch\":\"\",\"buildUser\":\"caisson\",\"buildDate\":\"\","
          "\"goVersion\":\"\"}");
    if (path == "drilldown-limits")
      return std::string(
          "{\"limits\":{\"discover_log_levels\":false,\"volume_enabled\":true},\"pattern_ingester_enabled\":true,"
          "\"version\":\"3.7.0\"}");
    return Error{ErrorCode::not_found, "404 page not found"};
  }

 private:
  std::string with_stats(std::string_view type, std::string_view result, std::string_view flags = {}) const {
    const auto seconds =
        std::max(1e-9, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count());
    const auto per_second = [&](std::uint64_t n) {
      return std::to_string(static_cast<std::uint64_t>(static_cast<double>(n) / seconds));
    };
    std::string out = "{\"resultType\":\"" + std::string(type) + "\",\"result\":" + std::string(result);
    if (!flags.empty()) out += ",\"encodingFlags\":[\"" + std::string(flags) + "\"]";
    out += ",\"stats\":{\"summary\":{\"bytesProcessedPerSecond\":" + per_second(stats_.text_bytes) +
           ",\"linesProcessedPerSecond\":" + per_second(stats_.lines) +
           ",\"totalBytesProcessed\":" + std::to_string(stats_.text_bytes) +
           ",\"totalLinesProcessed\":" + std::to_string(stats_.lines) +
           ",\"execTime\":" + metrics::format_fixed(seconds) + "}}}";
    return success(out);
  }

  Result<std::string> instant() {
    const logql::ExprPtr expr = TRY(logql::parse(parameters_.text("query")));
    const std::int64_t at = TRY(parameters_.time("time", now_));
    if (expr->is_log())
      return Error{
          ErrorCode::bad_request,
          "log queries are not supported as an instant query type, please change your query to a range query type"};
    const logql::Window window{at, at, 1};
    const logql::Matrix matrix = TRY(logql::query_metric(store_, options_.engine, *expr, window, now_, stats_));
    if (!matrix.is_scalar) return with_stats("vector", vector_json(matrix, window));
    std::string point = "[";
    append_seconds(point, at);
    return with_stats("scalar", point + ",\"" + metrics::format_fixed(matrix.series[0].values[0]) + "\"]");
  }

  Result<std::string> range() {
    const logql::ExprPtr expr = TRY(logql::parse(parameters_.text("query")));
    const auto span = TRY(parameters_.span());
    if (!expr->is_log()) {
      const auto step = TRY(parameters_.step(span));
      const logql::Window window{span.start, span.end, step};
      return with_stats(
          "matrix",
          matrix_json(TRY(logql::query_metric(store_, options_.engine, *expr, window, now_, stats_)), window));
    }
    const auto limit = TRY(parameters_.limit(100, options_.lines_max));
    const auto direction = TRY(parameters_.direction());
    logql::LogQuery query{span.start, span.end, limit, direction};
    auto lines =
        TRY(logql::query_lines(store_, options_.engine, std::get<logql::Selector>(expr->node), query, now_, stats_));
    if (const std::int64_t interval = TRY(parameters_.duration("interval", 0)); interval > 0) thin_out(lines, interval);
    return with_stats("streams", streams_json(lines, {.categorize = categorize_}),
                      categorize_ ? "categorize-labels" : "");
  }

  // Of each stream a line only when so much time has passed since the last one.
  static void thin_out(std::vector<logql::FoundLine>& lines, std::int64_t interval) {
    std::unordered_map<Labels, std::int64_t, LabelsHash> last;
    std::erase_if(lines, [&](const logql::FoundLine& line) {
      const auto [at, fresh] = last.try_emplace(line.labels(), line.t);
      if (fresh) return false;
      if (std::abs(line.t - at->second) < interval) return true;
      at->second = line.t;
      return false;
    });
  }

  // The series of query, match[] or match; all without one.
  Result<std::vector<Labels>> selected(bool needed) const {
    auto texts = parameters_.all("match[]");
    for (const char* name : {"match", "query"})
      for (const std::string& text : parameters_.all(name))
        if (!text.empty()) texts.push_back(text);
    const auto span = TRY(parameters_.span(kSixHours));
    if (texts.empty() && needed) return Error{ErrorCode::bad_request, "0 matcher groups supplied"};
    if (texts.empty()) return store_.series({}, span.start, span.end);
    std::set<Labels> found;
    for (const std::string& text : texts) {
      const auto matchers = trim(text) == "{}" ? std::vector<Matcher>() : TRY(logql::parse_log_selector(text)).matchers;
      for (const Labels& one : store_.series(matchers, span.start, span.end)) found.insert(one);
    }
    return std::vector<Labels>(found.begin(), found.end());
  }

  Result<std::string> labels() const {
    std::set<std::string> names;
    for (const Labels& one : TRY(selected(false)))
      for (const LabelView label : one.items()) names.emplace(label.name);
    return success(text_list({names.begin(), names.end()}));
  }

  Result<std::string> values(std::string_view encoded) const {
    const std::string name = TRY(percent_decode(encoded));
    std::set<std::string> found;
    for (const Labels& one : TRY(selected(false)))
      if (const std::string_view value = one.get(name); !value.empty()) found.emplace(value);
    return success(text_list({found.begin(), found.end()}));
  }

  Result<std::string> series() const {
    std::string out = "[";
    for (const Labels& one : TRY(selected(false))) {
      if (out.size() > 1) out += ',';
      append_labels(out, one);
    }
    return success(out + "]");
  }

  Result<std::string> stats() const {
    const auto matchers = TRY(logql::parse_log_selector(parameters_.text("query"))).matchers;
    const auto span = TRY(parameters_.span());
    std::uint64_t streams = 0, chunks = 0, bytes = 0, entries = 0;
    for (const StreamBlocks& stream : store_.select(matchers, span.start, span.end)) {
      ++streams;
      chunks += stream.blocks.size();
      for (const BlockRef& block : stream.blocks) bytes += block.info.text_bytes, entries += block.info.count;
    }
    return "{\"streams\":" + std::to_string(streams) + ",\"chunks\":" + std::to_string(chunks) +
           ",\"bytes\":" + std::to_string(bytes) + ",\"entries\":" + std::to_string(entries) + "}";
  }

  // Bytes by stream, or by target labels, or by one label's name: a sum of bytes_over_time.
  Result<std::string> volume(bool by_step) {
    const auto selector = TRY(logql::parse_log_selector(parameters_.text("query")));
    const auto span = TRY(parameters_.span());
    const std::size_t limit = TRY(parameters_.limit(100, kVolumesMax));
    std::vector<std::string> wanted;
    for (const std::string_view name : split(parameters_.text("targetLabels"), ','))
      if (!name.empty()) wanted.emplace_back(name);
    if (wanted.empty())
      for (const Matcher& m : selector.matchers) wanted.push_back(m.name);
    const bool by_label = parameters_.text("aggregateBy") == "labels";
    const std::int64_t step = by_step ? TRY(parameters_.step(span)) : std::max<std::int64_t>(1, span.end - span.start);
    const logql::Window window =
        by_step ? logql::Window{span.start, span.end, step} : logql::Window{span.end, span.end, 1};
    logql::RangeAggregation bytes;
    bytes.op = "bytes_over_time";
    bytes.selector.matchers = selector.matchers;
    bytes.range = step;
    logql::Expr inner{std::move(bytes)};
    logql::VectorAggregation sum;
    sum.op = "sum";
    sum.grouping.labels = wanted;
    sum.inner = std::make_unique<logql::Expr>(std::move(inner));
    logql::Matrix matrix =
        TRY(logql::query_metric(store_, options_.engine, logql::Expr{std::move(sum)}, window, now_, stats_));
    if (by_label) matrix = by_name(matrix, window);
    const auto total = [](const logql::Series& s) {
      double sum_of = 0;
      for (std::size_t i = 0; i < s.values.size(); ++i) sum_of += s.present[i] ? s.values[i] : 0;
      return sum_of;
    };
    std::stable_sort(matrix.series.begin(), matrix.series.end(),
                     [&](const auto& a, const auto& b) { return total(a) > total(b); });
    if (matrix.series.size() > limit) matrix.series.resize(limit);
    return with_stats(by_step ? "matrix" : "vector",
                      by_step ? matrix_json(matrix, window) : vector_json(matrix, window));
  }

  static logql::Matrix by_name(const logql::Matrix& matrix, const logql::Window& window) {
    std::map<std::string, logql::Series> sums;
    for (const logql::Series& series : matrix.series)
      for (const Label label : series.labels.items()) {
        logql::Series& sum = sums.try_emplace(label.name, logql::Series{Labels::from({{label.name, label.name}}),
                                                                        std::vector<double>(window.steps()),
                                                                        std::vector<char>(window.steps())})
                                 .first->second;
        for (std::size_t i = 0; i < series.values.size(); ++i) {
          if (!series.present[i]) continue;
          sum.values[i] += series.values[i];
          sum.present[i] = 1;
        }
      }
    logql::Matrix out;
    for (auto& [name, series] : sums) out.series.push_back(std::move(series));
    return out;
  }

  Result<std::vector<logql::FoundLine>> sample(std::size_t count) {
    const auto selector = TRY(logql::parse_log_selector(parameters_.text("query")));
    const auto span = TRY(parameters_.span());
    return logql::query_lines(store_, options_.engine, selector, {span.start, span.end, count, Direction::backward},
                              now_, stats_);
  }

  Result<std::string> patterns() {
    const auto span = TRY(parameters_.span());
    const std::int64_t step = TRY(parameters_.step(span));
    constexpr std::size_t kLines = 20'000;
    return patterns_json(TRY(sample(kLines)), step);
  }

  // Of all fields what they are like, or of one its values.
  Result<std::string> fields(std::string_view one) {
    const auto number = [&](std::string_view name, std::size_t otherwise) {
      const auto given = parse_int(parameters_.text(name));
      return given && *given > 0 ? std::min<std::size_t>(static_cast<std::size_t>(*given), options_.lines_max)
                                 : otherwise;
    };
    const std::size_t limit = number("limit", 1000);
    const auto lines = TRY(sample(number("line_limit", 1000)));
    return one.empty() ? fields_json(lines, limit) : field_values_json(lines, TRY(percent_decode(one)), limit);
  }

  Result<std::string> detected_labels() const {
    std::map<std::string, std::set<std::string>> found;
    for (const Labels& one : TRY(selected(false)))
      for (const Label label : one.items()) found[label.name].insert(label.value);
    std::string out = "{\"detectedLabels\":[";
    for (const auto& [name, all] : found) {
      if (out.back() != '[') out += ',';
      out += "{\"label\":";
      json::append_string(out, name);
      out += ",\"cardinality\":" + std::to_string(all.size()) + "}";
    }
    return out + "]}";
  }

  Result<std::string> format() const {
    const logql::ExprPtr expr = TRY(logql::parse(parameters_.text("query")));
    std::string text;
    json::append_string(text, logql::pretty(*expr));
    return success(text);
  }

  const Store& store_;
  const ApiOptions& options_;
  const std::int64_t now_;
  const Parameters parameters_;
  bool categorize_ = false;
  logql::QueryStats stats_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

}  // namespace

http::Response error_response(const Error& error) {
  const int status = error.code == ErrorCode::not_found                                      ? 404
                     : error.code == ErrorCode::too_many_requests                            ? 429
                     : error.code == ErrorCode::timeout                                      ? 504
                     : error.code == ErrorCode::unavailable                                  ? 503
                     : error.code == ErrorCode::unsupported_media_type                       ? 415
                     : error.code == ErrorCode::method_not_allowed                           ? 405
                     : error.code == ErrorCode::internal || error.code == ErrorCode::invalid ? 500
                                                                                             : 400;
  return {status,
          {{"Content-Type", "text/plain; charset=utf-8"}, {"X-Content-Type-Options", "nosniff"}},
          error.message + "\n"};
}

http::Response answer_query_api(const Store& store, const ApiOptions& options, std::int64_t now, std::string_view path,
                                const http::Query& parameters, const http::Headers& headers) {
  auto answer = QueryApi(store, options, now, parameters, headers).answer(path);
  if (!answer.ok() && path == "format_query") {  // alone answers errors as JSON
    std::string body = "{\"status\":\"invalid-query\",\"error\":";
    json::append_string(body, answer.error().message);
    return {400, {{"Content-Type", "application/json; charset=UTF-8"}}, body + "}"};
  }
  if (!answer.ok()) return error_response(answer.error());
  return {200, {{"Content-Type", "application/json; charset=UTF-8"}}, std::move(answer).value()};
}

}  // namespace caisson::logs
