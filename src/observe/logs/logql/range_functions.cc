// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "observe/logs/logql/evaluator.h"

namespace caisson::logs::logql {
namespace {

double sum(std::span<const Sample> samples) {
  double total = 0;
  for (const Sample& s : samples) total += s.v;
  return total;
}

double variance(std::span<const Sample> samples) {  // Welford's, as upstream
  double count = 0, mean = 0, aux = 0;
  for (const Sample& s : samples) {
    ++count;
    const double delta = s.v - mean;
    mean += delta / count;
    aux += delta * (s.v - mean);
  }
  return aux / count;
}

double mean(std::span<const Sample> samples) {
  double count = 0, mean = 0;
  for (const Sample& s : samples) {
    ++count;
    if (std::isinf(mean) && std::isinf(s.v) && (mean > 0) == (s.v > 0)) continue;
    mean += s.v / count - mean / count;
  }
  return mean;
}

double quantile(double q, std::span<const Sample> samples) {
  if (q < 0) return -INFINITY;
  if (q > 1) return INFINITY;
  std::vector<double> values;
  for (const Sample& s : samples) values.push_back(s.v);
  std::sort(values.begin(), values.end());
  const double rank = q * static_cast<double>(values.size() - 1);
  const auto lower = static_cast<std::size_t>(std::max(0.0, std::floor(rank)));
  const std::size_t upper = std::min(values.size() - 1, lower + 1);
  const double weight = rank - std::floor(rank);
  return values[lower] * (1 - weight) + values[upper] * weight;
}

// Resets are added. Loki carries the rise on as Prometheus does, but its window ends at the last sample and begins
// where milliseconds taken from nanoseconds put it, so that next to nothing is added; dashboards are made for that.
double counter_rate(std::span<const Sample> samples, std::int64_t range) {
  if (samples.size() < 2) return 0;
  double rise = samples.back().v - samples.front().v;
  for (std::size_t i = 1; i < samples.size(); ++i)
    if (samples[i].v < samples[i - 1].v) rise += samples[i - 1].v;
  const double sampled = static_cast<double>(samples.back().t - samples.front().t) / 1000;
  const double between = sampled / static_cast<double>(samples.size() - 1);
  double to_start = static_cast<double>(range / 1'000'000) / 1000;
  if (rise > 0 && samples.front().v >= 0) to_start = std::min(to_start, sampled * (samples.front().v / rise));
  const double extrapolated = sampled + (to_start < between * 1.1 ? to_start : between / 2);
  return rise * (extrapolated / sampled) / (static_cast<double>(range) / 1e9);
}

}  // namespace

double range_value(const RangeAggregation& node, std::span<const Sample> samples) {
  const std::string& op = node.op;
  const auto by_value = [](const Sample& a, const Sample& b) { return a.v < b.v; };
  if (op == "sum_over_time") return sum(samples);
  if (op == "rate") return sum(samples) / (static_cast<double>(node.range) / 1e9);
  if (op == "avg_over_time") return mean(samples);
  if (op == "max_over_time") return std::max_element(samples.begin(), samples.end(), by_value)->v;
  if (op == "min_over_time") return std::min_element(samples.begin(), samples.end(), by_value)->v;
  if (op == "first_over_time") return samples.front().v;
  if (op == "last_over_time") return samples.back().v;
  if (op == "stdvar_over_time") return variance(samples);
  if (op == "stddev_over_time") return std::sqrt(variance(samples));
  if (op == "quantile_over_time") return quantile(node.param, samples);
  if (op == "rate_counter") return counter_rate(samples, node.range);
  return static_cast<double>(samples.size());
}

}  // namespace caisson::logs::logql
