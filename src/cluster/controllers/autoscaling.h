// SPDX-License-Identifier: Apache-2.0
// The arithmetic of the HorizontalPodAutoscaler: how many replicas a metric asks for, and how fast the count may move.
// Pure functions; any thread. Source: pkg/controller/podautoscaler/{replica_calculator,horizontal}.go and
// metrics/utilization.go (v1.33).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cluster/controllers/pods.h"

namespace caisson::controllers {

// A reading for each pod, in thousandths. `window` is the time over which it was measured.
struct PodMetric {
  std::int64_t milli = 0;
  Time at;
  Duration window = std::chrono::seconds(30);
};
using PodMetrics = std::map<std::string, PodMetric>;  // by the pod's name

struct AutoscalingRules {
  double tolerance = 0.1;
  Duration cpu_initialization_period = std::chrono::minutes(5);
  Duration initial_readiness_delay = std::chrono::seconds(30);
};

// What a metric asks for, and what it reads now.
struct Proposal {
  std::int64_t replicas = 0;
  std::int64_t utilization = 0;  // percent of the requests; of resource metrics with a utilization target
  std::int64_t milli = 0;        // the average over pods, or the value
};

// --- replicas from readings. `pods`: all that the target selects. Errors: bad_request, in upstream's words.

// A resource against a percentage of what the pods request. `container`: of that container only; empty: of all.
Result<Proposal> replicas_for_utilization(std::int64_t current, std::int64_t target_percent, std::string_view resource,
                                          std::string_view container, const PodMetrics& metrics,
                                          const std::vector<Object>& pods, Time now,
                                          const AutoscalingRules& rules = {});
// A metric against an average per pod. `resource`: "cpu" and "memory" for resource metrics, empty for others.
Result<Proposal> replicas_for_average(std::int64_t current, std::int64_t target_milli, std::string_view resource,
                                      const PodMetrics& metrics, const std::vector<Object>& pods, Time now,
                                      const AutoscalingRules& rules = {});
// One value (of an object, or the sum of an external metric) against a value.
Proposal replicas_for_value(std::int64_t current, std::int64_t target_milli, std::int64_t value_milli,
                            const std::vector<Object>& pods, const AutoscalingRules& rules = {});
// The same against a value for each replica there is.
Proposal replicas_for_value_per_pod(std::int64_t status_replicas, std::int64_t target_milli, std::int64_t value_milli,
                                    const AutoscalingRules& rules = {});

// --- how fast the count may move

struct Recommendation {
  std::int64_t replicas;
  Time at;
};
struct ScaleChange {
  std::int64_t replicas;  // by so many, above 0
  Time at;
};
// What an autoscaler remembers; like upstream it begins anew when the program does.
struct AutoscalingHistory {
  std::vector<Recommendation> recommendations;
  std::vector<ScaleChange> ups, downs;
};

struct Limited {
  std::int64_t replicas = 0;
  std::string_view able_reason, able_message;  // condition AbleToScale, always True
  bool is_limited = false;                     // condition ScalingLimited
  std::string_view limit_reason, limit_message;
};
// `desired`, held back by the stabilisation windows, the policies of spec.behavior (null: upstream's defaults), and the
// bounds. Records `desired` as a recommendation.
Limited limit_scaling(AutoscalingHistory& history, const Value& behavior, std::int64_t current, std::int64_t desired,
                      std::int64_t min, std::int64_t max, Time now);
// To be called when the count was changed: policies look back on it.
void record_scaling(AutoscalingHistory& history, const Value& behavior, std::int64_t before, std::int64_t after,
                    Time now);

}  // namespace caisson::controllers
