// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/promql/annotations.h"

#include <algorithm>

#include "observe/metrics/model/format.h"

namespace caisson::metrics::promql {

std::string with_metric(std::string message, std::string_view metric) {
  return metric.empty() ? message : message + " for metric name " + quote(metric);
}

void Annotations::add(std::string message, PositionRange at, bool is_warning) {
  entries_.insert_or_assign(std::move(message), Entry{at, is_warning, std::nullopt});
}

void Annotations::mixed_floats_histograms(std::string_view metric, PositionRange at) {
  warn("encountered a mix of histograms and floats for metric name " + quote(metric), at);
}
void Annotations::mixed_floats_histograms_in_aggregation(PositionRange at) {
  warn("encountered a mix of histograms and floats for aggregation", at);
}
void Annotations::mixed_exponential_custom(std::string_view metric, PositionRange at) {
  warn("vector contains a mix of histograms with exponential and custom buckets schemas for metric name " +
           quote(metric),
       at);
}
void Annotations::not_a_counter(std::string_view metric, PositionRange at) {
  warn("this native histogram metric is not a counter: " + quote(metric), at);
}
void Annotations::not_a_gauge(std::string_view metric, PositionRange at) {
  warn("this native histogram metric is not a gauge: " + quote(metric), at);
}
void Annotations::histograms_ignored_in_range(std::string_view metric, PositionRange at) {
  info("ignored histograms in a range containing both floats and histograms for metric name " + quote(metric), at);
}
void Annotations::histograms_ignored_in_aggregation(std::string_view aggregation, PositionRange at) {
  info("ignored histogram in " + std::string(aggregation) + " aggregation", at);
}
void Annotations::bounds_reconciled(std::string_view operation, PositionRange at) {
  info("mismatched custom buckets were reconciled during " + std::string(operation), at);
}
void Annotations::reset_collision(std::string_view operation, PositionRange at) {
  warn("conflicting counter resets during histogram " + std::string(operation), at);
}
void Annotations::invalid_quantile(double q, PositionRange at) {
  warn("quantile value should be between 0 and 1, got " + format_general(q), at);
}

void Annotations::forced_monotonic(std::string_view metric, PositionRange at, std::int64_t t, double lowest,
                                   double highest, double difference) {
  const std::string message = with_metric(
      "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
      "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
      metric);
  const auto [entry, added] =
      entries_.try_emplace(message, Entry{at, false, Repair{t, t, lowest, highest, difference, 1}});
  if (added) return;
  Repair& repair = *entry->second.repair;
  entry->second.at = at;
  repair = {std::min(repair.first, t),
            std::max(repair.last, t),
            std::min(repair.lowest, lowest),
            std::max(repair.highest, highest),
            std::max(repair.difference, difference),
            repair.samples + 1};
}

std::vector<std::string> Annotations::texts(std::string_view query, bool warnings) const {
  std::vector<std::string> out;
  for (const auto& [message, entry] : entries_) {
    if (entry.is_warning != warnings) continue;
    std::string text = message;
    if (entry.repair) {
      const Repair& r = *entry.repair;
      text += ", from buckets " + format_general(r.lowest) + " to " + format_general(r.highest) +
              ", with a max diff of " + format_general(r.difference, 2) + ", over " + std::to_string(r.samples) +
              " samples from " + format_rfc3339(r.first) + " to " + format_rfc3339(r.last);
    }
    out.push_back(text + " (" + line_and_column(query, entry.at) + ")");
  }
  return out;
}

}  // namespace caisson::metrics::promql
