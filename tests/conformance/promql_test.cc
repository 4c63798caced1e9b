// SPDX-License-Identifier: Apache-2.0
// Upstream's PromQL test scripts. Each instant evaluation is repeated with every selector pinned by @ at other times,
// and within a range query around its time, as upstream does.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>

#include "conformance/corpus.h"
#include "conformance/promql_script.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/engine.h"
#include "observe/metrics/storage/memory.h"

namespace caisson::conformance {
namespace {

using namespace metrics;
using promql::QueryResult;
using promql::SequenceValue;
using promql::Series;

constexpr double kEpsilon = 1e-6;  // relative

bool almost(double a, double b) {
  if (is_stale_nan(a) || is_stale_nan(b)) return is_stale_nan(a) && is_stale_nan(b);
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  const double sum = std::fabs(a) + std::fabs(b), difference = std::fabs(a - b);
  constexpr double kLeast = std::numeric_limits<double>::min();
  if (a == 0 || b == 0 || sum < kLeast) return difference < kEpsilon * kLeast;
  return difference / std::min(sum, std::numeric_limits<double>::max()) < kEpsilon;
}

bool almost(const HistogramBuckets& a, const HistogramBuckets& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const HistogramBucket& x, const HistogramBucket& y) {
    return x.index == y.index && almost(x.count, y.count);
  });
}

bool almost(FloatHistogram wanted, FloatHistogram got, bool compare_hint) {
  compact(wanted);
  compact(got);
  return wanted.schema == got.schema && almost(wanted.count, got.count) && almost(wanted.sum, got.sum) &&
         wanted.custom_bounds == got.custom_bounds && wanted.zero_threshold == got.zero_threshold &&
         almost(wanted.zero_count, got.zero_count) && almost(wanted.positive, got.positive) &&
         almost(wanted.negative, got.negative) && (!compare_hint || wanted.hint == got.hint);
}

std::string shown(const Series& series) {
  std::string out = series.labels.str();
  for (const FloatPoint& p : series.floats) out += " " + format_general(p.v) + "@" + std::to_string(p.t);
  for (const HistogramPoint& p : series.histograms)
    out +=
        " " + histogram_string(*p.h) + "(" + std::to_string(static_cast<int>(p.h->hint)) + ")@" + std::to_string(p.t);
  return out;
}

// Empty when `series` holds exactly `values` at start, start + step, …
std::string compare_series(const Series& series, const std::vector<SequenceValue>& values, std::int64_t start,
                           std::int64_t step) {
  auto f = series.floats.begin();
  auto h = series.histograms.begin();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int64_t t = start + static_cast<std::int64_t>(i) * step;
    const SequenceValue& value = values[i];
    if (value.omitted) continue;
    if (value.h) {
      if (h == series.histograms.end() || h->t != t || !almost(*value.h, *h->h, value.has_hint))
        return "expected " + histogram_string(*value.h) + " at " + std::to_string(t) + " in " + shown(series);
      ++h;
    } else {
      if (f == series.floats.end() || f->t != t || !almost(value.v, f->v))
        return "expected " + format_general(value.v) + " at " + std::to_string(t) + " in " + shown(series);
      ++f;
    }
  }
  if (f != series.floats.end() || h != series.histograms.end()) return "more samples than expected in " + shown(series);
  return {};
}

std::string compare_matrix(const std::vector<Series>& matrix, const ScriptStep& step, std::int64_t start,
                           std::int64_t interval, bool ordered) {
  if (step.scalar) {
    if (matrix.size() != 1) return "expected a scalar";
    return compare_series(matrix[0], {{false, *step.scalar, nullptr, false}}, start, interval);
  }
  std::map<Labels, std::size_t> wanted;  // a series named twice: the last one counts
  for (std::size_t i = 0; i < step.series.size(); ++i) wanted.insert_or_assign(step.series[i].labels, i);
  std::size_t position = 0;
  for (const Series& series : matrix) {
    const auto at = wanted.find(series.labels);
    if (at == wanted.end()) return "unexpected " + shown(series);
    if (ordered && at->second != position++) return "at another place: " + shown(series);
    if (std::string why = compare_series(series, step.series[at->second].values, start, interval); !why.empty())
      return why;
    wanted.erase(at);
  }
  return wanted.empty() ? "" : "missing " + wanted.begin()->first.str();
}

bool matches(const Expectation& e, const std::string& text) {
  if (e.any) return true;
  if (e.is_text) return text == e.pattern;
  const auto regex = Regex::compile(".*(?:" + e.pattern + ").*");
  return regex.ok() && regex->matches(text);
}

