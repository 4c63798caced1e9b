// SPDX-License-Identifier: Apache-2.0
// kube_pod_…: what dashboards and alert rules ask for most.
#include "core/base/text.h"
#include "observe/metrics/scrape/kube_labels.h"
#include "observe/metrics/sources/kube_state.h"

namespace caisson::metrics {
namespace {

using Objects = std::vector<kube::Object>;

LabelList of(const kube::Object& pod, LabelList more = {}) {
  more.insert(more.end(), {{"namespace", pod.ns()}, {"pod", pod.name()}, {"uid", pod.uid()}});
  return more;
}

std::optional<double> seconds_of(const Value& text) {
  const auto time = parse_time(text.as_string());
  if (!time) return {};
  return static_cast<double>(std::chrono::duration_cast<std::chrono::seconds>(time->time_since_epoch()).count());
}

void times(Families& out, const Objects& pods) {
  struct Of {
    const char *metric, *parent, *field;
  };
  for (const Of& t :
       {Of{"kube_pod_created", "metadata", "creationTimestamp"}, Of{"kube_pod_start_time", "status", "startTime"},
        Of{"kube_pod_deletion_timestamp", "metadata", "deletionTimestamp"}}) {
    out.family(t.metric, "gauge", std::string("Unix time of ") + t.field + ".");
    for (const kube::Object& pod : pods)
      if (const auto s = seconds_of(pod[t.parent][t.field])) out.add(of(pod), *s);
  }
}

void identity(Families& out, const Objects& pods) {
  out.family("kube_pod_info", "gauge", "Information about pod.");
  for (const kube::Object& pod : pods) {
    const auto owner = pod.controller();
    out.add(of(pod, {{"host_ip", pod.status()["hostIP"].str()},
                     {"pod_ip", pod.status()["podIP"].str()},
                     {"node", pod.spec()["nodeName"].str()},
                     {"created_by_kind", owner ? owner->kind : ""},
                     {"created_by_name", owner ? owner->name : ""},
                     {"priority_class", pod.spec()["priorityClassName"].str()},
                     {"host_network", pod.spec()["hostNetwork"].as_bool() ? "true" : "false"}}),
            1);
  }
  out.family("kube_pod_owner", "gauge", "Information about the Pod's owner.");
  for (const kube::Object& pod : pods) {
    if (pod.owners().empty()) out.add(of(pod), 1);  // upstream: every label of the owner is empty
    for (const kube::OwnerReference& owner : pod.owners())
      out.add(of(pod, {{"owner_kind", owner.kind},
                       {"owner_name", owner.name},
                       {"owner_is_controller", owner.controller ? "true" : "false"}}),
              1);
  }
  out.family("kube_pod_labels", "gauge", "Kubernetes labels converted to Prometheus labels.");
  for (const kube::Object& pod : pods) {
    LabelList labels = of(pod);
    for (const auto& entry : pod.metadata()["labels"].entries())
      labels.push_back({meta_name("label_", entry.key), entry.value.str()});
    out.add(std::move(labels), 1);
  }
  out.family("kube_pod_restart_policy", "gauge", "Describes the restart policy in use by this pod.");
  for (const kube::Object& pod : pods)
    out.add(of(pod, {{"type", std::string(pod.spec()["restartPolicy"].as_string("Always"))}}), 1);
  out.family("kube_pod_spec_volumes_persistentvolumeclaims_info", "gauge",
             "Information about persistentvolumeclaim volumes in a pod.");
  for (const kube::Object& pod : pods)
    for (const Value& volume : pod.spec()["volumes"].items())
      if (const auto claim = volume["persistentVolumeClaim"]["claimName"].as_string(); !claim.empty())
        out.add(of(pod, {{"volume", volume["name"].str()}, {"persistentvolumeclaim", std::string(claim)}}), 1);
}

void phases(Families& out, const Objects& pods) {
  out.family("kube_pod_status_phase", "gauge", "The pods current phase.");
  for (const kube::Object& pod : pods)
    for (const char* phase : {"Pending", "Succeeded", "Failed", "Unknown", "Running"})
      out.add(of(pod, {{"phase", phase}}), pod.status()["phase"].as_string() == phase ? 1 : 0);
  for (const char* type : {"Ready", "PodScheduled"}) {
    out.family(type[0] == 'R' ? "kube_pod_status_ready" : "kube_pod_status_scheduled", "gauge",
               "Whether the pod has that condition.");
    for (const kube::Object& pod : pods) {
      const Value& is = kube::condition(pod, type);
      if (is.is_null()) continue;
      for (const char* status : {"true", "false", "unknown"})
        out.add(of(pod, {{"condition", status}}), to_lower(is["status"].as_string()) == status ? 1 : 0);
    }
  }
  out.family("kube_pod_status_unschedulable", "gauge", "Describes the unschedulable status for the pod.");
  for (const kube::Object& pod : pods) {
    const Value& scheduled = kube::condition(pod, "PodScheduled");
    if (scheduled["status"].as_string() == "False" && scheduled["reason"].as_string() == "Unschedulable")
      out.add(of(pod), 1);
  }
  out.family("kube_pod_status_qos_class", "gauge", "The pods current qosClass.");
  for (const kube::Object& pod : pods)
    add_states(out, of(pod), "qos_class", {"BestEffort", "Burstable", "Guaranteed"},
               pod.status()["qosClass"].as_string());
  out.family("kube_pod_status_reason", "gauge", "The pod status reasons.");
  for (const kube::Object& pod : pods)
    if (const auto reason = pod.status()["reason"].as_string(); !reason.empty())
      out.add(of(pod, {{"reason", std::string(reason)}}), 1);
}

struct Group {
  std::string prefix;  // "kube_pod_container"
  const char* statuses;
  const char* containers;
};

template <class Add>
void each_status(const Objects& pods, const Group& group, Add add) {
  for (const kube::Object& pod : pods)
    for (const Value& status : pod.status()[group.statuses].items())
      add(pod, status, of(pod, {{"container", status["name"].str()}}));
}

void container_states(Families& out, const Objects& pods, const Group& group) {
  out.family(group.prefix + "_info", "gauge", "Information about a container in a pod.");
  each_status(pods, group, [&](const kube::Object& pod, const Value& status, LabelList labels) {
    std::string spec_image;
    for (const Value& container : pod.spec()[group.containers].items())
      if (container["name"] == status["name"]) spec_image = container["image"].str();
    labels.insert(labels.end(), {{"image", status["image"].str()},
                                 {"image_spec", spec_image},
                                 {"image_id", status["imageID"].str()},
                                 {"container_id", status["containerID"].str()}});
    out.add(std::move(labels), 1);
  });
  for (const char* state : {"waiting", "running", "terminated"}) {
    out.family(group.prefix + "_status_" + state, "gauge", "Describes whether the container is in that state.");
    each_status(pods, group, [&](const kube::Object&, const Value& status, LabelList labels) {
      out.add(std::move(labels), status["state"][state].is_map() ? 1 : 0);
    });
  }
  for (const char* state : {"waiting", "terminated"}) {
    out.family(group.prefix + "_status_" + state + "_reason", "gauge", "Describes why the container is in that state.");
    each_status(pods, group, [&](const kube::Object&, const Value& status, LabelList labels) {
      const auto reason = status["state"][state]["reason"].as_string();
      if (reason.empty()) return;
      labels.push_back({"reason", std::string(reason)});
      out.add(std::move(labels), 1);
    });
  }
  out.family(group.prefix + "_status_last_terminated_reason", "gauge",
             "Describes the last reason the container was in terminated state.");
  each_status(pods, group, [&](const kube::Object&, const Value& status, LabelList labels) {
    const auto reason = status["lastState"]["terminated"]["reason"].as_string();
    if (reason.empty()) return;
    labels.push_back({"reason", std::string(reason)});
    out.add(std::move(labels), 1);
  });
  out.family(group.prefix + "_status_last_terminated_exitcode", "gauge",
             "Describes the exit code for the last container in terminated state.");
  each_status(pods, group, [&](const kube::Object&, const Value& status, LabelList labels) {
    const Value& last = status["lastState"]["terminated"];
    if (last.is_map()) out.add(std::move(labels), last["exitCode"].as_double());
  });
  out.family(group.prefix + "_status_ready", "gauge", "Describes whether the containers readiness check succeeded.");
  each_status(pods, group, [&](const kube::Object&, const Value& status, LabelList labels) {
    out.add(std::move(labels), status["ready"].as_bool() ? 1 : 0);
  });
  out.family(group.prefix + "_status_restarts_total", "counter", "The number of container restarts per container.");
  each_status(pods, group, [&](const kube::Object&, const Value& status, LabelList labels) {
    out.add(std::move(labels), status["restartCount"].as_double());
  });
  out.family(group.prefix + "_state_started", "gauge", "Start time in unix timestamp for a pod container.");
  each_status(pods, group, [&](const kube::Object&, const Value& status, LabelList labels) {
    const Value& state = status["state"];
    const auto s =
        seconds_of(state["running"].is_map() ? state["running"]["startedAt"] : state["terminated"]["startedAt"]);
    if (s) out.add(std::move(labels), *s);
  });
}

void container_resources(Families& out, const Objects& pods, const Group& group) {
  for (const char* which : {"requests", "limits"}) {
    out.family(group.prefix + "_resource_" + which, "gauge", "Resources that the container asks for or is limited to.");
    for (const kube::Object& pod : pods)
      for (const Value& container : pod.spec()[group.containers].items())
        for (const auto& entry : container["resources"][which].entries()) {
          const auto v = quantity_value(entry.value);
          if (!v) continue;
          out.add(of(pod, {{"container", container["name"].str()},
                           {"node", pod.spec()["nodeName"].str()},
                           {"resource", resource_label(entry.key)},
                           {"unit", std::string(unit_of(entry.key))}}),
                  *v);
        }
  }
}

}  // namespace

void pod_state(Families& out, const Objects& pods) {
  identity(out, pods);
  times(out, pods);
  phases(out, pods);
  for (const Group& group : {Group{"kube_pod_container", "containerStatuses", "containers"},
                             Group{"kube_pod_init_container", "initContainerStatuses", "initContainers"}}) {
    container_states(out, pods, group);
    container_resources(out, pods, group);
  }
}

}  // namespace caisson::metrics
