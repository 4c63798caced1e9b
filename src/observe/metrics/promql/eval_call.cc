// SPDX-License-Identifier: Apache-2.0
// Calls on instant vectors and scalars: pointwise mathematics in one table, the others each on its own.
#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>
#include <numbers>

#include "core/base/text.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/evaluator.h"

namespace caisson::metrics::promql {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

using Pointwise = double (*)(double);
constexpr struct {
  std::string_view name;
  Pointwise function;
} kPointwise[] = {
    {"abs", [](double v) { return std::fabs(v); }},
    {"acos", [](double v) { return std::acos(v); }},
    {"acosh", [](double v) { return std::acosh(v); }},
    {"asin", [](double v) { return std::asin(v); }},
    {"asinh", [](double v) { return std::asinh(v); }},
    {"atan", [](double v) { return std::atan(v); }},
    {"atanh", [](double v) { return std::atanh(v); }},
    {"ceil", [](double v) { return std::ceil(v); }},
    {"cos", [](double v) { return std::cos(v); }},
    {"cosh", [](double v) { return std::cosh(v); }},
    {"deg", [](double v) { return v * (180 / std::numbers::pi); }},
    {"exp", [](double v) { return std::exp(v); }},
    {"floor", [](double v) { return std::floor(v); }},
    {"ln", [](double v) { return std::log(v); }},
    {"log10", [](double v) { return std::log10(v); }},
    {"log2", [](double v) { return std::log2(v); }},
    {"rad", [](double v) { return v * (std::numbers::pi / 180); }},
    {"sgn", [](double v) { return v < 0   ? -1
                                  : v > 0 ? 1
                                          : v; }},
    {"sin", [](double v) { return std::sin(v); }},
    {"sinh", [](double v) { return std::sinh(v); }},
    {"sqrt", [](double v) { return std::sqrt(v); }},
    {"tan", [](double v) { return std::tan(v); }},
    {"tanh", [](double v) { return std::tanh(v); }},
};

Pointwise find_pointwise(std::string_view name) {
  for (const auto& entry : kPointwise)
    if (entry.name == name) return entry.function;
  return nullptr;
}

using DatePart = double (*)(const std::tm&);
bool is_leap(int year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}
constexpr struct {
  std::string_view name;
  DatePart function;
} kDateParts[] = {
    {"day_of_month", [](const std::tm& t) -> double { return t.tm_mday; }},
    {"day_of_week", [](const std::tm& t) -> double { return t.tm_wday; }},
    {"day_of_year", [](const std::tm& t) -> double { return t.tm_yday + 1; }},
    {"days_in_month",
     [](const std::tm& t) -> double {
       static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
       return kDays[t.tm_mon] + (t.tm_mon == 1 && is_leap(t.tm_year + 1900) ? 1 : 0);
     }},
    {"hour", [](const std::tm& t) -> double { return t.tm_hour; }},
    {"minute", [](const std::tm& t) -> double { return t.tm_min; }},
    {"month", [](const std::tm& t) -> double { return t.tm_mon + 1; }},
    {"year", [](const std::tm& t) -> double { return t.tm_year + 1900; }},
};

DatePart find_date_part(std::string_view name) {
  for (const auto& entry : kDateParts)
    if (entry.name == name) return entry.function;
  return nullptr;
}

double date_part(DatePart part, double seconds) {
  // Far out of what a calendar holds: the first or last second of it.
  const double limited = std::isnan(seconds) ? 0 : std::clamp(seconds, -6e16, 6e16);
  const auto time = static_cast<std::time_t>(limited);
  std::tm parts{};
  gmtime_r(&time, &parts);
  return part(parts);
}

// Every float by `map(value, step)`; histograms go.
template <class Map>
Matrix mapped(Matrix matrix, const Window& window, Map map) {
  for (Series& series : matrix) {
    series.drop_name = true;
    series.histograms.clear();
    for (FloatPoint& p : series.floats) p.v = map(p.v, window.index(p.t));
  }
  std::erase_if(matrix, [](const Series& series) { return series.floats.empty(); });
  return matrix;
}

double value_at(const std::vector<double>& values, std::size_t step) {
  return values[step];
}

const std::string& text_of(const ExprPtr& arg) {
  const Expr* node = arg.get();
  while (const auto* paren = as<Paren>(node)) node = paren->expr.get();
  return static_cast<const StringLiteral*>(node)->value;
}

// The labels that the selector of absent() says for sure.
Labels labels_of_absent(const Expr& arg) {
  const Expr* node = &arg;
  if (const auto* invariant = as<StepInvariant>(node)) node = invariant->expr.get();
  if (const auto* matrix = as<MatrixSelector>(node)) node = matrix->selector.get();
  const auto* selector = as<VectorSelector>(node);
  LabelsBuilder labels;
  if (!selector) return labels.labels();
  std::vector<std::string> seen;
  for (const Matcher& m : selector->matchers) {
    if (is_metadata_label(m.name)) continue;
    const bool first = std::find(seen.begin(), seen.end(), m.name) == seen.end();
    labels.set(m.name, m.type == MatchType::equal && first ? m.value : "");
    if (m.type == MatchType::equal) seen.push_back(m.name);
  }
  return labels.labels();
}

// Numbers within names count as numbers: node2 stands before node10.
bool natural_less(std::string_view a, std::string_view b) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto part = [&](std::string_view& text) {
    std::size_t end = 1;
    while (end < text.size() && is_digit(text[end]) == is_digit(text[0])) ++end;
    const std::string_view taken = text.substr(0, end);
    text.remove_prefix(end);
    return taken;
  };
  while (!a.empty() && !b.empty()) {
    const std::string_view x = part(a), y = part(b);
    if (x == y) continue;
    if (is_digit(x[0]) && is_digit(y[0])) {
      const std::string_view p = x.substr(std::min(x.find_first_not_of('0'), x.size()));
      const std::string_view q = y.substr(std::min(y.find_first_not_of('0'), y.size()));
      if (p.size() != q.size()) return p.size() < q.size();
      if (p != q) return p < q;
      return x.size() < y.size();
    }
    return x < y;
  }
  return a.empty() && !b.empty();
}

}  // namespace