std::string check_notes(const ScriptStep& step, const std::string& type, const std::vector<std::string>& notes) {
  if (step.expects("no_" + type) && !notes.empty()) return "unexpected " + type + ": " + notes[0];
  if (!step.expects(type)) return {};
  if (notes.empty()) return "expected " + type + ", but there is none";
  for (const Expectation& e : step.expectations)
    if (e.type == type && std::none_of(notes.begin(), notes.end(), [&](const std::string& n) { return matches(e, n); }))
      return "no " + type + " like " + e.pattern + " in " + join(notes, " | ");
  for (const std::string& note : notes)
    if (std::none_of(step.expectations.begin(), step.expectations.end(),
                     [&](const Expectation& e) { return e.type == type && matches(e, note); }))
      return "unexpected " + type + ": " + note;
  return {};
}

// Queries that mean the same as `step` but with every selector pinned at its time; empty when the query cannot be
// pinned.
std::string pinned(const ScriptStep& step) {
  auto expr = promql::parse(step.expr);
  if (!expr.ok()) return {};
  bool possible = true;
  const std::function<void(promql::Expr&)> visit = [&](promql::Expr& node) {
    static const std::set<std::string_view> kUnsafe{
        "days_in_month", "day_of_month",   "day_of_week", "day_of_year", "end",  "hour", "minute",   "month",
        "year",          "predict_linear", "range",       "start",       "step", "time", "timestamp"};
    if (auto* call = promql::as<promql::Call>(&node)) possible = possible && !kUnsafe.contains(call->function->name);
    promql::TimeShift* shift = nullptr;
    if (auto* selector = promql::as<promql::VectorSelector>(&node)) shift = &selector->shift;
    if (auto* subquery = promql::as<promql::Subquery>(&node)) shift = &subquery->shift;
    if (shift && !shift->timestamp && shift->preprocessor == promql::Tok::end) shift->timestamp = step.start_ms;
    if (promql::as<promql::Subquery>(&node)) return;  // @ of the subquery holds for what is within
    promql::for_each_child(node, [&](promql::ExprPtr& child) { visit(*child); });
  };
  promql::ExprPtr tree = std::move(expr).value();
  visit(*tree);
  return possible ? promql::print(*tree) : "";
}

class ScriptRun {
 public:
  std::string load(const ScriptStep& step) {
    for (const auto& series : step.series) append(series, step.interval_ms);
    return step.with_custom_buckets ? load_custom_buckets(step) : "";
  }
  void clear() { storage_.clear(); }

  std::string eval(const ScriptStep& step) {
    if (step.is_range) {
      const auto result = promql::query_range(storage_, options_, step.expr, step.start_ms, step.end_ms, step.step_ms);
      return judge(step, step.expr, result, step.start_ms, step.step_ms);
    }
    std::string why = instant(step, step.expr, step.start_ms);
    if (!why.empty()) return why;
    const std::string pinned_expr = pinned(step);
    if (pinned_expr.empty()) return {};
    const std::int64_t t = step.start_ms;
    const std::vector<std::int64_t> others =
        t == 0 ? std::vector<std::int64_t>{-1000, 1000} : std::vector<std::int64_t>{-10 * t, 0, t / 5, t, 10 * t};
    for (const std::int64_t other : others)
      if (why = instant(step, pinned_expr, other); !why.empty())
        return "as " + pinned_expr + " at " + std::to_string(other) + ": " + why;
    return {};
  }

