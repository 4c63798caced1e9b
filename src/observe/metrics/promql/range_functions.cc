// SPDX-License-Identifier: Apache-2.0
// The functions over time that look at floats, and the table of all.
#include <algorithm>
#include <cmath>
#include <limits>

#include "observe/metrics/model/format.h"
#include "observe/metrics/model/kahan.h"
#include "observe/metrics/promql/range_function.h"

namespace caisson::metrics::promql {

double quantile(double q, std::vector<double>& values) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (values.empty() || std::isnan(q)) return std::nan("");
  if (q < 0) return -kInfinity;
  if (q > 1) return kInfinity;
  // NaN sorts first.
  std::sort(values.begin(), values.end(), [](double a, double b) { return std::isnan(a) ? !std::isnan(b) : a < b; });
  const double rank = q * static_cast<double>(values.size() - 1), lower = std::floor(rank), weight = rank - lower;
  const auto at = static_cast<std::size_t>(lower);
  if (weight == 0) return values[at];
  return values[at] * (1 - weight) + values[std::min(at + 1, values.size() - 1)] * weight;
}

// Sums of whole numbers below 2^53 are exact in any order, so differences of them are what adding one by one gives.
std::vector<double> exact_sums(std::string_view function, std::span<const FloatPoint> floats) {
  constexpr double kExactMax = 9007199254740992.0;
  std::vector<double> sums;
  if (function != "avg_over_time" && function != "sum_over_time") return sums;
  double size = 0;  // of all, without signs
  sums.reserve(floats.size() + 1);
  sums.push_back(0);
  for (const FloatPoint& p : floats) {
    size += std::fabs(p.v);
    if (!(size <= kExactMax) || p.v != std::trunc(p.v)) return {};
    sums.push_back(sums.back() + p.v);
  }
  return sums;
}