Result<Matrix> Evaluator::call(Call& node, const Window& window) {
  const std::string_view name = node.function->name;
  if (const Pointwise function = find_pointwise(name))
    return mapped(TRY(eval(*node.args[0], window)), window, [&](double v, std::size_t) { return function(v); });
  for (std::size_t i = 0; i < node.args.size(); ++i)
    if (type_of(*node.args[i]) == ValueType::matrix) {
      Expr* arg = node.args[i].get();
      while (auto* paren = as<Paren>(arg)) arg = paren->expr.get();
      if (arg != node.args[i].get()) {
        ExprPtr inner = std::move(static_cast<Paren&>(*node.args[i]).expr);
        node.args[i] = std::move(inner);
        return call(node, window);
      }
      return range_call(node, i, window);
    }
  if (name.starts_with("histogram_")) return histogram_call(node, window);
  if (find_date_part(name)) return dates(node, window);
  if (name.starts_with("clamp")) return clamp(node, window);
  if (name.starts_with("sort")) return sorted(node, window);
  return special_call(node, window);
}

Result<Matrix> Evaluator::special_call(Call& node, const Window& window) {
  const std::string_view name = node.function->name;
  if (name == "round") return round(node, window);
  if (name == "scalar") return scalar(node, window);
  if (name == "vector") return eval(*node.args[0], window);
  if (name == "absent") return absent(node, window);
  if (name == "label_replace") return label_replace(node, window);
  if (name == "label_join") return label_join(node, window);
  if (name == "info") return info(node, window);
  if (name == "pi") return constant(std::numbers::pi, window);
  if (name == "time") {
    Matrix matrix = TRY(constant(0, window));
    for (FloatPoint& p : matrix[0].floats) p.v = static_cast<double>(p.t) / 1000;
    return matrix;
  }
  if (name == "timestamp") {
    Expr* arg = node.args[0].get();
    const bool of_selector = arg->kind == ExprKind::selector;
    Matrix matrix =
        of_selector ? TRY(selector(static_cast<VectorSelector&>(*arg), window, true)) : TRY(eval(*arg, window));
    for (Series& series : matrix) {
      series.drop_name = true;
      for (const HistogramPoint& p : series.histograms) series.floats.push_back({p.t, 0});
      series.histograms.clear();
      std::sort(series.floats.begin(), series.floats.end(),
                [](const FloatPoint& a, const FloatPoint& b) { return a.t < b.t; });
      for (FloatPoint& p : series.floats) p.v = (of_selector ? p.v : static_cast<double>(p.t)) / 1000;
    }
    return matrix;
  }
  if (name == "start_timestamp") {  // samples are kept without the time they count from, as upstream's default
    TRY(eval(*node.args[0], window));
    return Matrix{};
  }
  if (name == "max_of" || name == "min_of") {
    const auto a = TRY(scalar_arg(*node.args[0], window)), b = TRY(scalar_arg(*node.args[1], window));
    Matrix matrix = TRY(constant(0, window));
    for (std::size_t i = 0; i < a.size(); ++i) {
      const bool undefined = std::isnan(a[i]) || std::isnan(b[i]);
      matrix[0].floats[i].v = undefined ? std::nan("") : name == "max_of" ? std::max(a[i], b[i]) : std::min(a[i], b[i]);
    }
    return matrix;
  }
  return Error{ErrorCode::internal, "function " + quote(name) + " is not implemented"};
}

