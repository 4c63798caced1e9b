// SPDX-License-Identifier: Apache-2.0
// Warnings and infos of a query: what the result does not show, with the place in the query. Texts are upstream's. One
// thread.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "observe/metrics/promql/ast.h"

namespace caisson::metrics::promql {

class Annotations {
 public:
  void warn(std::string message, PositionRange at) { add("PromQL warning: " + std::move(message), at, true); }
  void info(std::string message, PositionRange at) { add("PromQL info: " + std::move(message), at, false); }

  void mixed_floats_histograms(std::string_view metric, PositionRange at);
  void mixed_floats_histograms_in_aggregation(PositionRange at);
  void mixed_exponential_custom(std::string_view metric, PositionRange at);
  void not_a_counter(std::string_view metric, PositionRange at);
  void not_a_gauge(std::string_view metric, PositionRange at);
  void histograms_ignored_in_range(std::string_view metric, PositionRange at);
  void histograms_ignored_in_aggregation(std::string_view aggregation, PositionRange at);
  void bounds_reconciled(std::string_view operation, PositionRange at);  // addition, subtraction, aggregation
  void reset_collision(std::string_view operation, PositionRange at);
  void invalid_quantile(double q, PositionRange at);
  void forced_monotonic(std::string_view metric, PositionRange at, std::int64_t t, double lowest, double highest,
                        double difference);

  // Each ends with its place: "… (1:5)". Ordered by text.
  std::vector<std::string> warnings(std::string_view query) const { return texts(query, true); }
  std::vector<std::string> infos(std::string_view query) const { return texts(query, false); }

 private:
  // Where histogram_quantile had to repair its input.
  struct Repair {
    std::int64_t first, last;
    double lowest, highest, difference;
    int samples;
  };
  struct Entry {
    PositionRange at;
    bool is_warning;
    std::optional<Repair> repair;
  };
  void add(std::string message, PositionRange at, bool is_warning);
  std::vector<std::string> texts(std::string_view query, bool warnings) const;

  std::map<std::string, Entry> entries_;  // by message: said once, of the last place
};

std::string with_metric(std::string message, std::string_view metric);  // … for metric name "x"; as it is when empty

}  // namespace caisson::metrics::promql
