// SPDX-License-Identifier: Apache-2.0
// Service discovery over kube objects: ServiceMonitor, PodMonitor, Probe (monitoring.coreos.com/v1) and the
// prometheus.io annotations, to jobs and what each discovers. Labels are those of Prometheus' kubernetes_sd (roles
// endpointslice and pod) and of the jobs that Prometheus operator 0.85 generates. Pure functions; any thread.
#pragma once
#include <functional>

#include "cluster/kube/object.h"
#include "observe/metrics/scrape/target.h"

namespace caisson::metrics {

const kube::Resource& service_monitors();
const kube::Resource& pod_monitors();
const kube::Resource& probes();

// All objects of a kind, as an informer has them.
using ObjectLister = std::function<std::vector<kube::Object>(const kube::Resource&)>;

struct ScrapeDefaults {
  std::int64_t interval_ms = 30'000, timeout_ms = 10'000;
  bool native_histograms = false;
};

struct DiscoveredJob {
  std::shared_ptr<const ScrapeJob> job;
  std::vector<Labels> targets;  // before relabelling
};

struct Discovered {
  std::vector<DiscoveredJob> jobs;
  std::vector<std::string> problems;  // "ServiceMonitor shop/web: …": what could not be read
};

Discovered discover(const ObjectLister& list, const ScrapeDefaults& defaults);

// scrape_configs of a prometheus.yml: static_configs and the options of a job. Errors: bad_request with the job's name.
Result<std::vector<DiscoveredJob>> static_jobs(const Value& scrape_configs, const ScrapeDefaults& defaults);

}  // namespace caisson::metrics
