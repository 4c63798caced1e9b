// SPDX-License-Identifier: Apache-2.0
// What an update may not change, and how often upstream looks at the same thing when it checks one: its causes name each
// of its errors as often. Follows pkg/registry/*/strategy.go and pkg/apis/*/validation of 1.33.
#include "cluster/schema/rules_update.h"

#include <algorithm>
#include <cstdio>

#include "cluster/schema/checks.h"
#include "cluster/schema/rules.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;

// How often a kind's strategy runs ValidateObjectMeta, ValidateObjectMetaUpdate and the checks of the rest.
struct UpdateTimes {
  int metadata = 1, metadata_update = 1, body = 1;
};

UpdateTimes update_times(const KindSchema& kind) {
  struct Row {
    std::string_view resource;
    UpdateTimes times;
  };
  static constexpr Row kRows[] = {
      {"clusterrolebindings.rbac.authorization.k8s.io", {2, 1, 2}},
      {"clusterroles.rbac.authorization.k8s.io", {2, 1, 2}},
      {"rolebindings.rbac.authorization.k8s.io", {2, 1, 2}},
      {"roles.rbac.authorization.k8s.io", {2, 1, 2}},
      {"persistentvolumeclaims", {2, 1, 2}},
      {"persistentvolumes", {2, 0, 2}},
      {"replicationcontrollers", {1, 1, 2}},
      {"daemonsets.apps", {1, 1, 2}},
      {"replicasets.apps", {1, 1, 2}},
      {"jobs.batch", {1, 1, 2}},
      {"networkpolicies.networking.k8s.io", {1, 1, 2}},
      {"cronjobs.batch", {0, 1, 1}},
      {"deployments.apps", {0, 1, 1}},
      {"statefulsets.apps", {0, 1, 1}},
      {"horizontalpodautoscalers.autoscaling", {0, 1, 1}},
      {"resourcequotas", {0, 1, 1}},
      {"podtemplates", {0, 1, 1}},
      {"leases.coordination.k8s.io", {0, 1, 1}},
      {"events.events.k8s.io", {0, 1, 1}},
      {"csidrivers.storage.k8s.io", {0, 1, 1}},
      {"customresourcedefinitions.apiextensions.k8s.io", {0, 1, 1}},
      {"priorityclasses.scheduling.k8s.io", {0, 1, 0}},
      {"poddisruptionbudgets.policy", {0, 0, 1}},
      {"limitranges", {1, 0, 1}},
      {"endpointslices.discovery.k8s.io", {1, 0, 1}},
      {"mutatingwebhookconfigurations.admissionregistration.k8s.io", {1, 0, 1}},
      {"validatingwebhookconfigurations.admissionregistration.k8s.io", {1, 0, 1}},
      {"validatingadmissionpolicies.admissionregistration.k8s.io", {1, 0, 1}},
      {"validatingadmissionpolicybindings.admissionregistration.k8s.io", {1, 0, 1}},
  };
  if (kind.custom) return {0, 1, 1};
  const std::string resource = kind.resource.group_resource();
  for (const Row& row : kRows)
    if (row.resource == resource) return row.times;
  return {};
}

// Fields that a kind's update looks at once more than the rest.
bool looked_at_again(const KindSchema& kind, std::string_view field) {
  if (!kind.resource.group.empty()) return false;
  if (kind.resource.kind == "Node") return field.starts_with("metadata.taints");
  if (kind.resource.kind != "Pod") return false;
  const bool container = field.starts_with("spec.containers[") || field.starts_with("spec.initContainers[");
  return field.starts_with("spec.tolerations") || (container && field.ends_with("].image"));
}

void check_event_update(const Value& before, const Value& after, Errors& out) {
  struct Fixed {
    std::string_view member, shown;
    int times = 1;
  };
  static constexpr Fixed kFixed[] = {{"regarding", "involvedObject"},
                                     {"reason", "reason", 2},
                                     {"note", "message"},
                                     {"deprecatedSource", "source"},
                                     {"deprecatedFirstTimestamp", "firstTimestamp"},
                                     {"deprecatedLastTimestamp", "lastTimestamp"},
                                     {"deprecatedCount", "count"},
                                     {"type", "type"},
                                     {"action", "action"},
                                     {"related", "related"},
                                     {"reportingController", "reportingController"},
                                     {"reportingInstance", "reportingInstance"}};
  for (const Fixed& fixed : kFixed) {
    const Value& was = before[fixed.member];
    const Value shown = was.is_string() && after[fixed.member].is_null() ? Value("") : after[fixed.member];
    for (int i = 0; i < fixed.times && !(was == after[fixed.member]); ++i)
      out.push_back(invalid_value(std::string(fixed.shown), shown, "field is immutable"));
  }
}

void check_namespace_update(const Value& after, Errors& out) {
  const bool going = !after["metadata"]["deletionTimestamp"].is_null();
  const Value& phase = after["status"]["phase"];
  if (!going && phase.as_string() != "Active")
    out.push_back(invalid_value("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty"));
  if (going && phase.as_string() != "Terminating")
    out.push_back(
        invalid_value("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"));
}

