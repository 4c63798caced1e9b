// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/derive.h"

#include <algorithm>
#include <map>
#include <span>

#include "core/base/encoding.h"
#include "core/base/text.h"

namespace caisson::schema {
namespace {

// The object as it stands, and a way to change it.
class Draft {
 public:
  Draft(const Value& before, std::optional<Value>& out) : before_(before), out_(out) {}
  const Value& operator[](std::string_view key) const { return value()[key]; }
  const Value& value() const { return out_ ? *out_ : before_; }
  bool has(std::string_view key) const { return !value()[key].is_null(); }
  void set(std::string_view key, Value value) { edit().set(key, std::move(value)); }
  void set_absent(std::string_view key, Value value) {
    if (!has(key)) set(key, std::move(value));
  }
  Value& edit() {
    if (!out_) out_ = before_;
    return *out_;
  }

 private:
  const Value& before_;
  std::optional<Value>& out_;
};

#define DERIVE(name) void name(const Value& before, std::optional<Value>& out)

// Whether it can be split into a registry, a path and a tag at all (distribution/reference).
bool is_reference(std::string_view image) {
  image = image.substr(0, image.find('@'));
  const std::size_t slash = image.rfind('/'), colon = image.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash))
    image = image.substr(0, colon);
  auto parts = split(image, '/');
  const std::string_view first = parts[0];
  if (parts.size() > 1 && (first.find_first_of(".:") != std::string_view::npos || first == "localhost"))
    parts.erase(parts.begin());
  return std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == std::string_view::npos;
  });
}

// ":latest" or no tag (and no digest): always pulled. What is no reference has no tag that could say so.
DERIVE(container) {
  Draft it(before, out);
  if (it.has("imagePullPolicy") && !it["imagePullPolicy"].as_string().empty()) return;
  const std::string_view image = it["image"].as_string();
  const std::size_t slash = image.rfind('/');
  const std::string_view last = slash == std::string_view::npos ? image : image.substr(slash + 1);
  const std::size_t colon = last.find(':');
  const bool digest = last.find('@') != std::string_view::npos;
  const bool latest =
      is_reference(image) && !digest && (colon == std::string_view::npos || last.substr(colon + 1) == "latest");
  it.set("imagePullPolicy", latest ? "Always" : "IfNotPresent");
}

DERIVE(pod_spec) {
  Draft it(before, out);
  if (it.has("serviceAccountName")) {
    if (it["serviceAccount"].as_string() != it["serviceAccountName"].as_string())
      it.set("serviceAccount", it["serviceAccountName"]);
  } else if (it.has("serviceAccount")) {
    it.set("serviceAccountName", it["serviceAccount"]);
  }
  if (!it["hostNetwork"].as_bool()) return;
  for (std::string_view list : {"containers", "initContainers"}) {
    const Value containers = it[list];
    for (std::size_t c = 0; c < containers.size(); ++c) {
      const Value& ports = containers[c]["ports"];
      for (std::size_t p = 0; p < ports.size(); ++p) {
        if (ports[p]["hostPort"].as_int() != 0) continue;
        it.edit().edit(list).edit(c).edit("ports").edit(p).set("hostPort", ports[p]["containerPort"]);
      }
    }
  }
}

// Only of Pods, not of templates: requests from limits, enableServiceLinks.
DERIVE(pod) {
  Draft it(before, out);
  if (it["spec"]["enableServiceLinks"].is_null()) it.edit().edit("spec").set("enableServiceLinks", true);
  for (std::string_view list : {"containers", "initContainers"}) {
    const Value containers = it["spec"][list];
    for (std::size_t c = 0; c < containers.size(); ++c) {
      const Value& resources = containers[c]["resources"];
      for (const auto& [name, limit] : resources["limits"].entries()) {
        if (resources["requests"].contains(name)) continue;
        it.edit().edit({"spec", list}).edit(c).edit({"resources", "requests"}).set(name, limit);
      }
    }
  }
}

DERIVE(volume) {
  Draft it(before, out);
  if (it.value().size() == 1 && it.has("name")) it.set("emptyDir", Value::map());
}

DERIVE(service_port) {
  Draft it(before, out);
  const Value& target = it["targetPort"];
  if (target.is_null() || (target.is_int() && target.as_int() == 0) ||
      (target.is_string() && target.as_string().empty())) {
    it.set("targetPort", it["port"]);
  }
}

