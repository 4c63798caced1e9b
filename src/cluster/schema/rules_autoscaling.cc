// SPDX-License-Identifier: Apache-2.0
// HorizontalPodAutoscalers (pkg/apis/autoscaling/validation of 1.33).
#include "cluster/schema/checks.h"
#include "cluster/schema/rules.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;
constexpr std::int64_t kStabilizationSecondsMax = 3600;
constexpr std::int64_t kPeriodSecondsMax = 1800;
const std::vector<std::string>& source_types() {
  static const std::vector<std::string> kTypes = {"ContainerResource", "External", "Object", "Pods", "Resource"};
  return kTypes;
}

void check_segment(const Value& value, const std::string& path, const std::string& detail, Errors& out) {
  if (value.as_string().empty()) {
    out.push_back(required_value(path, detail));
    return;
  }
  for (const std::string& why : check_path_segment(value.as_string())) out.push_back(invalid_value(path, value, why));
}

void check_reference(const Value& reference, const std::string& path, Errors& out) {
  check_segment(reference["kind"], path + ".kind", "", out);
  check_segment(reference["name"], path + ".name", "", out);
}

bool positive(const Value& quantity) {
  const std::string text = quantity.is_string() ? quantity.str() : quantity.scalar_text();
  return !text.starts_with('-') && text.find_first_of("123456789") != std::string::npos;
}

void check_target(const Value& target, const std::string& path, Errors& out) {
  const std::string_view type = target["type"].as_string();
  if (type.empty()) out.push_back(required_value(path + ".type", "must specify a metric target type"));
  if (type != "Utilization" && type != "Value" && type != "AverageValue")
    out.push_back(invalid_value(path + ".type", Value(type), "must be either Utilization, Value, or AverageValue"));
  for (const char* member : {"value", "averageValue"})
    if (!target[member].is_null() && !positive(target[member]))
      out.push_back(invalid_value(path + "." + member,
                                  go_value("resource.Quantity{" + target[member].scalar_text() + "}"),
                                  "must be positive"));
  if (const Value& utilization = target["averageUtilization"]; !utilization.is_null() && utilization.as_int() < 1)
    out.push_back(invalid_value(path + ".averageUtilization", utilization, "must be greater than 0"));
}

void check_source(std::string_view type, const Value& source, const std::string& path, Errors& out) {
  const Value& target = source["target"];
  const bool value = !target["value"].is_null(), average = !target["averageValue"].is_null();
  if (type == "object") check_reference(source["describedObject"], path + ".describedObject", out);
  if (type == "resource" || type == "containerResource") {
    if (source["name"].as_string().empty())
      out.push_back(required_value(path + ".name", "must specify a resource name"));
    if (type == "containerResource" && source["container"].as_string().empty())
      out.push_back(required_value(path + ".container", "must specify a container"));
    check_target(target, path + ".target", out);
    const bool utilization = !target["averageUtilization"].is_null();
    if (!utilization && !average)
      out.push_back(required_value(path + ".target.averageUtilization",
                                   "must set either a target raw value or a target utilization"));
    if (utilization && average)
      out.push_back(forbidden_value(path + ".target.averageValue",
                                    "may not set both a target raw value and a target utilization"));
    return;
  }
  check_segment(source["metric"]["name"], path + ".metric.name", "must specify a metric name", out);
  check_target(target, path + ".target", out);
  if (type == "pods" && !average)
    out.push_back(required_value(path + ".target.averageValue", "must specify a positive target averageValue"));
  if (type == "object" && !value && !average)
    out.push_back(required_value(path + ".target.averageValue", "must set either a target value or averageValue"));
  if (type != "external") return;
  if (!value && !average)
    out.push_back(
        required_value(path + ".target.averageValue", "must set either a target value for metric or a per-pod target"));
  if (value && average)
    out.push_back(
        forbidden_value(path + ".target.value", "may not set both a target value for metric and a per-pod target"));
}