void check_pod_conditions(const Value& conditions, Errors& out) {
  for (std::size_t i = 0; i < conditions.size(); ++i)
    for (const std::string& why : check_qualified_name(conditions[i]["type"].as_string()))
      out.push_back(invalid_value("status.conditions[" + std::to_string(i) + "].Type", conditions[i]["type"], why));
}

void check_final_data(const Value& before, const Value& after, Errors& out) {
  if (!before["immutable"].as_bool()) return;
  if (!after["immutable"].as_bool())
    out.push_back(forbidden_value("immutable", "field is immutable when `immutable` is set"));
  for (std::string_view member : {"data", "binaryData"})
    if (!(before[member] == after[member]))
      out.push_back(forbidden_value(std::string(member), "field is immutable when `immutable` is set"));
}

void check_stateful_set_update(const Value& before, const Value& after, Errors& out) {
  Value old = before["spec"], now = after["spec"];
  for (std::string_view member : {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
                                  "persistentVolumeClaimRetentionPolicy", "minReadySeconds"}) {
    old.erase(member);
    now.erase(member);
  }
  if (old == now) return;
  out.push_back(forbidden_value("spec",
                                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                                "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                                "'minReadySeconds' are forbidden"));
}

void check_job_update(const Value& before, const Value& after, Errors& out) {
  const Value &completions = after["spec"]["completions"], &parallelism = after["spec"]["parallelism"];
  const bool indexed = after["spec"]["completionMode"].as_string() == "Indexed";
  if (indexed && !(before["spec"]["completions"] == completions) && !completions.is_null() &&
      !(completions == parallelism))
    out.push_back(
        invalid_value("spec.completions", completions, "can only be modified in tandem with spec.parallelism"));
  for (std::string_view member : {"completions", "selector", "completionMode", "podFailurePolicy",
                                  "backoffLimitPerIndex", "successPolicy", "managedBy"}) {
    if (indexed && member == "completions") continue;
    if (!(before["spec"][member] == after["spec"][member]))
      out.push_back(invalid_value("spec." + std::string(member),
                                  member == "selector" ? shown_selector(after["spec"][member]) : after["spec"][member],
                                  "field is immutable"));
  }
  Value old = before["spec"]["template"], now = after["spec"]["template"];
  if (before["spec"]["suspend"].as_bool()) {  // a suspended job's pods may be placed anew
    for (std::string_view member : {"nodeSelector", "affinity", "tolerations", "schedulingGates"}) {
      old.edit("spec").erase(member);
      now.edit("spec").erase(member);
    }
    old.erase("metadata");
    now.erase("metadata");
  }
  if (!(old == now)) out.push_back(invalid_value("spec.template", now, "field is immutable"));
}

void check_claim_update(const Value& before, const Value& after, Errors& out) {
  Value old = before["spec"], now = after["spec"];
  const bool bound = !old["volumeName"].as_string().empty();
  if (!bound) old.erase("volumeName"), now.erase("volumeName");  // the binder sets it
  if (old["storageClassName"].is_null()) now.erase("storageClassName");  // so may who adds a default class
  for (Value* spec : {&old, &now}) {
    spec->erase("volumeAttributesClassName");
    if (bound) spec->edit("resources").erase("requests");
  }
  if (old == now) return;
  out.push_back(forbidden_value("spec",
                                "spec is immutable after creation except resources.requests and "
                                "volumeAttributesClassName for bound claims"));
}

void check_storage_class_update(const Value& before, const Value& after, Errors& out) {
  for (std::string_view member : {"parameters", "provisioner", "reclaimPolicy"})
    if (!(before[member] == after[member]) && !(before[member].empty() && after[member].empty() && member == "parameters"))
      out.push_back(
          forbidden_value(std::string(member), "updates to " + std::string(member) + " are forbidden."));
}

void check_driver_update(const Value& before, const Value& after, Errors& out) {
  const Value &modes = after["spec"]["volumeLifecycleModes"], &attach = after["spec"]["attachRequired"];
  if (!(before["spec"]["attachRequired"] == attach))
    out.push_back(invalid_value("spec.attachedRequired", attach, "field is immutable"));
  if (before["spec"]["volumeLifecycleModes"] == modes) return;
  std::string shown;
  for (const Value& mode : modes.items()) shown += (shown.empty() ? "\"" : ", \"") + mode.str() + "\"";
  out.push_back(invalid_value("spec.volumeLifecycleModes", go_value("[]storage.VolumeLifecycleMode{" + shown + "}"),
                              "field is immutable"));
}

void check_core_update(std::string_view name, const Value& before, const Value& after, Errors& out) {
  if (name == "Namespace") check_namespace_update(after, out);
  if (name == "ConfigMap" || name == "Secret") check_final_data(before, after, out);
  if (name == "PersistentVolumeClaim") check_claim_update(before, after, out);
  if (name != "Pod") return;
  check_pod_conditions(after["status"]["conditions"], out);
  check_pod_update(before, after, out);
}

std::string quoted(const Value& text) {
  return json::write(Value(text.as_string()));
}

Value shown_role(const Value& role) {
  return go_value("rbac.RoleRef{APIGroup:" + quoted(role["apiGroup"]) + ", Kind:" + quoted(role["kind"]) +
                  ", Name:" + quoted(role["name"]) + "}");
}

Value shown_document(const Value& document) {
  std::string bytes;
  for (const char c : json::write(document)) {
    char text[8];
    std::snprintf(text, sizeof text, "0x%x", static_cast<unsigned char>(c));
    bytes += (bytes.empty() ? "" : ", ") + std::string(text);
  }
  return go_value("runtime.RawExtension{Raw:[]uint8{" + bytes + "}, Object:runtime.Object(nil)}");
}

}  // namespace

Value shown_selector(const Value& selector) {
  if (!selector.is_map()) return selector;
  std::string expressions;
  for (const Value& one : selector["matchExpressions"].items()) {
    std::vector<std::string> values;
    for (const Value& value : one["values"].items()) values.push_back(quoted(value));
    expressions += (expressions.empty() ? "" : ", ") + std::string("v1.LabelSelectorRequirement{Key:") +
                   quoted(one["key"]) + ", Operator:" + quoted(one["operator"]) + ", Values:[]string" +
                   (values.empty() ? "(nil)" : "{" + join(values, ", ") + "}") + "}";
  }
  const std::string labels(go_map(selector["matchLabels"]).as_string().substr(1));
  return go_value("v1.LabelSelector{MatchLabels:" + labels + ", MatchExpressions:[]v1.LabelSelectorRequirement" +
                  (expressions.empty() ? "(nil)" : "{" + expressions + "}") + "}");
}

void check_metadata_update(const Value& before, const Value& after, Errors& out) {
  for (std::string_view name : {"name", "namespace", "uid", "creationTimestamp"}) {
    const Value& old = before["metadata"][name];
    if (!(old == after["metadata"][name])) {
      out.push_back(invalid_value("metadata." + std::string(name), after["metadata"][name], "field is immutable"));
    }
  }
}

void check_kind_update(const KindSchema& kind, const Value& before, const Value& after, Errors& out) {
  const std::string_view group = kind.resource.group, name = kind.resource.kind;
  check_status_counts(kind, after, out);
  if (group.empty()) return check_core_update(name, before, after, out);
  if (group == "events.k8s.io") check_event_update(before, after, out);
  if (group == "rbac.authorization.k8s.io" && !(before["roleRef"] == after["roleRef"]))
    out.push_back(invalid_value("roleRef", shown_role(after["roleRef"]), "cannot change roleRef"));
  if (group == "scheduling.k8s.io" && name == "PriorityClass") {
    if (!(before["value"] == after["value"])) out.push_back(forbidden_value("value", "may not be changed in an update."));
    if (!(before["preemptionPolicy"] == after["preemptionPolicy"]))
      out.push_back(invalid_value("preemptionPolicy", after["preemptionPolicy"], "field is immutable"));
  }
  if (group == "apps" && name == "StatefulSet") check_stateful_set_update(before, after, out);
  if (group == "apps" && name == "ControllerRevision" && !(before["data"] == after["data"]))
    out.push_back(invalid_value("data", shown_document(after["data"]), "field is immutable"));
  if (group == "batch" && name == "Job") check_job_update(before, after, out);
  if (group == "policy" && name == "PodDisruptionBudget") {  // its strategy leaves metadata alone (rules.cc)
    for (int i = 0; i < 2; ++i) check_labels(after["metadata"]["labels"], "metadata.labels", out);
    for (int i = 0; i < 2; ++i) check_annotation_keys(after["metadata"]["annotations"], "metadata.annotations", out);
  }
  if (group == "storage.k8s.io" && name == "StorageClass") check_storage_class_update(before, after, out);
  if (group == "storage.k8s.io" && name == "CSIDriver") check_driver_update(before, after, out);
}

int metadata_update_checks(const KindSchema& kind) {
  return 1 + update_times(kind).metadata_update;
}

// rest.BeforeUpdate looks at metadata before the strategy does.
Errors as_often_as_upstream(const KindSchema& kind, const Errors& metadata, const Errors& body) {
  const UpdateTimes times = update_times(kind);
  Errors out;
  for (const FieldError& error : metadata) {
    const std::string_view field = error.field;
    const bool on_creation =
        field == "metadata.name" || field == "metadata.generateName" || field.starts_with("metadata.finalizers");
    const int checks = 1 + times.metadata + (on_creation ? 0 : 1 + times.metadata_update);
    out.insert(out.end(), static_cast<std::size_t>(checks), error);
  }
  for (int i = 0; i < std::max(times.body, 2); ++i)
    for (const FieldError& error : body)
      if (i < times.body + (looked_at_again(kind, error.field) ? 1 : 0)) out.push_back(error);
  return out;
}

}  // namespace caisson::schema
