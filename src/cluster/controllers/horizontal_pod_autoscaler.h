// SPDX-License-Identifier: Apache-2.0
// HorizontalPodAutoscaler (autoscaling/v2): each 15 seconds a target's replicas follow its metrics. Source:
// pkg/controller/podautoscaler/horizontal.go (v1.33). The arithmetic is in autoscaling.h.
#pragma once
#include <memory>

#include "cluster/controllers/autoscaling.h"
#include "cluster/controllers/metrics_source.h"
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

inline constexpr Duration kAutoscalingPeriod = std::chrono::seconds(15);

// What one round sees of the target.
struct ScaleTarget {
  std::string reference;  // "Deployment/shop/web": for messages
  std::int64_t spec_replicas = 0, status_replicas = 0;
  std::string selector;
  std::vector<Object> pods;
};
struct AutoscalingRound {
  bool rescales = false;
  std::int64_t replicas = 0;   // wanted; when it rescales
  std::string rescale_reason;  // "cpu resource utilization (percentage of request) above target"
  Value current_metrics;       // status.currentMetrics; null: as before
  std::string failure;         // of all metrics; empty: none
  std::vector<std::pair<std::string, std::string>> warnings;  // events to record: reason, message
};
// One round for `autoscaler`, whose conditions it edits.
AutoscalingRound plan_autoscaling(Object& autoscaler, const ScaleTarget& target, AutoscalingHistory& history,
                                  MetricsSource& metrics, Time now);

// `metrics` null: those of the cluster.
void add_horizontal_pod_autoscaler(kube::Runtime& runtime, std::unique_ptr<MetricsSource> metrics = nullptr);

}  // namespace caisson::controllers
