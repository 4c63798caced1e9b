// SPDX-License-Identifier: Apache-2.0
// Built-in kinds that are served in more than one version: what differs between two of them.
#include "cluster/apiserver/core.h"
#include "cluster/schema/tekton_versions.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

// An Event has other names for the same fields in its two groups (pkg/apis/events/v1/conversion.go).
constexpr std::pair<std::string_view, std::string_view> kEventNames[] = {{"involvedObject", "regarding"},
                                                                         {"message", "note"},
                                                                         {"source", "deprecatedSource"},
                                                                         {"firstTimestamp", "deprecatedFirstTimestamp"},
                                                                         {"lastTimestamp", "deprecatedLastTimestamp"},
                                                                         {"count", "deprecatedCount"},
                                                                         {"reportingComponent", "reportingController"}};

Value event_in_group(const Value& event, bool core_group) {
  Value out = Value::map();
  for (const auto& [key, value] : event.entries()) {
    std::string_view name = key;
    for (const auto& [core_name, new_name] : kEventNames)
      if (key == (core_group ? new_name : core_name)) name = core_group ? core_name : new_name;
    out.set(name, value);
  }
  // Fields that one group's JSON always has and the other's leaves out when empty.
  for (const char* field : {"reportingInstance", core_group ? "reportingComponent" : "reportingController"}) {
    if (core_group && !out.contains(field)) out.set(field, "");
    if (!core_group && out[field].is_string() && out[field].as_string().empty()) out.erase(field);
  }
  return out;
}

// --- HorizontalPodAutoscaler: autoscaling/v1 knows one metric, the CPU of pods; what else v2 has travels in
// annotations (pkg/apis/autoscaling/v1/conversion.go), where metrics have the flat form of v2's first drafts.

constexpr std::string_view kScalerAnnotations = "autoscaling.alpha.kubernetes.io/";

// "averageValue" of a target is "targetAverageValue" there.
std::string flat_name(std::string_view side, std::string_view name) {
  std::string out(side);
  out += static_cast<char>(name[0] & ~0x20);
  return out += name.substr(1);
}

std::string metric_member(const Value& metric) {
  std::string member = metric["type"].str();
  if (!member.empty()) member[0] = static_cast<char>(member[0] | 0x20);
  return member;
}

void move_member(const Value& from, std::string_view name, Value& to, std::string_view as) {
  if (const Value* value = from.find(name); value && !value->is_null()) to.set(as, *value);
}

constexpr std::string_view kAmounts[] = {"averageUtilization", "averageValue", "value"};

// `side`: "target" of a metric of spec, "current" of one of status.
Value flat_metric(const Value& metric, std::string_view side) {
  const std::string member = metric_member(metric);
  const Value& from = metric[member];
  Value to = Value::map();
  move_member(from, "name", to, "name");
  move_member(from, "container", to, "container");
  move_member(from, "describedObject", to, "target");
  move_member(from["metric"], "name", to, "metricName");
  move_member(from["metric"], "selector", to, member == "external" ? "metricSelector" : "selector");
  for (const std::string_view amount : kAmounts)
    move_member(from[side], amount, to,
                member == "object" && amount == "averageValue" ? amount : flat_name(side, amount));
  return Value{{"type", metric["type"]}, {member, std::move(to)}};
}

Value nested_metric(const Value& metric, std::string_view side) {
  const std::string member = metric_member(metric);
  const Value& from = metric[member];
  Value to = Value::map(), name = Value::map(), amounts = Value::map();
  move_member(from, "name", to, "name");
  move_member(from, "container", to, "container");
  move_member(from, "target", to, "describedObject");
  move_member(from, "metricName", name, "name");
  move_member(from, member == "external" ? "metricSelector" : "selector", name, "selector");
  for (const std::string_view amount : kAmounts)
    move_member(from, member == "object" && amount == "averageValue" ? amount : flat_name(side, amount), amounts,
                amount);
  if (!name.empty()) to.set("metric", std::move(name));
  if (side == "target")
    amounts.set("type", amounts.contains("averageUtilization") ? "Utilization"
                        : amounts.contains("averageValue")     ? "AverageValue"
                                                               : "Value");
  to.set(side, std::move(amounts));
  return Value{{"type", metric["type"]}, {member, std::move(to)}};
}

