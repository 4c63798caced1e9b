// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/sources/kube_state.h"

#include <cmath>

#include "cluster/kube/quantity.h"
#include "core/base/text.h"
#include "observe/metrics/scrape/kube_labels.h"

namespace caisson::metrics {
namespace {

using Objects = std::vector<kube::Object>;

// --- kinds whose series are one number at one place of the object
enum class As : std::uint8_t { number, time, truth, labels };

struct Field {
  std::string_view metric;  // behind the prefix
  const char* path[2];
  As as = As::number;
  bool always = false;  // absent counts as 0
  std::string_view type = "gauge";
};

constexpr Field kDeployment[] = {
    {"created", {"metadata", "creationTimestamp"}, As::time},
    {"labels", {"metadata", "labels"}, As::labels},
    {"metadata_generation", {"metadata", "generation"}},
    {"spec_replicas", {"spec", "replicas"}},
    {"spec_paused", {"spec", "paused"}, As::truth, true},
    {"status_observed_generation", {"status", "observedGeneration"}, As::number, true},
    {"status_replicas", {"status", "replicas"}, As::number, true},
    {"status_replicas_ready", {"status", "readyReplicas"}, As::number, true},
    {"status_replicas_available", {"status", "availableReplicas"}, As::number, true},
    {"status_replicas_unavailable", {"status", "unavailableReplicas"}, As::number, true},
    {"status_replicas_updated", {"status", "updatedReplicas"}, As::number, true},
};
constexpr Field kReplicaSet[] = {
    {"created", {"metadata", "creationTimestamp"}, As::time},
    {"labels", {"metadata", "labels"}, As::labels},
    {"metadata_generation", {"metadata", "generation"}},
    {"spec_replicas", {"spec", "replicas"}},
    {"status_observed_generation", {"status", "observedGeneration"}, As::number, true},
    {"status_replicas", {"status", "replicas"}, As::number, true},
    {"status_ready_replicas", {"status", "readyReplicas"}, As::number, true},
    {"status_fully_labeled_replicas", {"status", "fullyLabeledReplicas"}, As::number, true},
};
constexpr Field kStatefulSet[] = {
    {"created", {"metadata", "creationTimestamp"}, As::time},
    {"labels", {"metadata", "labels"}, As::labels},
    {"metadata_generation", {"metadata", "generation"}},
    {"replicas", {"spec", "replicas"}},
    {"status_observed_generation", {"status", "observedGeneration"}, As::number, true},
    {"status_replicas", {"status", "replicas"}, As::number, true},
    {"status_replicas_available", {"status", "availableReplicas"}, As::number, true},
    {"status_replicas_current", {"status", "currentReplicas"}, As::number, true},
    {"status_replicas_ready", {"status", "readyReplicas"}, As::number, true},
    {"status_replicas_updated", {"status", "updatedReplicas"}, As::number, true},
};
constexpr Field kDaemonSet[] = {
    {"created", {"metadata", "creationTimestamp"}, As::time},
    {"labels", {"metadata", "labels"}, As::labels},
    {"metadata_generation", {"metadata", "generation"}},
    {"status_observed_generation", {"status", "observedGeneration"}, As::number, true},
    {"status_current_number_scheduled", {"status", "currentNumberScheduled"}, As::number, true},
    {"status_desired_number_scheduled", {"status", "desiredNumberScheduled"}, As::number, true},
    {"status_number_available", {"status", "numberAvailable"}, As::number, true},
    {"status_number_misscheduled", {"status", "numberMisscheduled"}, As::number, true},
    {"status_number_ready", {"status", "numberReady"}, As::number, true},
    {"status_number_unavailable", {"status", "numberUnavailable"}, As::number, true},
    {"status_updated_number_scheduled", {"status", "updatedNumberScheduled"}, As::number, true},
};
constexpr Field kJob[] = {
    {"created", {"metadata", "creationTimestamp"}, As::time},
    {"labels", {"metadata", "labels"}, As::labels},
    {"spec_completions", {"spec", "completions"}},
    {"spec_parallelism", {"spec", "parallelism"}},
    {"spec_active_deadline_seconds", {"spec", "activeDeadlineSeconds"}},
    {"status_active", {"status", "active"}, As::number, true},
    {"status_failed", {"status", "failed"}, As::number, true},
    {"status_succeeded", {"status", "succeeded"}, As::number, true},
    {"status_start_time", {"status", "startTime"}, As::time},
    {"status_completion_time", {"status", "completionTime"}, As::time},
};
constexpr Field kCronJob[] = {
    {"created", {"metadata", "creationTimestamp"}, As::time},
    {"labels", {"metadata", "labels"}, As::labels},
    {"spec_suspend", {"spec", "suspend"}, As::truth, true},
    {"spec_failed_job_history_limit", {"spec", "failedJobsHistoryLimit"}},
    {"spec_successful_job_history_limit", {"spec", "successfulJobsHistoryLimit"}},
    {"status_last_schedule_time", {"status", "lastScheduleTime"}, As::time},
    {"status_last_successful_time", {"status", "lastSuccessfulTime"}, As::time},
};
constexpr Field kHpa[] = {
    {"labels", {"metadata", "labels"}, As::labels},
    {"metadata_generation", {"metadata", "generation"}},
    {"spec_max_replicas", {"spec", "maxReplicas"}},
    {"spec_min_replicas", {"spec", "minReplicas"}},
    {"status_current_replicas", {"status", "currentReplicas"}, As::number, true},
    {"status_desired_replicas", {"status", "desiredReplicas"}, As::number, true},
};
constexpr Field kPdb[] = {
    {"created", {"metadata", "creationTimestamp"}, As::time},
    {"status_current_healthy", {"status", "currentHealthy"}, As::number, true},
    {"status_desired_healthy", {"status", "desiredHealthy"}, As::number, true},
    {"status_pod_disruptions_allowed", {"status", "disruptionsAllowed"}, As::number, true},
    {"status_expected_pods", {"status", "expectedPods"}, As::number, true},
    {"status_observed_generation", {"status", "observedGeneration"}, As::number, true},
};
constexpr Field kCreatedOnly[] = {{"created", {"metadata", "creationTimestamp"}, As::time}};
constexpr Field kCreatedAndLabels[] = {{"created", {"metadata", "creationTimestamp"}, As::time},
                                       {"labels", {"metadata", "labels"}, As::labels}};
constexpr Field kNode[] = {
    {"created", {"metadata", "creationTimestamp"}, As::time},
    {"labels", {"metadata", "labels"}, As::labels},
    {"spec_unschedulable", {"spec", "unschedulable"}, As::truth, true},
};

struct Kind {
  const kube::Resource* resource;
  std::string_view prefix;  // "kube_deployment"
  std::string label;        // "deployment": the object's name
  std::span<const Field> fields;
};

struct Kinds {
  kube::Resource cron_jobs{"batch", "v1", "CronJob", "cronjobs"};
  kube::Resource hpas{"autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"};
  kube::Resource pdbs{"policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"};
  kube::Resource volumes{"", "v1", "PersistentVolume", "persistentvolumes", false};
  kube::Resource quotas{"", "v1", "ResourceQuota", "resourcequotas"};
  kube::Resource classes{"storage.k8s.io", "v1", "StorageClass", "storageclasses", false};
  kube::Resource network_policies{"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"};
  std::vector<Kind> table{
      {&schema::kDeployments, "kube_deployment", "deployment", kDeployment},
      {&schema::kReplicaSets, "kube_replicaset", "replicaset", kReplicaSet},
      {&schema::kStatefulSets, "kube_statefulset", "statefulset", kStatefulSet},
      {&schema::kDaemonSets, "kube_daemonset", "daemonset", kDaemonSet},
      {&schema::kJobs, "kube_job", "job_name", kJob},
      {&cron_jobs, "kube_cronjob", "cronjob", kCronJob},
      {&hpas, "kube_horizontalpodautoscaler", "horizontalpodautoscaler", kHpa},
      {&pdbs, "kube_poddisruptionbudget", "poddisruptionbudget", kPdb},
      {&schema::kServices, "kube_service", "service", kCreatedAndLabels},
      {&schema::kIngresses, "kube_ingress", "ingress", kCreatedAndLabels},
      {&schema::kEndpoints, "kube_endpoint", "endpoint", kCreatedAndLabels},
      {&network_policies, "kube_networkpolicy", "networkpolicy", kCreatedAndLabels},
      {&schema::kConfigMaps, "kube_configmap", "configmap", kCreatedOnly},
      {&schema::kSecrets, "kube_secret", "secret", kCreatedOnly},
      {&schema::kPersistentVolumeClaims, "kube_persistentvolumeclaim", "persistentvolumeclaim", kCreatedAndLabels},
      {&volumes, "kube_persistentvolume", "persistentvolume", kCreatedAndLabels},
      {&quotas, "kube_resourcequota", "resourcequota", kCreatedOnly},
      {&schema::kNamespaces, "kube_namespace", "namespace", kCreatedAndLabels},
      {&schema::kNodes, "kube_node", "node", kNode},
      {&classes, "kube_storageclass", "storageclass", kCreatedOnly},
  };
};

const Kinds& kinds() {
  static const Kinds all;
  return all;
}

std::optional<double> field_value(const Value& value, const Field& field) {
  switch (field.as) {
    case As::number:
      return value.is_null() && !field.always ? std::optional<double>() : value.as_double();
    case As::truth:
      return value.as_bool() ? 1 : 0;
    case As::labels:
      return 1;
    case As::time: {
      const auto time = parse_time(value.as_string());
      if (!time) return {};
      return static_cast<double>(std::chrono::duration_cast<std::chrono::seconds>(time->time_since_epoch()).count());
    }
  }
  return {};
}

LabelList identity(const Kind& kind, const kube::Object& object) {
  LabelList labels{{kind.label, object.name()}};
  if (!object.ns().empty()) labels.push_back({"namespace", object.ns()});
  return labels;
}

void plain_fields(Families& out, const Kind& kind, const Objects& objects) {
  for (const Field& field : kind.fields) {
    out.family(std::string(kind.prefix) + "_" + std::string(field.metric), field.type,
               field.as == As::labels
                   ? "Kubernetes labels converted to Prometheus labels."
                   : std::string(field.path[0]) + "." + field.path[1] + " of the " + kind.resource->kind + ".");
    for (const kube::Object& object : objects) {
      const Value& value = object.get({field.path[0], field.path[1]});
      const auto v = field_value(value, field);
      if (!v) continue;
      LabelList labels = identity(kind, object);
      if (field.as == As::labels)
        for (const auto& entry : value.entries()) labels.push_back({meta_name("label_", entry.key), entry.value.str()});
      out.add(std::move(labels), *v);
    }
  }
}

// --- what needs more than one number

void add_conditions(Families& out, const LabelList& labels, const Value& conditions) {
  for (const Value& condition : conditions.items()) {
    LabelList with = labels;
    with.push_back({"condition", condition["type"].str()});
    add_states(out, with, "status", {"true", "false", "unknown"}, to_lower(condition["status"].as_string()));
  }
}

void owners(Families& out, const Kind& kind, const Objects& objects) {
  out.family(std::string(kind.prefix) + "_owner", "gauge",
             "Information about the owner of the " + kind.resource->kind + ".");
  for (const kube::Object& object : objects) {
    if (object.owners().empty()) out.add(identity(kind, object), 1);  // upstream: every label of the owner is empty
    for (const kube::OwnerReference& owner : object.owners()) {
      LabelList labels = identity(kind, object);
      labels.insert(labels.end(), {{"owner_kind", owner.kind},
                                   {"owner_name", owner.name},
                                   {"owner_is_controller", owner.controller ? "true" : "false"}});
      out.add(std::move(labels), 1);
    }
  }
}

void conditions(Families& out, const Kind& kind, const Objects& objects, const std::string& metric) {
  out.family(std::string(kind.prefix) + metric, "gauge", "The condition of the " + kind.resource->kind + ".");
  for (const kube::Object& object : objects) add_conditions(out, identity(kind, object), object.status()["conditions"]);
}

// maxSurge and maxUnavailable: a number, or a percentage of the replicas.
double share_of(const Value& share, std::int64_t replicas, bool up) {
  if (share.is_number()) return share.as_double();
  std::string_view text = share.as_string("25%");
  if (text.ends_with('%')) text.remove_suffix(1);
  const double part = static_cast<double>(parse_int(text).value_or(0)) * static_cast<double>(replicas) / 100;
  return up ? std::ceil(part) : std::floor(part);
}

void deployment_strategy(Families& out, const Kind& kind, const Objects& objects) {
  for (const char* which : {"maxSurge", "maxUnavailable"}) {
    const bool surge = which[3] == 'S';
    out.family(surge ? "kube_deployment_spec_strategy_rollingupdate_max_surge"
                     : "kube_deployment_spec_strategy_rollingupdate_max_unavailable",
               "gauge", "How many replicas a rolling update may add or take away.");
    for (const kube::Object& object : objects) {
      const Value& update = object.spec()["strategy"]["rollingUpdate"];
      if (update.is_map())
        out.add(identity(kind, object), share_of(update[which], object.spec()["replicas"].as_int(1), surge));
    }
  }
}

void resources(Families& out, const std::string& metric, const Kind& kind, const Objects& objects, const char* of) {
  out.family(metric, "gauge", "Resources of the node by kind and unit.");
  for (const kube::Object& object : objects)
    for (const auto& entry : object.status()[of].entries())
      if (const auto v = quantity_value(entry.value)) {
        LabelList labels = identity(kind, object);
        labels.push_back({"resource", resource_label(entry.key)});
        labels.push_back({"unit", std::string(unit_of(entry.key))});
        out.add(std::move(labels), *v);
      }
}

void nodes(Families& out, const Kind& kind, const Objects& objects) {
  out.family("kube_node_info", "gauge", "Information about a cluster node.");
  for (const kube::Object& node : objects) {
    const Value& info = node.status()["nodeInfo"];
    std::string address;
    for (const Value& a : node.status()["addresses"].items())
      if (a["type"].as_string() == "InternalIP") address = a["address"].str();
    out.add({{"node", node.name()},
             {"kernel_version", info["kernelVersion"].str()},
             {"os_image", info["osImage"].str()},
             {"container_runtime_version", info["containerRuntimeVersion"].str()},
             {"kubelet_version", info["kubeletVersion"].str()},
             {"kubeproxy_version", "deprecated"},
             {"pod_cidr", node.spec()["podCIDR"].str()},
             {"system_uuid", info["systemUUID"].str()},
             {"internal_ip", address}},
            1);
  }
  out.family("kube_node_role", "gauge", "The role of a cluster node.");
  constexpr std::string_view kRole = "node-role.kubernetes.io/";
  for (const kube::Object& node : objects)
    for (const auto& entry : node.metadata()["labels"].entries())
      if (entry.key.starts_with(kRole))
        out.add({{"node", node.name()}, {"role", std::string(entry.key.substr(kRole.size()))}}, 1);
  out.family("kube_node_spec_taint", "gauge", "The taint of a cluster node.");
  for (const kube::Object& node : objects)
    for (const Value& taint : node.spec()["taints"].items())
      out.add({{"node", node.name()},
               {"key", taint["key"].str()},
               {"value", taint["value"].str()},
               {"effect", taint["effect"].str()}},
              1);
  resources(out, "kube_node_status_capacity", kind, objects, "capacity");
  resources(out, "kube_node_status_allocatable", kind, objects, "allocatable");
  conditions(out, kind, objects, "_status_condition");
}

void jobs(Families& out, const Kind& kind, const Objects& objects) {
  for (const char* type : {"Complete", "Failed"}) {
    out.family(type[0] == 'C' ? "kube_job_complete" : "kube_job_failed", "gauge",
               "Whether the job has that condition.");
    for (const kube::Object& job : objects) {
      const Value& is = kube::condition(job, type);
      if (is.is_null()) continue;
      LabelList labels = identity(kind, job);
      add_states(out, labels, "condition", {"true", "false", "unknown"}, to_lower(is["status"].as_string()));
    }
  }
}

// Series of Argo CD 3's application controller and of Tekton's, for the kinds that this program reconciles itself.
void delivery(Families& out, const ObjectLister& list) {
  out.family("argocd_app_info", "gauge", "Information about application.");
  for (const kube::Object& app : list(schema::kApplications)) {
    const Value& source = app.spec().contains("source") ? app.spec()["source"] : app.spec()["sources"][0];
    out.add({{"namespace", app.ns()},
             {"name", app.name()},
             {"project", app.spec()["project"].str()},
             {"repo", source["repoURL"].str()},
             {"dest_server", app.spec()["destination"]["server"].str()},
             {"dest_namespace", app.spec()["destination"]["namespace"].str()},
             {"sync_status", std::string(app.status()["sync"]["status"].as_string("Unknown"))},
             {"health_status", std::string(app.status()["health"]["status"].as_string("Unknown"))},
             {"operation", app["operation"].is_map() ? "sync" : ""}},
            1);
  }
  out.family("caisson_application_operation", "gauge", "The phase of the last sync operation of an Application.");
  for (const kube::Object& app : list(schema::kApplications))
    if (const auto phase = app.status()["operationState"]["phase"].as_string(); !phase.empty())
      out.add({{"namespace", app.ns()}, {"name", app.name()}, {"phase", std::string(phase)}}, 1);
  out.family("caisson_application_deployed_timestamp_seconds", "gauge",
             "When the commit that an Application's cluster has was synced.");
  for (const kube::Object& app : list(schema::kApplications)) {
    const Value& history = app.status()["history"];
    if (history.empty()) continue;
    const Value& last = history[history.size() - 1];
    if (const auto deployed = parse_time(last["deployedAt"].as_string()))
      out.add(
          {{"namespace", app.ns()},
           {"name", app.name()},
           {"dest_namespace", app.spec()["destination"]["namespace"].str()},
           {"commit", last["revision"].str()},
           {"trace_id", app.trace().trace_id}},
          static_cast<double>(std::chrono::duration_cast<std::chrono::seconds>(deployed->time_since_epoch()).count()));
  }
  out.family("caisson_pipelinerun_status", "gauge", "The Succeeded condition of a PipelineRun.");
  for (const kube::Object& run : list(schema::kPipelineRuns)) {
    const Value& succeeded = kube::condition(run, "Succeeded");
    if (!succeeded.is_null())
      out.add({{"namespace", run.ns()},
               {"pipelinerun", run.name()},
               {"pipeline", run.spec()["pipelineRef"]["name"].str()},
               {"status", succeeded["status"].str()},
               {"reason", succeeded["reason"].str()}},
              1);
  }
}

const kube::Resource& policy_reports() {
  static const kube::Resource resource{"wgpolicyk8s.io", "v1alpha2", "PolicyReport", "policyreports", true};
  return resource;
}

}  // namespace

void add_states(Families& out, const std::vector<Label>& labels, const char* label,
                std::initializer_list<const char*> states, std::string_view is) {
  for (const char* state : states) {
    LabelList one = labels;
    one.push_back({label, state});
    out.add(std::move(one), is == state ? 1 : 0);
  }
}

std::optional<double> quantity_value(const Value& quantity) {
  const auto milli = kube::parse_quantity_milli(quantity.scalar_text());
  if (!milli.ok() || quantity.is_null()) return {};
  return static_cast<double>(*milli) / 1000;
}

std::string_view unit_of(std::string_view resource) {
  if (resource == "cpu") return "core";
  if (resource == "memory" || resource == "ephemeral-storage" || resource.starts_with("hugepages-") ||
      resource == "storage")
    return "byte";
  return "integer";
}

std::string resource_label(std::string_view resource) {
  return meta_name("", resource);
}

const std::vector<kube::Resource>& kube_state_kinds() {
  static const std::vector<kube::Resource> all = [] {
    std::vector<kube::Resource> list{schema::kPods, schema::kApplications, schema::kPipelineRuns, policy_reports()};
    for (const Kind& kind : kinds().table) list.push_back(*kind.resource);
    return list;
  }();
  return all;
}

Exposition kube_state(const ObjectLister& list) {
  Families out;
  pod_state(out, list(schema::kPods));
  for (const Kind& kind : kinds().table) {
    const Objects objects = list(*kind.resource);
    plain_fields(out, kind, objects);
    const std::string_view name = kind.prefix;
    if (name == "kube_node") nodes(out, kind, objects);
    namespaced_state(out, name, objects);
    if (name == "kube_job") jobs(out, kind, objects);
    if (name == "kube_replicaset" || name == "kube_job") owners(out, kind, objects);
    if (name == "kube_deployment") deployment_strategy(out, kind, objects);
    if (name == "kube_deployment" || name == "kube_horizontalpodautoscaler")
      conditions(out, kind, objects, "_status_condition");
    if (name == "kube_namespace") {
      out.family("kube_namespace_status_phase", "gauge", "kubernetes namespace status phase.");
      for (const kube::Object& ns : objects)
        add_states(out, {{"namespace", ns.name()}}, "phase", {"Active", "Terminating"},
                   ns.status()["phase"].as_string("Active"));
    }
    if (name == "kube_configmap" || name == "kube_secret" || name == "kube_ingress" || name == "kube_endpoint") {
      out.family(std::string(name) + "_info", "gauge", "Information about the object.");
      for (const kube::Object& object : objects) out.add(identity(kind, object), 1);
    }
  }
  delivery(out, list);
  policy_state(out, list(policy_reports()));
  return out.take();
}

}  // namespace caisson::metrics
