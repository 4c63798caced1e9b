// SPDX-License-Identifier: Apache-2.0
// Workloads: selector against template, strategies, restart policies (pkg/apis/{apps,batch}/validation of 1.33).
#include "cluster/schema/checks.h"
#include "cluster/schema/rules.h"
#include "core/base/text.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;

// As upstream's LabelSelectorAsSelector says of one it can't use.
bool is_usable(const Value& selector) {
  Errors wrong;
  check_label_selector(selector, "", wrong);
  return wrong.empty();
}

void check_template(const Value& object, const Value& selector, Errors& out) {
  const Value& pod_template = object["spec"]["template"];
  const Value& labels = pod_template["metadata"]["labels"];
  // The template's own labels and annotations have a short path upstream.
  check_labels(labels, "spec.template.labels", out);
  check_annotation_keys(pod_template["metadata"]["annotations"], "spec.template.annotations", out);
  const bool selects_all = selector.is_map() && selector.empty();
  if (!selects_all && !selector_matches(selector, labels)) {
    // Upstream looks at this before the template's spec, whose fields may have been found wrong already.
    const auto after = std::find_if(
        out.begin(), out.end(), [](const FieldError& error) { return error.field.starts_with("spec.template.spec"); });
    out.insert(after, invalid_value("spec.template.metadata.labels", go_map(labels),
                                    "`selector` does not match template `labels`"));
  }
  // Upstream leaves a StatefulSet's Pods to be checked when they are made: mounts may name claim templates.
  if (object["kind"].as_string() != "StatefulSet") check_pod_spec(pod_template["spec"], "spec.template.spec", out);
}

// Which Pods are meant; false: nobody can tell, and the template is not looked at.
bool check_selector(const Value& object, std::string_view shown_kind, bool required, Errors& out) {
  const Value& selector = object["spec"]["selector"];
  if (selector.is_null()) {
    if (required) out.push_back(required_value("spec.selector"));
    return true;
  }
  check_label_selector(selector, "spec.selector", out);
  if (selector["matchLabels"].empty() && selector["matchExpressions"].empty())
    out.push_back(invalid_value("spec.selector", selector, "empty selector is invalid for " + std::string(shown_kind)));
  if (is_usable(selector)) return true;
  if (required) out.push_back(invalid_value("spec.selector", selector, "invalid label selector"));
  return false;
}

void always_restarts(const Value& object, Errors& out) {
  const Value& policy = object["spec"]["template"]["spec"]["restartPolicy"];
  if (policy.as_string() != "Always")
    out.push_back(unsupported_value("spec.template.spec.restartPolicy", policy, {"Always"}));
  if (!object["spec"]["template"]["spec"]["activeDeadlineSeconds"].is_null()) {
    const std::string_view kind = object["kind"].as_string();
    out.push_back(forbidden_value(
        "spec.template.spec.activeDeadlineSeconds",
        "activeDeadlineSeconds in " + std::string(kind == "Deployment" ? "ReplicaSet" : kind) + " is not Supported"));
  }
}

bool is_zero(const Value& value) {
  return (value.is_int() && value.as_int() == 0) ||
         (value.is_string() && (value.as_string() == "0%" || value.as_string() == "0"));
}

void check_deployment(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  const Value& strategy = spec["strategy"];
  const Value& rolling = strategy["rollingUpdate"];
  if (strategy["type"].as_string() == "Recreate" && rolling.is_map()) {
    out.push_back(
        forbidden_value("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"));
  } else if (strategy["type"].as_string() == "RollingUpdate") {
    check_count_or_percent(rolling["maxUnavailable"], "spec.strategy.rollingUpdate.maxUnavailable", out);
    check_count_or_percent(rolling["maxSurge"], "spec.strategy.rollingUpdate.maxSurge", out);
    if (is_zero(rolling["maxUnavailable"]) && is_zero(rolling["maxSurge"])) {
      out.push_back(invalid_value("spec.strategy.rollingUpdate.maxUnavailable", rolling["maxUnavailable"],
                                  "may not be 0 when `maxSurge` is 0"));
    }
  }
  if (!spec["progressDeadlineSeconds"].is_null() &&
      spec["progressDeadlineSeconds"].as_int() <= spec["minReadySeconds"].as_int()) {
    out.push_back(invalid_value("spec.progressDeadlineSeconds", spec["progressDeadlineSeconds"],
                                "must be greater than minReadySeconds"));
  }
}

void check_daemon_set(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  const Value& strategy = spec["updateStrategy"];
  if (strategy["type"].as_string() != "RollingUpdate" && strategy["type"].as_string() != "OnDelete")
    out.push_back(unsupported_value("spec.updateStrategy",
                                    go_value("apps.DaemonSetUpdateStrategy{Type:\"" + strategy["type"].str() +
                                             "\", RollingUpdate:(*apps.RollingUpdateDaemonSet)(nil)}"),
                                    {"RollingUpdate", "OnDelete"}));
  const Value& rolling = strategy["rollingUpdate"];
  if (!rolling.is_map()) return;
  const bool surge = !is_zero(rolling["maxSurge"]), unavailable = !is_zero(rolling["maxUnavailable"]);
  if (!surge && !unavailable) {
    out.push_back(required_value("spec.updateStrategy.rollingUpdate.maxUnavailable", "cannot be 0 when maxSurge is 0"));
  }
  if (surge && unavailable) {
    out.push_back(invalid_value("spec.updateStrategy.rollingUpdate.maxSurge",
                                go_value("intstr.IntOrString{" + rolling["maxSurge"].scalar_text() + "}"),
                                "may not be set when maxUnavailable is non-zero"));
  }
}

