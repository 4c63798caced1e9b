// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/horizontal_pod_autoscaler.h"
#include "cluster/kube/quantity.h"
#include "cluster/kube/resource_usage.h"

namespace caisson::controllers {
namespace {

// What a metric of the specification gave.
struct MetricResult {
  Proposal proposal;
  std::string name;  // as the reason of a rescale names it
  Value status;
};
struct MetricFailure {
  std::string_view reason;  // of condition and event: "FailedGetResourceMetric"
  std::string condition;    // what the condition tells
  std::string error;        // what the round tells
};

struct Context {
  const ScaleTarget& target;
  std::string ns;
  MetricsSource& metrics;
  Time now;
};

Error failed(std::string_view doing, const Error& error) {
  return Error{error.code, std::string(doing) + ": " + error.message};
}

std::string quantity(std::int64_t milli) {
  return kube::format_quantity_milli(milli);
}
std::int64_t milli(const Value& of) {
  return kube::amount_of(of).milli;
}

// Types Resource and ContainerResource.
Result<MetricResult> by_resource(const Context& at, const Value& spec, std::string_view member) {
  const std::string resource = spec["name"].str(), container = spec["container"].str();
  const Value& target = spec["target"];
  const bool by_average = !target["averageValue"].is_null();
  if (!by_average && target["averageUtilization"].is_null())
    return Error{ErrorCode::bad_request,
                 "invalid resource metric source: neither an average utilization target nor an average value (usage) "
                 "target was set"};
  const std::string doing = "failed to get " + resource + (by_average ? " usage" : " utilization");
  const auto readings = at.metrics.resource(resource, at.ns, at.target.selector, container);
  if (!readings.ok()) return failed(doing + ": unable to get metrics for resource " + resource, readings.error());
  const auto proposal = by_average
                            ? replicas_for_average(at.target.spec_replicas, milli(target["averageValue"]), resource,
                                                   *readings, at.target.pods, at.now)
                            : replicas_for_utilization(at.target.spec_replicas, target["averageUtilization"].as_int(),
                                                       resource, container, *readings, at.target.pods, at.now);
  if (!proposal.ok()) return failed(doing, proposal.error());
  Value current{{"averageValue", quantity(proposal->milli)}};
  if (!by_average) current.set("averageUtilization", proposal->utilization);
  Value shown{{"current", std::move(current)}, {"name", resource}};
  if (!container.empty()) shown.set("container", container);
  const std::string name = resource + " resource" + (by_average ? "" : " utilization (percentage of request)");
  const std::string_view type = container.empty() ? "Resource" : "ContainerResource";
  return MetricResult{*proposal, name, Value{{"type", type}, {member, std::move(shown)}}};
}

Value identifier(const Value& metric) {
  Value out{{"name", metric["name"]}};
  if (!metric["selector"].is_null()) out.set("selector", metric["selector"]);
  return out;
}

Result<MetricResult> by_pods(const Context& at, const Value& spec) {
  const std::string name = spec["metric"]["name"].str();
  const auto readings = at.metrics.pods({name, spec["metric"]["selector"]}, at.ns, at.target.selector);
  if (!readings.ok()) return failed("unable to get metric " + name, readings.error());
  const Proposal proposal = TRY(replicas_for_average(at.target.spec_replicas, milli(spec["target"]["averageValue"]), "",
                                                     *readings, at.target.pods, at.now));
  Value shown{{"metric", identifier(spec["metric"])}, {"current", Value{{"averageValue", quantity(proposal.milli)}}}};
  return MetricResult{proposal, "pods metric " + name, Value{{"type", "Pods"}, {"pods", std::move(shown)}}};
}

// One value against a value, or against one for each replica: types Object and External.
MetricResult by_value(const Context& at, const Value& target, std::int64_t value, std::string name) {
  const bool per_pod = target["type"].as_string() == "AverageValue" || target["value"].is_null();
  const Proposal proposal =
      per_pod ? replicas_for_value_per_pod(at.target.status_replicas, milli(target["averageValue"]), value)
              : replicas_for_value(at.target.spec_replicas, milli(target["value"]), value, at.target.pods);
  return MetricResult{proposal, std::move(name), Value{{per_pod ? "averageValue" : "value", quantity(proposal.milli)}}};
}

Result<MetricResult> by_object(const Context& at, const Value& spec) {
  const Value& of = spec["describedObject"];
  const std::string name = spec["metric"]["name"].str();
  const auto value = at.metrics.object({name, spec["metric"]["selector"]}, at.ns, of);
  if (!value.ok()) {
    return failed("failed to get object metric: unable to get metric " + name,
                  Error{value.error().code,
                        of["kind"].str() + " on " + at.ns + " " + of["name"].str() + "/" + value.error().message});
  }
  MetricResult out = by_value(at, spec["target"], *value, of["kind"].str() + " metric " + name);
  Value shown{{"metric", identifier(spec["metric"])}, {"current", out.status}, {"describedObject", of}};
  out.status = Value{{"type", "Object"}, {"object", std::move(shown)}};
  return out;
}

Result<MetricResult> by_external(const Context& at, const Value& spec) {
  const std::string name = spec["metric"]["name"].str();
  const Value& selector = spec["metric"]["selector"];
  const auto value = at.metrics.external({name, selector}, at.ns);
  if (!value.ok()) {
    return failed("failed to get " + name + " external metric: unable to get external metric " + at.ns + "/" + name +
                      "/" + go_selector(selector),
                  value.error());
  }
  MetricResult out =
      by_value(at, spec["target"], *value, "external metric " + name + "(" + go_selector(selector) + ")");
  Value shown{{"metric", identifier(spec["metric"])}, {"current", out.status}};
  out.status = Value{{"type", "External"}, {"external", std::move(shown)}};
  return out;
}

Result<MetricResult> measure(const Context& at, const Value& metric, MetricFailure& failure) {
  const std::string_view type = metric["type"].as_string();
  const auto told = [&failure](std::string_view reason, const std::string& doing, Result<MetricResult> result) {
    if (!result.ok()) {
      failure = {reason, "the HPA was unable to compute the replica count: " + result.error().message,
                 doing + ": " + result.error().message};
    }
    return result;
  };
  if (type == "Resource") {
    return told("FailedGetResourceMetric",
                "failed to get " + metric["resource"]["name"].str() + " resource metric value",
                by_resource(at, metric["resource"], "resource"));
  }
  if (type == "ContainerResource") {
    return told("FailedGetContainerResourceMetric",
                "failed to get " + metric["containerResource"]["name"].str() + " container metric value",
                by_resource(at, metric["containerResource"], "containerResource"));
  }
  if (type == "Pods")
    return told("FailedGetPodsMetric", "failed to get pods metric value", by_pods(at, metric["pods"]));
  if (type == "Object")
    return told("FailedGetObjectMetric", "failed to get object metric value", by_object(at, metric["object"]));
  if (type == "External") {
    return told("FailedGetExternalMetric",
                "failed to get " + metric["external"]["metric"]["name"].str() + " external metric",
                by_external(at, metric["external"]));
  }
  failure = {
      "InvalidMetricSourceType",
      "the HPA was unable to compute the replica count: unknown metric source type \"" + std::string(type) + "\"",
      "unknown metric source type \"" + std::string(type) + "\""};
  return Error{ErrorCode::bad_request, failure.error};
}

// The most that any metric asks for. A metric that fails forbids to shrink, and all of them forbid any change.
struct Measured {
  std::int64_t replicas = -1;
  std::string metric;
};
Measured measure_all(Object& autoscaler, const Context& at, AutoscalingRound& round) {
  Measured most;
  std::optional<MetricFailure> first;
  std::size_t failures = 0;
  const Value& specs = autoscaler.spec()["metrics"];
  Value statuses = Value::list();
  for (const Value& spec : specs.items()) {
    MetricFailure failure;
    auto result = measure(at, spec, failure);
    if (!result.ok()) {
      ++failures;
      round.warnings.emplace_back(failure.reason, result.error().message);
      if (!first) first = std::move(failure);
      continue;
    }
    statuses.push_back(std::move(result->status));
    if (result->proposal.replicas > most.replicas) most = {result->proposal.replicas, std::move(result->name)};
  }
  if (first && (failures == specs.size() || most.replicas < at.target.spec_replicas)) {
    kube::set_condition(autoscaler, "ScalingActive", false, first->reason, first->condition, at.now);
    round.failure = "invalid metrics (" + std::to_string(failures) + " invalid out of " + std::to_string(specs.size()) +
                    "), first error is: " + first->error;
    return {};
  }
  kube::set_condition(autoscaler, "ScalingActive", true, "ValidMetricFound",
                      "the HPA was able to successfully calculate a replica count from " + most.metric, at.now);
  round.current_metrics = std::move(statuses);
  return most;
}

}  // namespace

AutoscalingRound plan_autoscaling(Object& autoscaler, const ScaleTarget& target, AutoscalingHistory& history,
                                  MetricsSource& metrics, Time now) {
  AutoscalingRound round;
  const std::int64_t current = target.spec_replicas;
  const std::int64_t min = autoscaler.spec()["minReplicas"].as_int(1), max = autoscaler.spec()["maxReplicas"].as_int();
  if (history.recommendations.empty()) history.recommendations.push_back({current, now});
  if (current == 0 && min != 0) {
    kube::set_condition(autoscaler, "ScalingActive", false, "ScalingDisabled",
                        "scaling is disabled since the replica count of the target is zero", now);
    return round;
  }
  if (current > max || current < min) {
    round.rescales = true;
    round.replicas = current > max ? max : min;
    round.rescale_reason = current > max ? "Current number of replicas above Spec.MaxReplicas"
                                         : "Current number of replicas below Spec.MinReplicas";
    return round;
  }
  if (target.selector.empty()) {
    kube::set_condition(autoscaler, "ScalingActive", false, "InvalidSelector",
                        "the HPA target's scale is missing a selector", now);
    round.warnings.emplace_back("SelectorRequired", "selector is required");
    round.failure = "selector is required";
    return round;
  }
  const Measured most = measure_all(autoscaler, {target, autoscaler.ns(), metrics, now}, round);
  if (!round.failure.empty()) return round;
  const Limited limit = limit_scaling(history, autoscaler.spec()["behavior"], current, most.replicas, min, max, now);
  kube::set_condition(autoscaler, "AbleToScale", true, limit.able_reason, limit.able_message, now);
  kube::set_condition(autoscaler, "ScalingLimited", limit.is_limited, limit.limit_reason, limit.limit_message, now);
  round.replicas = limit.replicas;
  round.rescales = limit.replicas != current;
  if (most.replicas > current) round.rescale_reason = most.metric + " above target";
  if (most.replicas < current) round.rescale_reason = "All metrics below target";
  return round;
}

}  // namespace caisson::controllers