namespace {

// Most functions need floats and say so when histograms stand among them.
bool only_floats(const RangeInput& in, std::size_t least = 1) {
  if (in.floats.size() < least) {
    if (!in.floats.empty() && !in.histograms.empty()) in.notes->histograms_ignored_in_range(in.metric, in.at);
    return false;
  }
  if (!in.histograms.empty()) in.notes->histograms_ignored_in_range(in.metric, in.at);
  return true;
}

void avg(const RangeInput& in, RangeValue& out) {
  if (!in.floats.empty() && !in.histograms.empty()) return in.notes->mixed_floats_histograms(in.metric, in.at);
  if (in.floats.empty()) return average_histograms(in, out);
  if (in.sums) return out.set((in.sums[in.floats.size()] - in.sums[0]) / static_cast<double>(in.floats.size()));
  KahanSum total{in.floats[0].v, 0};  // the sum; the mean once the sum overflows
  bool is_mean = false;
  double count = 1;
  for (const FloatPoint& p : in.floats.subspan(1)) {
    ++count;
    if (!is_mean) {
      KahanSum next = total;
      next.add(p.v);
      if (!std::isinf(next.sum)) {
        total = next;
        continue;
      }
      is_mean = true;
      total = {total.sum / (count - 1), total.lost / (count - 1)};
    }
    const double q = (count - 1) / count;
    total = {q * total.sum, q * total.lost};
    total.add(p.v / count);
  }
  out.set(is_mean ? total.value() : total.sum / count + total.lost / count);
}

void sum(const RangeInput& in, RangeValue& out) {
  if (!in.floats.empty() && !in.histograms.empty()) return in.notes->mixed_floats_histograms(in.metric, in.at);
  if (in.floats.empty()) return sum_histograms(in, out);
  if (in.sums) return out.set(in.sums[in.floats.size()] - in.sums[0]);
  KahanSum total;
  for (const FloatPoint& p : in.floats) total.add(p.v);
  out.set(std::isinf(total.sum) ? total.sum : total.value());
}

void count(const RangeInput& in, RangeValue& out) {
  out.set(static_cast<double>(in.floats.size() + in.histograms.size()));
}
void present(const RangeInput&, RangeValue& out) {
  out.set(1);
}

void take(RangeValue& out, const FloatPoint* f, const HistogramPoint* h) {
  out.present = true;
  if (f)
    out.v = f->v;
  else
    out.h = h->h;
}

void first(const RangeInput& in, RangeValue& out) {
  const bool is_float = in.histograms.empty() || (!in.floats.empty() && in.floats.front().t < in.histograms.front().t);
  take(out, is_float ? &in.floats.front() : nullptr, is_float ? nullptr : &in.histograms.front());
}

void last(const RangeInput& in, RangeValue& out) {
  const bool is_float = in.histograms.empty() || (!in.floats.empty() && in.floats.back().t > in.histograms.back().t);
  take(out, is_float ? &in.floats.back() : nullptr, is_float ? nullptr : &in.histograms.back());
}

void time_of_first(const RangeInput& in, RangeValue& out) {
  std::int64_t t = std::numeric_limits<std::int64_t>::max();
  if (!in.floats.empty()) t = in.floats.front().t;
  if (!in.histograms.empty()) t = std::min(t, in.histograms.front().t);
  out.set(static_cast<double>(t) / 1000);
}

void time_of_last(const RangeInput& in, RangeValue& out) {
  std::int64_t t = std::numeric_limits<std::int64_t>::min();
  if (!in.floats.empty()) t = in.floats.back().t;
  if (!in.histograms.empty()) t = std::max(t, in.histograms.back().t);
  out.set(static_cast<double>(t) / 1000);
}

// The sample that wins against all before it; NaN only when there is nothing else.
template <class Wins>
const FloatPoint* best(const RangeInput& in, Wins wins) {
  if (!only_floats(in)) return nullptr;
  const FloatPoint* best = &in.floats[0];
  for (const FloatPoint& p : in.floats)
    if (wins(p.v, best->v) || std::isnan(best->v)) best = &p;
  return best;
}

void max(const RangeInput& in, RangeValue& out) {
  if (const FloatPoint* p = best(in, std::greater<>())) out.set(p->v);
}
void min(const RangeInput& in, RangeValue& out) {
  if (const FloatPoint* p = best(in, std::less<>())) out.set(p->v);
}
void time_of_max(const RangeInput& in, RangeValue& out) {
  if (const FloatPoint* p = best(in, std::greater_equal<>())) out.set(static_cast<double>(p->t) / 1000);
}
void time_of_min(const RangeInput& in, RangeValue& out) {
  if (const FloatPoint* p = best(in, std::less_equal<>())) out.set(static_cast<double>(p->t) / 1000);
}

std::vector<double> values_of(const RangeInput& in) {
  std::vector<double> values;
  values.reserve(in.floats.size());
  for (const FloatPoint& p : in.floats) values.push_back(p.v);
  return values;
}

void quantile_over_time(const RangeInput& in, RangeValue& out) {
  if (in.floats.empty()) return;
  const double q = in.scalars[0];
  if (!(q >= 0 && q <= 1)) in.notes->invalid_quantile(q, in.at);
  if (!only_floats(in)) return;
  std::vector<double> values = values_of(in);
  out.set(quantile(q, values));
}

void median_deviation(const RangeInput& in, RangeValue& out) {
  if (!only_floats(in)) return;
  std::vector<double> values = values_of(in);
  if (std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); })) return out.set(std::nan(""));
  const double median = quantile(0.5, values);
  for (double& v : values) v = std::fabs(v - median);
  out.set(quantile(0.5, values));
}

double variance_of(std::span<const FloatPoint> points) {
  KahanSum mean, squares;
  double count = 0;
  for (const FloatPoint& p : points) {
    ++count;
    const double delta = p.v - mean.value();
    mean.add(delta / count);
    squares.add(delta * (p.v - mean.value()));
  }
  return squares.value() / count;
}

void variance(const RangeInput& in, RangeValue& out) {
  if (only_floats(in)) out.set(variance_of(in.floats));
}
void deviation(const RangeInput& in, RangeValue& out) {
  if (only_floats(in)) out.set(std::sqrt(variance_of(in.floats)));
}

struct Line {
  double slope;
  double intercept;
};

// Least squares; x is seconds from `origin`.
Line regression(std::span<const FloatPoint> points, std::int64_t origin) {
  KahanSum x_sum, y_sum, xy_sum, x2_sum;
  bool constant = true;
  for (const FloatPoint& p : points) {
    if (p.v != points[0].v) constant = false;
    const double x = static_cast<double>(p.t - origin) / 1e3;
    x_sum.add(x);
    y_sum.add(p.v);
    xy_sum.add(x * p.v);
    x2_sum.add(x * x);
  }
  if (constant) return std::isinf(points[0].v) ? Line{std::nan(""), std::nan("")} : Line{0, points[0].v};
  const auto n = static_cast<double>(points.size());
  const double x = x_sum.value(), y = y_sum.value();
  const double slope = (xy_sum.value() - x * y / n) / (x2_sum.value() - x * x / n);
  return {slope, y / n - slope * x / n};
}