void check_stateful_set(const Value& object, Errors& out) {
  const Value& spec = object["spec"];
  const Value& policy = spec["podManagementPolicy"];
  if (policy.as_string() != "OrderedReady" && policy.as_string() != "Parallel") {
    out.push_back(invalid_value("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"));
  }
  const std::string_view strategy = spec["updateStrategy"]["type"].as_string();
  if (strategy != "RollingUpdate" && strategy != "OnDelete")
    out.push_back(
        invalid_value("spec.updateStrategy", spec["updateStrategy"], "must be 'RollingUpdate' or 'OnDelete'"));
  if (!spec["serviceName"].as_string().empty())
    for (const std::string& why : check_dns_label(spec["serviceName"].as_string()))
      out.push_back(invalid_value("spec.serviceName", spec["serviceName"], why));
  if (spec["ordinals"]["start"].as_int() < 0)
    out.push_back(
        invalid_value("spec.ordinals.start", spec["ordinals"]["start"], "must be greater than or equal to 0"));
}

}  // namespace

// LabelSelectorAsSelector of what is already known to be valid; an absent selector selects nothing.
bool selector_matches(const Value& selector, const Value& labels) {
  if (!selector.is_map()) return false;
  for (const auto& [key, value] : selector["matchLabels"].entries()) {
    const Value* label = labels.find(key);
    if (!label || !(*label == value)) return false;
  }
  for (const Value& term : selector["matchExpressions"].items()) {
    const Value* label = labels.find(term["key"].as_string());
    const std::string_view op = term["operator"].as_string();
    bool in = false;
    for (const Value& value : term["values"].items()) in = in || (label && *label == value);
    if ((op == "In" && !in) || (op == "NotIn" && in) || (op == "Exists" && !label) || (op == "DoesNotExist" && label))
      return false;
  }
  return true;
}

void check_label_selector(const Value& selector, const std::string& path, Errors& out) {
  check_labels(selector["matchLabels"], path + ".matchLabels", out);
  const Value& terms = selector["matchExpressions"];
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const std::string at = path + ".matchExpressions[" + std::to_string(i) + "]";
    const std::string_view op = terms[i]["operator"].as_string();
    if ((op == "In" || op == "NotIn") && terms[i]["values"].empty()) {
      out.push_back(required_value(at + ".values", "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if ((op == "Exists" || op == "DoesNotExist") && !terms[i]["values"].empty()) {
      out.push_back(
          forbidden_value(at + ".values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    } else if (op != "In" && op != "NotIn" && op != "Exists" && op != "DoesNotExist") {
      out.push_back(invalid_value(at + ".operator", terms[i]["operator"], "not a valid selector operator"));
    }
    for (const std::string& why : check_qualified_name(terms[i]["key"].as_string()))
      out.push_back(invalid_value(at + ".key", terms[i]["key"], why));
  }
}

// What controllers write of a workload's replicas must add up.
void check_status_counts(const KindSchema& kind, const Value& object, Errors& out) {
  static constexpr std::string_view kCounts[] = {"replicas",          "updatedReplicas",      "readyReplicas",
                                                 "availableReplicas", "fullyLabeledReplicas", "currentReplicas",
                                                 "collisionCount"};
  const bool counted = kind.resource == kDeployments || kind.resource == kReplicaSets || kind.resource == kStatefulSets;
  const Value& status = object["status"];
  if (!counted || !status.is_map()) return;
  for (const std::string_view name : kCounts)
    if (status[name].as_int() < 0)
      out.push_back(invalid_value("status." + std::string(name), status[name], "must be greater than or equal to 0"));
  const std::int64_t replicas = status["replicas"].as_int();
  for (const std::string_view name : kCounts) {
    const bool of_kind = name == "updatedReplicas"        ? kind.resource != kReplicaSets
                         : name == "fullyLabeledReplicas" ? kind.resource == kReplicaSets
                         : name == "currentReplicas"      ? kind.resource == kStatefulSets
                                                          : name == "readyReplicas" || name == "availableReplicas";
    if (of_kind && status[name].as_int() > replicas)
      out.push_back(invalid_value("status." + std::string(name), Value(status[name].as_int()),
                                  "cannot be greater than status.replicas"));
  }
}

void check_workload(const KindSchema& kind, const Value& object, Errors& out) {
  const std::string_view name = kind.resource.kind;
  const Value& spec = object["spec"];
  if (name == "CronJob") return check_cron_job(object, out);
  if (name == "Job") return check_job(object, out);
  if (name == "ControllerRevision") {
    if (object["data"].is_null()) out.push_back(required_value("data", "data is mandatory"));
    return;
  }
  if (name == "ReplicationController") {
    if (spec["selector"].empty()) out.push_back(required_value("spec.selector"));
    if (!spec["template"].is_map()) return out.push_back(required_value("spec.template"));
    check_template(object, Value{{"matchLabels", spec["selector"]}}, out);
    return always_restarts(object, out);
  }
  const bool daemons = name == "DaemonSet";
  // Upstream calls a ReplicaSet's selector a Deployment's.
  const std::string_view shown = daemons ? "daemonset" : name == "StatefulSet" ? "statefulset" : "deployment";
  if (check_selector(object, shown, !daemons, out))
    check_template(object, spec["selector"], out);
  else if (daemons)
    check_pod_spec(spec["template"]["spec"], "spec.template.spec", out);
  always_restarts(object, out);
  if (name == "Deployment") check_deployment(object, out);
  if (daemons) check_daemon_set(object, out);
  if (name == "StatefulSet") check_stateful_set(object, out);
}

}  // namespace caisson::schema