void check_metric(const Value& metric, const std::string& path, Errors& out) {
  const Value type(metric["type"].as_string());
  const auto& known = source_types();
  const bool supported = std::find(known.begin(), known.end(), type.as_string()) != known.end();
  if (type.as_string().empty()) out.push_back(required_value(path + ".type", "must specify a metric source type"));
  // The reference looks twice.
  for (int times = 0; !supported && times < 2; ++times) out.push_back(unsupported_value(path + ".type", type, known));
  std::string expected(type.as_string());
  if (!expected.empty()) expected[0] = static_cast<char>(expected[0] | 0x20);
  std::vector<std::string> present;
  for (const char* source : {"object", "external", "pods", "resource", "containerResource"}) {
    if (!metric[source].is_map()) continue;
    if (present.empty()) check_source(source, metric[source], path + "." + source, out);
    present.emplace_back(source);
  }
  if (supported && !metric[expected].is_map())
    out.push_back(required_value(path + "." + expected, "must populate information for the given metric source"));
  if (present.size() == 1) return;
  for (const std::string& source : present)
    if (source != expected)
      out.push_back(forbidden_value(path + "." + source, "must populate the given metric source only"));
}

void check_scaling_rules(const Value& rules, const std::string& path, Errors& out) {
  if (!rules.is_map()) return;
  const Value& window = rules["stabilizationWindowSeconds"];
  if (!window.is_null() && window.as_int() < 0)
    out.push_back(invalid_value(path + ".stabilizationWindowSeconds", window, "must be greater than or equal to zero"));
  if (window.as_int() > kStabilizationSecondsMax)
    out.push_back(invalid_value(path + ".stabilizationWindowSeconds", window, "must be less than or equal to 3600"));
  const Value& select = rules["selectPolicy"];
  if (!select.is_null() && select.as_string() != "Max" && select.as_string() != "Min" &&
      select.as_string() != "Disabled")
    out.push_back(unsupported_value(path + ".selectPolicy", select, {"Disabled", "Max", "Min"}));
  const Value& policies = rules["policies"];
  if (policies.empty()) out.push_back(required_value(path + ".policies", "must specify at least one Policy"));
  for (std::size_t i = 0; i < policies.size(); ++i) {
    const std::string where = path + ".policies[" + std::to_string(i) + "]";
    const std::string_view type = policies[i]["type"].as_string();
    if (type != "Pods" && type != "Percent")
      out.push_back(unsupported_value(where + ".type", Value(type), {"Percent", "Pods"}));
    if (policies[i]["value"].as_int() <= 0)
      out.push_back(invalid_value(where + ".value", Value(policies[i]["value"].as_int()), "must be greater than zero"));
    const std::int64_t period = policies[i]["periodSeconds"].as_int();
    if (period <= 0) out.push_back(invalid_value(where + ".periodSeconds", Value(period), "must be greater than zero"));
    if (period > kPeriodSecondsMax)
      out.push_back(invalid_value(where + ".periodSeconds", Value(period), "must be less than or equal to 1800"));
  }
}

}  // namespace

void check_autoscaler(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  const Value &most = spec["maxReplicas"], &least = spec["minReplicas"];
  if (most.as_int() < 1)
    out.push_back(invalid_value("spec.maxReplicas", Value(most.as_int()), "must be greater than 0"));
  if (!least.is_null() && most.as_int() < least.as_int())
    out.push_back(
        invalid_value("spec.maxReplicas", Value(most.as_int()), "must be greater than or equal to `minReplicas`"));
  check_reference(spec["scaleTargetRef"], "spec.scaleTargetRef", out);
  // v1's one metric, which upstream checks in the form of v2.
  if (const Value& cpu = spec["targetCPUUtilizationPercentage"]; !cpu.is_null() && cpu.as_int() < 1)
    out.push_back(invalid_value("spec.metrics[0].resource.target.averageUtilization", cpu, "must be greater than 0"));
  bool others = false;
  for (std::size_t i = 0; i < spec["metrics"].size(); ++i) {
    check_metric(spec["metrics"][i], "spec.metrics[" + std::to_string(i) + "]", out);
    const std::string_view type = spec["metrics"][i]["type"].as_string();
    others = others || type == "Object" || type == "External";
  }
  if (!least.is_null() && least.as_int() == 0 && !others)
    out.push_back(forbidden_value(
        "spec.metrics", "must specify at least one Object or External metric to support scaling to zero replicas"));
  check_scaling_rules(spec["behavior"]["scaleUp"], "spec.behavior.scaleUp", out);
  check_scaling_rules(spec["behavior"]["scaleDown"], "spec.behavior.scaleDown", out);
}

}  // namespace caisson::schema