void deriv(const RangeInput& in, RangeValue& out) {
  if (only_floats(in, 2)) out.set(regression(in.floats, in.floats[0].t).slope);
}

void predict_linear(const RangeInput& in, RangeValue& out) {
  if (!only_floats(in, 2)) return;
  const Line line = regression(in.floats, in.t);
  out.set(line.slope * in.scalars[0] + line.intercept);
}

void double_exponential_smoothing(const RangeInput& in, RangeValue& out) {
  if (!only_floats(in, 2)) return;
  const double smoothing = in.scalars[0], trending = in.scalars[1];
  double before = 0, level = in.floats[0].v, trend = in.floats[1].v - in.floats[0].v;
  for (std::size_t i = 1; i < in.floats.size(); ++i) {
    if (i > 1) trend = trending * (level - before) + (1 - trending) * trend;
    const double next = smoothing * in.floats[i].v + (1 - smoothing) * (level + trend);
    before = level;
    level = next;
  }
  out.set(level);
}

enum class Rule { left = 0, right = 1, trapezoid = 2 };

Rule integration_rule(const RangeInput& in) {
  if (in.scalars.empty()) return Rule::trapezoid;
  const double rule = in.scalars[0];
  if (rule == 0 || rule == 1 || rule == 2) return static_cast<Rule>(static_cast<int>(rule));
  in.notes->warn("strategy should be 0, 1, or 2 (default), using 2, got " + format_general(rule), in.scalar_at);
  return Rule::trapezoid;
}

// The mean of two values that may be too large to be added.
KahanSum mean_of(double a, double b) {
  if (a == 0 && b == 0) return {};
  KahanSum mean{a, 0};
  mean.add(b);
  if (std::isinf(mean.sum) && !std::isinf(a) && !std::isinf(b)) {
    mean = {a / 2, 0};
    mean.add(b / 2);
    return mean;
  }
  return {mean.sum / 2, mean.lost / 2};
}

void integral(const RangeInput& in, RangeValue& out) {
  if (!only_floats(in)) return;
  const Rule rule = integration_rule(in);
  const auto defined = [](double v) { return std::isnan(v) ? 0 : v; };
  KahanSum total;
  for (std::size_t i = 1; i < in.floats.size(); ++i) {
    const double before = defined(in.floats[i - 1].v), now = defined(in.floats[i].v);
    const KahanSum height = rule == Rule::left    ? KahanSum{before, 0}
                            : rule == Rule::right ? KahanSum{now, 0}
                                                  : mean_of(before, now);
    if (height.sum == 0 && height.lost == 0) continue;
    const double width = static_cast<double>(in.floats[i].t - in.floats[i - 1].t) / 1000;
    total.lost += height.lost * width;
    total.add(height.sum * width);
  }
  out.set(std::isinf(total.sum) ? total.sum : total.value());
}

constexpr struct {
  std::string_view name;
  RangeKernel kernel;
} kRangeFunctions[] = {
    {"absent_over_time", {present}},
    {"avg_over_time", {avg}},
    {"changes", {range_changes}},
    {"count_over_time", {count}},
    {"delta", {range_delta, delta_of_floats}},
    {"deriv", {deriv}},
    {"double_exponential_smoothing", {double_exponential_smoothing}},
    {"first_over_time", {first}},
    {"idelta", {range_idelta}},
    {"increase", {range_increase, increase_of_floats}},
    {"integral", {integral}},
    {"irate", {range_irate}},
    {"last_over_time", {last}},
    {"mad_over_time", {median_deviation}},
    {"max_over_time", {max}},
    {"min_over_time", {min}},
    {"predict_linear", {predict_linear}},
    {"present_over_time", {present}},
    {"quantile_over_time", {quantile_over_time}},
    {"rate", {range_rate, rate_of_floats}},
    {"resets", {range_resets}},
    {"stddev_over_time", {deviation}},
    {"stdvar_over_time", {variance}},
    {"sum_over_time", {sum}},
    {"ts_of_first_over_time", {time_of_first}},
    {"ts_of_last_over_time", {time_of_last}},
    {"ts_of_max_over_time", {time_of_max}},
    {"ts_of_min_over_time", {time_of_min}},
};

}  // namespace

RangeKernel find_range_kernel(std::string_view name) {
  for (const auto& entry : kRangeFunctions)
    if (entry.name == name) return entry.kernel;
  return {};
}

}  // namespace caisson::metrics::promql
