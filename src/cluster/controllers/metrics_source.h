// SPDX-License-Identifier: Apache-2.0
// Where the HorizontalPodAutoscaler's readings come from: the APIs metrics.k8s.io, custom.metrics.k8s.io and
// external.metrics.k8s.io, asked through kube::Client, so that an adapter behind any of them serves. Source:
// pkg/controller/podautoscaler/metrics/client.go (v1.33).
#pragma once
#include <memory>
#include <string>

#include "cluster/controllers/autoscaling.h"
#include "cluster/kube/client.h"

namespace caisson::controllers {

// A metric by name and, optionally, by labels of the metric (a label selector object; null: none).
struct MetricQuery {
  std::string name;
  Value selector;
};

// Any thread; calls block. Errors are in upstream's words: the autoscaler's conditions show them.
class MetricsSource {
 public:
  virtual ~MetricsSource() = default;
  // `container`: of that container only; empty: of the pod. bad_request when no pod has a reading.
  virtual Result<PodMetrics> resource(std::string_view resource, const std::string& ns, const std::string& selector,
                                      const std::string& container) = 0;
  virtual Result<PodMetrics> pods(const MetricQuery& metric, const std::string& ns, const std::string& selector) = 0;
  // In thousandths. `object`: a reference {apiVersion, kind, name}.
  virtual Result<std::int64_t> object(const MetricQuery& metric, const std::string& ns, const Value& object) = 0;
  virtual Result<std::int64_t> external(const MetricQuery& metric, const std::string& ns) = 0;  // the sum
};

// `client` must outlive it.
std::unique_ptr<MetricsSource> metrics_of_cluster(kube::Client& client);

// How Go prints a *LabelSelector, which upstream's messages hold: "nil", "&LabelSelector{MatchLabels:…,}".
std::string go_selector(const Value& selector);

}  // namespace caisson::controllers