bool is_cpu_utilization(const Value& metric, std::string_view side) {
  return metric["type"].as_string() == "Resource" && metric["resource"]["name"].as_string() == "cpu" &&
         !metric["resource"][side]["averageUtilization"].is_null();
}

// The first CPU utilization of `metrics` becomes `plain` of `part`; the others go to an annotation of `object`.
void split_metrics(Value& object, const char* part, const char* list, std::string_view side, const char* plain,
                   const char* annotation) {
  const Value metrics = object[part][list];
  if (object[part].is_map()) object.edit(part).erase(list);
  Value others = Value::list();
  for (const Value& metric : metrics.items()) {
    if (object[part][plain].is_null() && is_cpu_utilization(metric, side))
      object.edit(part).set(plain, metric["resource"][side]["averageUtilization"]);
    else
      others.push_back(flat_metric(metric, side));
  }
  if (!others.empty())
    object.edit({"metadata", "annotations"}).set(std::string(kScalerAnnotations) + annotation, json::write(others));
}

void to_annotation(Value& object, const char* part, const char* member) {
  const Value value = object[part][member];
  if (value.empty()) return;
  object.edit(part).erase(member);
  object.edit({"metadata", "annotations"}).set(std::string(kScalerAnnotations) + member, json::write(value));
}

// The annotation's value; it goes. Null when there is none, or none of ours: people may write what they like.
Value from_annotation(Value& object, const char* name) {
  const std::string key = std::string(kScalerAnnotations) + name;
  const Value text = object["metadata"]["annotations"][key];
  const auto value = text.is_string() ? json::parse(text.as_string()) : Result<Value>(Value());
  if (!value.ok() || value->is_null()) return {};
  object.edit({"metadata", "annotations"}).erase(key);
  if (object["metadata"]["annotations"].empty()) object.edit("metadata").erase("annotations");
  return *value;
}

Value scaler_in_v1(Value object) {
  split_metrics(object, "spec", "metrics", "target", "targetCPUUtilizationPercentage", "metrics");
  split_metrics(object, "status", "currentMetrics", "current", "currentCPUUtilizationPercentage", "current-metrics");
  to_annotation(object, "spec", "behavior");
  to_annotation(object, "status", "conditions");
  if (object["status"].is_map() && object["status"]["currentReplicas"].is_null())
    object.edit("status").set("currentReplicas", 0);
  return object;
}

Value scaler_in_v2(Value object) {
  for (const auto& [part, plain, list, side, annotation] :
       {std::tuple("spec", "targetCPUUtilizationPercentage", "metrics", "target", "metrics"),
        std::tuple("status", "currentCPUUtilizationPercentage", "currentMetrics", "current", "current-metrics")}) {
    std::vector<Value> metrics;
    if (const Value percent = object[part][plain]; !percent.is_null()) {
      object.edit(part).erase(plain);
      const Value flat{{"name", "cpu"}, {flat_name(side, kAmounts[0]), percent}};
      metrics.push_back(nested_metric(Value{{"type", "Resource"}, {"resource", flat}}, side));
    }
    const Value others = from_annotation(object, annotation);
    for (const Value& metric : others.items()) metrics.push_back(nested_metric(metric, side));
    if (!metrics.empty()) object.edit(part).set(list, Value(std::move(metrics)));
  }
  if (const Value behavior = from_annotation(object, "behavior"); behavior.is_map())
    object.edit("spec").set("behavior", behavior);
  if (const Value conditions = from_annotation(object, "conditions"); conditions.is_list())
    object.edit("status").set("conditions", conditions);
  if (object["status"].is_map() && object["status"]["currentMetrics"].is_null())
    object.edit("status").set("currentMetrics", Value());
  return object;
}

}  // namespace

Value in_version(const schema::KindSchema& kind, const Value& stored) {
  const schema::Resource& resource = kind.resource;
  if (stored["apiVersion"].as_string() == resource.api_version()) return stored;
  Value object = stored;
  if (!kind.custom && resource.plural == "events")
    object = event_in_group(stored, resource.group.empty());
  else if (!kind.custom && resource.plural == "horizontalpodautoscalers")
    object = resource.version == "v1" ? scaler_in_v1(stored) : scaler_in_v2(stored);
  else if (kind.crd_name.empty() && resource.group == "tekton.dev")
    object = schema::tekton_in_version(stored, resource.kind, resource.version == "v1");
  object.set("apiVersion", resource.api_version());
  return object;
}

}  // namespace caisson::apiserver