Result<Matrix> Evaluator::clamp(Call& node, const Window& window) {
  const std::string_view name = node.function->name;
  const std::vector<double> first = TRY(scalar_arg(*node.args[1], window));
  const std::vector<double> low = name == "clamp_max" ? std::vector<double>(first.size(), -kInfinity) : first;
  const std::vector<double> high = name == "clamp_min"   ? std::vector<double>(first.size(), kInfinity)
                                   : name == "clamp_max" ? first
                                                         : TRY(scalar_arg(*node.args[2], window));
  Matrix matrix = mapped(TRY(eval(*node.args[0], window)), window, [&](double v, std::size_t step) {
    if (std::isnan(v) || std::isnan(low[step]) || std::isnan(high[step])) return std::nan("");
    return std::max(low[step], std::min(high[step], v));
  });
  for (Series& series : matrix)
    std::erase_if(series.floats, [&](const FloatPoint& p) {
      const std::size_t step = window.index(p.t);
      return high[step] < low[step];
    });
  std::erase_if(matrix, [](const Series& series) { return series.floats.empty(); });
  return matrix;
}

Result<Matrix> Evaluator::round(Call& node, const Window& window) {
  const std::vector<double> nearest =
      node.args.size() > 1 ? TRY(scalar_arg(*node.args[1], window)) : std::vector<double>(window.steps(), 1);
  return mapped(TRY(eval(*node.args[0], window)), window, [&](double v, std::size_t step) {
    const double inverse = 1 / value_at(nearest, step);
    return std::floor(v * inverse + 0.5) / inverse;
  });
}

Result<Matrix> Evaluator::dates(Call& node, const Window& window) {
  const DatePart part = find_date_part(node.function->name);
  if (!node.args.empty())
    return mapped(TRY(eval(*node.args[0], window)), window, [&](double v, std::size_t) { return date_part(part, v); });
  Matrix matrix = TRY(constant(0, window));
  for (FloatPoint& p : matrix[0].floats) p.v = date_part(part, static_cast<double>(p.t / 1000));
  return matrix;
}

Result<Matrix> Evaluator::scalar(Call& node, const Window& window) {
  const Matrix input = TRY(eval(*node.args[0], window));
  Matrix matrix = TRY(constant(std::nan(""), window));
  std::vector<std::uint8_t> seen(window.steps());
  for (const Series& series : input)
    for (const FloatPoint& p : series.floats) {
      const std::size_t step = window.index(p.t);
      matrix[0].floats[step].v = seen[step] ? std::nan("") : p.v;
      seen[step] = 1;
    }
  return matrix;
}

namespace {

// 1 at every step where no series of `input` has a sample.
Matrix absence(const Matrix& input, const Labels& labels, bool drop_name, const Window& window) {
  std::vector<std::uint8_t> seen(window.steps());
  for (const Series& series : input) {
    for (const FloatPoint& p : series.floats) seen[window.index(p.t)] = 1;
    for (const HistogramPoint& p : series.histograms) seen[window.index(p.t)] = 1;
  }
  Series out{labels, {}, {}, drop_name};
  for (std::size_t i = 0; i < seen.size(); ++i)
    if (!seen[i]) out.floats.push_back({window.time(i), 1});
  Matrix matrix;
  if (!out.floats.empty()) matrix.push_back(std::move(out));
  return matrix;
}

}  // namespace

