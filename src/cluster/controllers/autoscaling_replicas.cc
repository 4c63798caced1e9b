// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <set>

#include "cluster/controllers/autoscaling.h"
#include "cluster/kube/resource_usage.h"

namespace caisson::controllers {
namespace {

// Pods by what their readings are worth.
struct Groups {
  std::int64_t ready = 0;
  std::set<std::string> unready, missing, ignored;
};

// Readings of a pod that has just started, or is not ready, say nothing about the load that it will take.
bool is_unready_for_cpu(const Object& pod, const PodMetric& metric, Time now, const AutoscalingRules& rules) {
  const Value& ready = kube::condition(pod, "Ready");
  const auto started = parse_time(pod.status()["startTime"].as_string());
  const auto changed = parse_time(ready["lastTransitionTime"].as_string());
  if (ready.is_null() || !started || !changed) return true;
  const bool is_false = ready["status"].as_string() == "False";
  if (*started + rules.cpu_initialization_period > now) return is_false || metric.at < *changed + metric.window;
  return is_false && *started + rules.initial_readiness_delay > *changed;
}

Groups group(const std::vector<Object>& pods, const PodMetrics& metrics, std::string_view resource, Time now,
             const AutoscalingRules& rules) {
  Groups out;
  for (const Object& pod : pods) {
    const std::string_view phase = pod.status()["phase"].as_string();
    if (pod.deleting() || phase == "Failed") {
      out.ignored.insert(pod.name());
      continue;
    }
    if (phase == "Pending") {
      out.unready.insert(pod.name());
      continue;
    }
    const auto metric = metrics.find(pod.name());
    if (metric == metrics.end()) {
      out.missing.insert(pod.name());
    } else if (resource == "cpu" && is_unready_for_cpu(pod, metric->second, now, rules)) {
      out.unready.insert(pod.name());
    } else {
      ++out.ready;
    }
  }
  return out;
}

Result<std::int64_t> requested_milli(const Object& pod, std::string_view resource, std::string_view container) {
  std::int64_t sum = 0;
  const auto add = [&](const Value& of) -> Result<void> {
    if (!container.empty() && of["name"].as_string() != container) return {};
    const Value& request = of["resources"]["requests"][resource];
    if (request.is_null()) {
      return Error{ErrorCode::bad_request, "missing request for " + std::string(resource) + " in container " +
                                               of["name"].str() + " of Pod " + pod.name()};
    }
    sum += kube::amount_of(request).milli;
    return {};
  };
  for (const Value& one : pod.spec()["containers"].items()) TRY(add(one));
  for (const Value& one : pod.spec()["initContainers"].items()) {
    if (one["restartPolicy"].as_string() == "Always") TRY(add(one));
  }
  return sum;
}

using Requests = std::map<std::string, std::int64_t>;
Result<Requests> requests_of(const std::vector<Object>& pods, std::string_view resource, std::string_view container) {
  Requests out;
  for (const Object& pod : pods) {
    const std::int64_t milli = TRY(requested_milli(pod, resource, container));
    out[pod.name()] = milli;
  }
  return out;
}

struct Usage {
  double ratio = 0;
  std::int64_t utilization = 0, average_milli = 0;
};
Result<Usage> usage_of_requests(const PodMetrics& metrics, const Requests& requests, std::int64_t target_percent) {
  std::int64_t used = 0, asked = 0, count = 0;
  for (const auto& [name, metric] : metrics) {
    const auto request = requests.find(name);
    if (request == requests.end()) continue;
    used += metric.milli;
    asked += request->second;
    ++count;
  }
  if (asked == 0) return Error{ErrorCode::bad_request, "no metrics returned matched known pods"};
  Usage out;
  out.utilization = used * 100 / asked;
  out.ratio = static_cast<double>(out.utilization) / static_cast<double>(target_percent);
  out.average_milli = used / count;
  return out;
}
Result<Usage> usage_of_average(const PodMetrics& metrics, std::int64_t target_milli) {
  std::int64_t used = 0;
  for (const auto& [name, metric] : metrics) used += metric.milli;
  Usage out;
  out.average_milli = used / static_cast<std::int64_t>(metrics.size());
  out.ratio = static_cast<double>(out.average_milli) / static_cast<double>(target_milli);
  return out;
}

bool within(double ratio, const AutoscalingRules& rules) {
  return std::abs(1.0 - ratio) <= rules.tolerance;
}
std::int64_t rounded_up(double replicas) {
  return static_cast<std::int64_t>(std::ceil(replicas));
}

// The common part: pods without a reading count as if they spoke against the change, pods that are not ready as idle,
// and a count that would turn around because of that stays.
template <class Measure, class FillLow>
Result<Proposal> weigh(std::int64_t current, std::string_view resource, PodMetrics metrics,
                       const std::vector<Object>& pods, Time now, const AutoscalingRules& rules, Measure measure,
                       FillLow fill_low) {
  const Groups groups = group(pods, metrics, resource, now, rules);
  for (const auto* names : {&groups.ignored, &groups.unready}) {
    for (const std::string& name : *names) metrics.erase(name);
  }
  if (metrics.empty())
    return Error{ErrorCode::bad_request, "did not receive metrics for targeted pods (pods might be unready)"};
  const Usage usage = TRY(measure(metrics));
  Proposal out{current, usage.utilization, usage.average_milli};
  const bool grows_with_unready = !groups.unready.empty() && usage.ratio > 1.0;
  if (!grows_with_unready && groups.missing.empty()) {
    if (!within(usage.ratio, rules)) out.replicas = rounded_up(usage.ratio * static_cast<double>(groups.ready));
    return out;
  }
  for (const std::string& name : groups.missing) {
    if (usage.ratio < 1.0) metrics[name].milli = fill_low(name);
    if (usage.ratio > 1.0) metrics[name].milli = 0;
  }
  if (grows_with_unready) {
    for (const std::string& name : groups.unready) metrics[name].milli = 0;
  }
  const Usage again = TRY(measure(metrics));
  const bool turned = (usage.ratio < 1.0 && again.ratio > 1.0) || (usage.ratio > 1.0 && again.ratio < 1.0);
  if (within(again.ratio, rules) || turned) return out;
  const std::int64_t replicas = rounded_up(again.ratio * static_cast<double>(metrics.size()));
  if ((again.ratio < 1.0 && replicas > current) || (again.ratio > 1.0 && replicas < current)) return out;
  out.replicas = replicas;
  return out;
}

}  // namespace

Result<Proposal> replicas_for_utilization(std::int64_t current, std::int64_t target_percent, std::string_view resource,
                                          std::string_view container, const PodMetrics& metrics,
                                          const std::vector<Object>& pods, Time now, const AutoscalingRules& rules) {
  if (pods.empty())
    return Error{ErrorCode::bad_request, "no pods returned by selector while calculating replica count"};
  const Requests requests = TRY(requests_of(pods, resource, container));
  const auto measure = [&](const PodMetrics& readings) {
    return usage_of_requests(readings, requests, target_percent);
  };
  const auto fill_low = [&](const std::string& name) {
    return requests.at(name) * std::max<std::int64_t>(100, target_percent) / 100;
  };
  return weigh(current, resource, metrics, pods, now, rules, measure, fill_low);
}

Result<Proposal> replicas_for_average(std::int64_t current, std::int64_t target_milli, std::string_view resource,
                                      const PodMetrics& metrics, const std::vector<Object>& pods, Time now,
                                      const AutoscalingRules& rules) {
  if (pods.empty())
    return Error{ErrorCode::bad_request, "no pods returned by selector while calculating replica count"};
  const auto measure = [&](const PodMetrics& readings) { return usage_of_average(readings, target_milli); };
  return weigh(current, resource, metrics, pods, now, rules, measure, [&](const std::string&) { return target_milli; });
}

Proposal replicas_for_value(std::int64_t current, std::int64_t target_milli, std::int64_t value_milli,
                            const std::vector<Object>& pods, const AutoscalingRules& rules) {
  const double ratio = static_cast<double>(value_milli) / static_cast<double>(target_milli);
  Proposal out{current, 0, value_milli};
  if (current == 0) {
    out.replicas = rounded_up(ratio);
    return out;
  }
  if (within(ratio, rules)) return out;
  std::int64_t ready = 0;
  for (const Object& pod : pods) {
    if (pod.status()["phase"].as_string() == "Running" && is_ready(pod)) ++ready;
  }
  out.replicas = rounded_up(ratio * static_cast<double>(ready));
  return out;
}

Proposal replicas_for_value_per_pod(std::int64_t status_replicas, std::int64_t target_milli, std::int64_t value_milli,
                                    const AutoscalingRules& rules) {
  const auto replicas = static_cast<double>(status_replicas);
  const auto value = static_cast<double>(value_milli), target = static_cast<double>(target_milli);
  Proposal out{status_replicas, 0, value_milli};
  if (status_replicas == 0 || !within(value / (target * replicas), rules)) out.replicas = rounded_up(value / target);
  if (status_replicas > 0) out.milli = rounded_up(value / replicas);
  return out;
}

}  // namespace caisson::controllers