DERIVE(service_spec) {
  Draft it(before, out);
  const std::string type = it["type"].str();
  if (it["sessionAffinity"].as_string() == "ClientIP" &&
      it["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"].is_null()) {
    it.edit().edit({"sessionAffinityConfig", "clientIP"}).set("timeoutSeconds", 10800);
  }
  if (it["sessionAffinity"].as_string() == "None" && it.has("sessionAffinityConfig"))
    it.edit().erase("sessionAffinityConfig");
  const bool outside = type == "NodePort" || type == "LoadBalancer";
  if (outside || !it["externalIPs"].empty()) it.set_absent("externalTrafficPolicy", "Cluster");
  if (outside || type == "ClusterIP") it.set_absent("internalTrafficPolicy", "Cluster");
  if (type == "LoadBalancer") it.set_absent("allocateLoadBalancerNodePorts", true);
}

DERIVE(deployment_strategy) {
  Draft it(before, out);
  if (it["type"].as_string() != "RollingUpdate") return;
  it.set_absent("rollingUpdate", Value::map());
  if (it["rollingUpdate"]["maxUnavailable"].is_null()) it.edit().edit("rollingUpdate").set("maxUnavailable", "25%");
  if (it["rollingUpdate"]["maxSurge"].is_null()) it.edit().edit("rollingUpdate").set("maxSurge", "25%");
}

DERIVE(daemon_set_strategy) {
  Draft it(before, out);
  if (it["type"].as_string() != "RollingUpdate") return;
  it.set_absent("rollingUpdate", Value::map());
  if (it["rollingUpdate"]["maxUnavailable"].is_null()) it.edit().edit("rollingUpdate").set("maxUnavailable", 1);
  if (it["rollingUpdate"]["maxSurge"].is_null()) it.edit().edit("rollingUpdate").set("maxSurge", 0);
}

DERIVE(stateful_set_strategy) {
  Draft it(before, out);
  if (it["type"].as_string() != "RollingUpdate") return;
  if (it["rollingUpdate"]["partition"].is_null()) it.edit().edit("rollingUpdate").set("partition", 0);
}

DERIVE(stateful_set_spec) {
  Draft it(before, out);
  const Value templates = it["volumeClaimTemplates"];
  for (std::size_t i = 0; i < templates.size(); ++i) {
    if (!templates[i]["kind"].is_null()) continue;
    it.edit().edit("volumeClaimTemplates").edit(i).set("apiVersion", "v1");
    it.edit().edit("volumeClaimTemplates").edit(i).set("kind", "PersistentVolumeClaim");
  }
}

// Only of Jobs, not of a CronJob's template.
DERIVE(job) {
  Draft it(before, out);
  const Value spec = it["spec"];
  Value filled = spec;
  const auto set_absent = [&](std::string_view key, Value value) {
    if (filled[key].is_null()) filled.set(key, std::move(value));
  };
  set_absent("manualSelector", false);
  if (spec["completions"].is_null() && spec["parallelism"].is_null()) set_absent("completions", 1);
  set_absent("parallelism", 1);
  set_absent("backoffLimit", spec["backoffLimitPerIndex"].is_null() ? 6 : 2147483647);
  set_absent("completionMode", "NonIndexed");
  set_absent("suspend", false);
  set_absent("podReplacementPolicy", spec["podFailurePolicy"].is_null() ? "TerminatingOrFailed" : "Failed");
  if (!(filled == spec)) it.set("spec", std::move(filled));
}

// stringData is written, never read: it lands in data.
DERIVE(secret) {
  Draft it(before, out);
  if (!it.has("stringData")) return;
  const Value texts = it["stringData"];
  it.edit().erase("stringData");
  for (const auto& [key, text] : texts.entries()) it.edit().edit("data").set(key, base64(text.as_string()));
}

DERIVE(csi_driver_spec) {
  Draft it(before, out);
  if (it["volumeLifecycleModes"].empty()) it.set("volumeLifecycleModes", Value::list_of({"Persistent"}));
}

DERIVE(replication_controller) {
  Draft it(before, out);
  const Value labels = it["spec"]["template"]["metadata"]["labels"];
  if (!labels.empty() && it["spec"]["selector"].empty()) it.edit().edit("spec").set("selector", labels);
  if (!labels.empty() && it["metadata"]["labels"].empty()) it.edit().edit("metadata").set("labels", labels);
}

DERIVE(network_policy_spec) {
  Draft it(before, out);
  if (!it["policyTypes"].empty()) return;
  std::vector<Value> types{Value("Ingress")};
  if (!it["egress"].empty()) types.emplace_back("Egress");
  it.set("policyTypes", Value(std::move(types)));
}

DERIVE(subject) {
  Draft it(before, out);
  const std::string_view kind = it["kind"].as_string();
  if (!it["apiGroup"].as_string().empty()) return;
  if (kind == "User" || kind == "Group") it.set("apiGroup", "rbac.authorization.k8s.io");
}