 private:
  void append(const promql::SeriesDescription& series, std::int64_t interval) {
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      const SequenceValue& value = series.values[i];
      const std::int64_t t = static_cast<std::int64_t>(i) * interval;
      if (value.omitted) continue;
      if (value.h)
        storage_.append(series.labels, t, *value.h);
      else
        storage_.append(series.labels, t, value.v);
    }
  }

  std::string judge(const ScriptStep& step, const std::string& query, const Result<QueryResult>& result,
                    std::int64_t start, std::int64_t interval) {
    if (!result.ok()) {
      const auto fail = std::find_if(step.expectations.begin(), step.expectations.end(),
                                     [](const Expectation& e) { return e.type == "fail"; });
      if (fail == step.expectations.end()) return "error: " + result.error().message;
      return matches(*fail, result.error().message) ? "" : "another error: " + result.error().message;
    }
    if (step.expects("fail")) return "did not fail";
    for (const auto& [type, notes] : {std::pair{"warn", &result->warnings}, std::pair{"info", &result->infos}})
      if (std::string why = check_notes(step, type, *notes); !why.empty()) return why + " (" + query + ")";
    if (result->type == promql::ValueType::string)
      return result->text == step.text ? "" : "another string: " + result->text;
    if (result->type == promql::ValueType::matrix && step.vector_times) return compare_times(step, result->matrix);
    return compare_matrix(result->matrix, step, start, interval, step.expects("ordered"));
  }

  static std::string compare_times(const ScriptStep& step, const std::vector<Series>& matrix) {
    const auto words = split(*step.vector_times, ' ');  // from A to B step C
    const auto start = parse_duration(words[1]), interval = parse_duration(words[5]);
    if (!start.ok() || !interval.ok()) return "bad times";
    return compare_matrix(matrix, step, *start, *interval, false);
  }

  std::string instant(const ScriptStep& step, const std::string& query, std::int64_t t) {
    auto result = promql::query_instant(storage_, options_, query, t);
    // Compared as if it were at the step's own time.
    const bool is_matrix = result.ok() && result->type == promql::ValueType::matrix;
    if (std::string why = judge(step, query, result, is_matrix ? step.start_ms : t, 0); !why.empty()) return why;
    const bool has_context = query.find("start()") != std::string::npos || query.find("end()") != std::string::npos ||
                             query.find("range()") != std::string::npos || query.find("step()") != std::string::npos;
    if (!result.ok() || is_matrix || result->type == promql::ValueType::string || step.expects("ordered") ||
        has_context)
      return {};
    auto ranged = promql::query_range(storage_, options_, query, t - 60'000, t + 60'000, 60'000);
    if (!ranged.ok()) return "in range mode: " + ranged.error().message;
    std::vector<Series> at_time;
    for (const Series& series : ranged->matrix) {
      Series one{series.labels, {}, {}, false};
      for (const FloatPoint& p : series.floats)
        if (p.t == t) one.floats.push_back(p);
      for (const HistogramPoint& p : series.histograms)
        if (p.t == t) one.histograms.push_back(p);
      if (!one.floats.empty() || !one.histograms.empty()) at_time.push_back(std::move(one));
    }
    const std::string why = compare_matrix(at_time, step, t, 0, false);
    return why.empty() ? "" : "in range mode: " + why;
  }

  // Classic histograms of the loaded series once more, as native ones with custom bounds.
  std::string load_custom_buckets(const ScriptStep& step) {
    struct Classic {
      std::map<double, double> cumulative;
      std::optional<double> count;
      double sum = 0;
    };
    std::map<Labels, std::map<std::int64_t, Classic>> found;
    for (const auto& series : step.series) {
      const std::string name(series.labels.get(kMetricName));
      const std::size_t end = name.rfind('_');
      const std::string suffix = end == std::string::npos ? "" : name.substr(end);
      if (suffix != "_bucket" && suffix != "_count" && suffix != "_sum") continue;
      const auto bound = parse_float(series.labels.get("le"));
      if (suffix == "_bucket" && (!bound || std::isnan(*bound))) continue;
      LabelsBuilder labels(series.labels);
      labels.set(kMetricName, name.substr(0, end));
      labels.remove("le");
      auto& by_time = found[labels.labels()];
      for (std::size_t i = 0; i < series.values.size(); ++i) {
        if (series.values[i].omitted || series.values[i].h) continue;
        Classic& classic = by_time[static_cast<std::int64_t>(i) * step.interval_ms];
        if (suffix == "_bucket")
          classic.cumulative.emplace(*bound, series.values[i].v);
        else if (suffix == "_count")
          classic.count = series.values[i].v;
        else
          classic.sum = series.values[i].v;
      }
    }
    for (auto& [labels, by_time] : found)
      for (auto& [t, classic] : by_time) {
        FloatHistogram h;
        h.schema = kCustomBoundsSchema;
        h.sum = classic.sum;
        h.count = classic.count ? *classic.count : classic.cumulative.empty() ? 0 : classic.cumulative.rbegin()->second;
        classic.cumulative.emplace(std::numeric_limits<double>::infinity(), h.count);
        double before = 0;
        std::int32_t index = 0;
        for (const auto& [bound, count] : classic.cumulative) {
          if (!std::isinf(bound)) h.custom_bounds.push_back(bound);
          h.positive.push_back({index++, count - before});
          before = count;
        }
        compact(h);
        if (const auto valid = validate(h); !valid.ok()) return valid.error().message;
        storage_.append(labels, t, std::move(h));
      }
    return {};
  }

  MemoryStorage storage_;
  promql::EngineOptions options_;
};

void run_script(const std::string& name, const std::string& text, Outcomes& outcomes) {
  const auto steps = parse_script(text);
  if (!steps.ok()) return outcomes.failed(name, "script: " + steps.error().message);
  ScriptRun run;
  for (const ScriptStep& step : *steps) {
    if (step.kind == ScriptStep::Kind::clear) {
      run.clear();
      continue;
    }
    const std::string id = name + ":" + std::to_string(step.line);
    if (step.kind == ScriptStep::Kind::load) {
      if (const std::string why = run.load(step); !why.empty()) outcomes.failed(id, "load: " + why);
      continue;
    }
    if (const std::string why = run.eval(step); why.empty())
      outcomes.passed(id);
    else
      outcomes.failed(id, step.expr + ": " + why);
  }
}

}  // namespace

TEST_CASE("PromQL gives what upstream's test scripts say") {
  Outcomes outcomes("promql");
  const std::string upstream = corpus_dir("promql");
  for (const std::string& root : {own_dir("promql"), upstream}) {
    const auto names = list_dir(root);
    if (root.empty() || !names.ok()) continue;
    for (const std::string& name : *names)
      if (name.ends_with(".test")) run_script(name, text_of(root + "/" + name), outcomes);
  }
  outcomes.check(!upstream.empty());
}

}  // namespace caisson::conformance