Result<Matrix> Evaluator::absent(Call& node, const Window& window) {
  return absence(TRY(eval(*node.args[0], window)), labels_of_absent(*node.args[0]), false, window);
}

Result<Matrix> Evaluator::absent_over_time(const Expr& arg, const Matrix& values, const Window& window) const {
  return absence(values, labels_of_absent(arg), true, window);
}

Result<Matrix> Evaluator::sorted(Call& node, const Window& window) {
  const std::string_view name = node.function->name;
  Matrix matrix = TRY(eval(*node.args[0], window));
  if (window.steps() > 1) {
    notes_.warn("sort is ineffective for range queries since results are always ordered by labels", node.at);
    return matrix;
  }
  const bool descending = name.ends_with("_desc");
  if (name.starts_with("sort_by_label")) {
    std::vector<std::string> labels;
    for (std::size_t i = 1; i < node.args.size(); ++i) labels.push_back(text_of(node.args[i]));
    std::stable_sort(matrix.begin(), matrix.end(), [&](const Series& a, const Series& b) {
      for (const std::string& label : labels) {
        const std::string_view x = a.labels.get(label), y = b.labels.get(label);
        if (x != y) return descending ? natural_less(y, x) : natural_less(x, y);
      }
      return descending ? b.labels < a.labels : a.labels < b.labels;
    });
    return matrix;
  }
  std::erase_if(matrix, [](const Series& series) { return series.floats.empty(); });
  std::stable_sort(matrix.begin(), matrix.end(), [&](const Series& a, const Series& b) {  // NaN last
    const double x = a.floats[0].v, y = b.floats[0].v;
    if (std::isnan(x) || std::isnan(y)) return !std::isnan(x);
    return descending ? x > y : x < y;
  });
  return matrix;
}

Result<Matrix> Evaluator::label_replace(Call& node, const Window& window) {
  const std::string &target = text_of(node.args[1]), &replacement = text_of(node.args[2]),
                    &source = text_of(node.args[3]);
  const auto regex = Regex::compile(text_of(node.args[4]));
  if (!regex.ok())
    return Error{ErrorCode::bad_request, "invalid regular expression in label_replace(): " + text_of(node.args[4])};
  if (target.empty() || !is_valid_utf8(target))
    return Error{ErrorCode::bad_request, "invalid destination label name in label_replace(): " + target};
  Matrix matrix = TRY(eval(*node.args[0], window));
  for (Series& series : matrix) {
    std::string value;
    if (!regex->expand(series.labels.get(source), replacement, value)) continue;
    LabelsBuilder labels(series.labels);
    labels.set(target, value);
    series.labels = labels.labels();
    if (target == kMetricName) series.drop_name = false;
  }
  return merge_same_labels(std::move(matrix));
}

Result<Matrix> Evaluator::label_join(Call& node, const Window& window) {
  const std::string &target = text_of(node.args[1]), &separator = text_of(node.args[2]);
  for (std::size_t i = 3; i < node.args.size(); ++i)
    if (text_of(node.args[i]).empty() || !is_valid_utf8(text_of(node.args[i])))
      return Error{ErrorCode::bad_request, "invalid source label name in label_join(): " + text_of(node.args[i])};
  if (target.empty() || !is_valid_utf8(target))
    return Error{ErrorCode::bad_request, "invalid destination label name in label_join(): " + target};
  Matrix matrix = TRY(eval(*node.args[0], window));
  for (Series& series : matrix) {
    std::vector<std::string> values;
    for (std::size_t i = 3; i < node.args.size(); ++i) values.emplace_back(series.labels.get(text_of(node.args[i])));
    LabelsBuilder labels(series.labels);
    labels.set(target, join(values, separator));
    series.labels = labels.labels();
    if (target == kMetricName) series.drop_name = false;
  }
  return merge_same_labels(std::move(matrix));
}

}  // namespace caisson::metrics::promql