DERIVE(namespace_labels) {
  Draft it(before, out);
  const std::string name = it["metadata"]["name"].str();
  if (name.empty() || it["metadata"]["labels"]["kubernetes.io/metadata.name"].as_string() == name) return;
  it.edit().edit({"metadata", "labels"}).set("kubernetes.io/metadata.name", name);
}

DERIVE(node_status) {
  Draft it(before, out);
  if (it.has("capacity") && !it.has("allocatable")) it.set("allocatable", it["capacity"]);
}

// For containers: default is max where absent, defaultRequest is default and then min.
DERIVE(limit_range_item) {
  Draft it(before, out);
  if (it["type"].as_string() != "Container") return;
  const auto fill = [&](std::string_view to, std::string_view from) {
    const Value source = it[from];
    for (const auto& [name, value] : source.entries()) {
      if (!it[to].contains(name)) it.edit().edit(to).set(name, value);
    }
  };
  fill("default", "max");
  fill("defaultRequest", "default");
  fill("defaultRequest", "min");
}

DERIVE(autoscaler_v2_spec) {
  Draft it(before, out);
  if (it["metrics"].empty()) {
    Value cpu{{"name", "cpu"}, {"target", Value{{"type", "Utilization"}, {"averageUtilization", 80}}}};
    it.set("metrics", Value(std::vector<Value>{Value{{"type", "Resource"}, {"resource", cpu}}}));
  }
  if (!it.has("behavior")) return;
  const auto policy = [](std::string_view type, int value) {
    return Value{{"type", type}, {"value", value}, {"periodSeconds", 15}};
  };
  Value& behavior = it.edit().edit("behavior");
  const auto rules = [&](std::string_view name, std::vector<Value> policies) -> Value& {
    Value& rule = behavior.edit(name);
    if (rule["selectPolicy"].is_null()) rule.set("selectPolicy", "Max");
    if (rule["policies"].is_null()) rule.set("policies", Value(std::move(policies)));  // an empty list is refused
    return rule;
  };
  Value& up = rules("scaleUp", {policy("Pods", 4), policy("Percent", 100)});
  if (up["stabilizationWindowSeconds"].is_null()) up.set("stabilizationWindowSeconds", 0);
  rules("scaleDown", {policy("Percent", 100)});
}

DERIVE(role_ref) {
  Draft it(before, out);
  if (it["apiGroup"].as_string().empty()) it.set("apiGroup", "rbac.authorization.k8s.io");
}

DERIVE(crd_spec) {
  Draft it(before, out);
  const Value names = it["names"];
  if (names["kind"].as_string().empty()) return;
  if (names["singular"].as_string().empty())
    it.edit().edit("names").set("singular", to_lower(names["kind"].as_string()));
  if (names["listKind"].as_string().empty()) it.edit().edit("names").set("listKind", names["kind"].str() + "List");
}
#undef DERIVE

}  // namespace

Derive find_derive(std::string_view type) {
  static const std::map<std::string_view, Derive> kAll = {
      {"apps.v1.DaemonSetUpdateStrategy", daemon_set_strategy},
      {"apps.v1.DeploymentStrategy", deployment_strategy},
      {"apps.v1.StatefulSetSpec", stateful_set_spec},
      {"apps.v1.StatefulSetUpdateStrategy", stateful_set_strategy},
      {"apiextensions.v1.CustomResourceDefinitionSpec", crd_spec},
      {"autoscaling.v2.HorizontalPodAutoscalerSpec", autoscaler_v2_spec},
      {"batch.v1.Job", job},
      {"core.v1.Container", container},
      {"core.v1.EphemeralContainer", container},
      {"core.v1.LimitRangeItem", limit_range_item},
      {"core.v1.Namespace", namespace_labels},
      {"core.v1.NodeStatus", node_status},
      {"core.v1.Pod", pod},
      {"core.v1.PodSpec", pod_spec},
      {"core.v1.Secret", secret},
      {"storage.v1.CSIDriverSpec", csi_driver_spec},
      {"core.v1.ReplicationController", replication_controller},
      {"core.v1.ServicePort", service_port},
      {"core.v1.ServiceSpec", service_spec},
      {"core.v1.Volume", volume},
      {"networking.v1.NetworkPolicySpec", network_policy_spec},
      {"rbac.v1.RoleRef", role_ref},
      {"rbac.v1.Subject", subject},
  };
  const auto found = kAll.find(type);
  return found == kAll.end() ? nullptr : found->second;
}

}  // namespace caisson::schema
