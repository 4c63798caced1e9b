// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/quota.h"

#include <algorithm>
#include <set>

#include "core/base/text.h"

namespace caisson::kube {
namespace {

constexpr std::string_view kClassSuffix = ".storageclass.storage.k8s.io/";
constexpr Amount kOne{1000, false};

bool finished(const Value& pod, Time now) {
  const std::string_view phase = pod["status"]["phase"].as_string();
  if (phase == "Succeeded" || phase == "Failed") return true;
  const Value& metadata = pod["metadata"];
  const auto deleted = parse_time(metadata["deletionTimestamp"].as_string());
  if (!deleted || metadata["deletionGracePeriodSeconds"].is_null()) return false;
  return now > *deleted + std::chrono::seconds(metadata["deletionGracePeriodSeconds"].as_int());
}

// An extended resource ("example.com/gpu") is counted by requests only.
bool is_extended(std::string_view name) {
  return name.find('/') != std::string_view::npos && name.find("kubernetes.io/") == std::string_view::npos;
}

Amounts pod_usage(const Value& pod, Time now) {
  Amounts out{{"count/pods", kOne}};
  if (finished(pod, now)) return out;
  out["pods"] = kOne;
  for (const auto& [name, amount] : pod_requests(pod["spec"])) {
    const bool plain = name == "cpu" || name == "memory" || name == "ephemeral-storage";
    if (plain || name.starts_with("hugepages-")) out[name] = amount;
    if (plain || name.starts_with("hugepages-") || is_extended(name)) out["requests." + name] = amount;
  }
  for (const auto& [name, amount] : pod_limits(pod["spec"]))
    if (name == "cpu" || name == "memory" || name == "ephemeral-storage") out["limits." + name] = amount;
  return out;
}

Amounts service_usage(const Value& service) {
  Amounts out{{"count/services", kOne}, {"services", kOne}, {"services.nodeports", {}}, {"services.loadbalancers", {}}};
  const Value& spec = service["spec"];
  const std::string_view type = spec["type"].as_string();
  const auto ports = static_cast<std::int64_t>(spec["ports"].size());
  std::int64_t node_ports = 0;
  if (type == "NodePort" || (type == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"].as_bool(true)))
    node_ports = ports;
  else if (type == "LoadBalancer")
    for (const Value& port : spec["ports"].items()) node_ports += port["nodePort"].as_int() != 0;
  out["services.nodeports"].milli = node_ports * kOne.milli;
  if (type == "LoadBalancer") out["services.loadbalancers"] = kOne;
  return out;
}

Amounts claim_usage(const Value& claim) {
  Amounts out{{"count/persistentvolumeclaims", kOne}, {"persistentvolumeclaims", kOne}};
  std::string storage_class = claim["spec"]["storageClassName"].str();
  if (const Value& beta = claim["metadata"]["annotations"]["volume.beta.kubernetes.io/storage-class"]; !beta.is_null())
    storage_class = beta.str();
  const std::string prefix = storage_class + std::string(kClassSuffix);
  if (!storage_class.empty()) out[prefix + "persistentvolumeclaims"] = kOne;
  const Value& storage = claim["spec"]["resources"]["requests"]["storage"];
  if (storage.is_null()) return out;
  out["requests.storage"] = amount_of(storage);
  if (!storage_class.empty()) out[prefix + "requests.storage"] = amount_of(storage);
  return out;
}

bool has_terms(const Value& affinity) {
  for (const char* list : {"requiredDuringSchedulingIgnoredDuringExecution"})
    for (const Value& term : affinity[list].items())
      if (!term["namespaces"].empty() || !term["namespaceSelector"].is_null()) return true;
  for (const Value& weighted : affinity["preferredDuringSchedulingIgnoredDuringExecution"].items())
    if (!weighted["podAffinityTerm"]["namespaces"].empty() ||
        !weighted["podAffinityTerm"]["namespaceSelector"].is_null())
      return true;
  return false;
}

bool in_scope(std::string_view scope, std::string_view op, const Value& values, const Value& pod) {
  const Value& spec = pod["spec"];
  const bool terminating = spec["activeDeadlineSeconds"].as_int(-1) >= 0;
  if (scope == "Terminating") return terminating;
  if (scope == "NotTerminating") return !terminating;
  if (scope == "CrossNamespacePodAffinity")
    return has_terms(spec["affinity"]["podAffinity"]) || has_terms(spec["affinity"]["podAntiAffinity"]);
  if (scope == "BestEffort" || scope == "NotBestEffort") {
    const Amounts requests = pod_requests(spec), limits = pod_limits(spec);
    const auto states = [](const Amounts& amounts) {
      return std::any_of(amounts.begin(), amounts.end(), [](const auto& entry) {
        return (entry.first == "cpu" || entry.first == "memory") && entry.second.milli != 0;
      });
    };
    return (scope == "BestEffort") == (!states(requests) && !states(limits));
  }
  if (scope != "PriorityClass") return false;
  const std::string_view name = spec["priorityClassName"].as_string();
  const auto listed = values.items();
  const bool in = std::any_of(listed.begin(), listed.end(), [&](const Value& v) { return v.as_string() == name; });
  if (op == "In") return in;
  if (op == "NotIn") return !in;
  if (op == "DoesNotExist") return name.empty();
  return !name.empty();
}

}  // namespace

Amounts quota_usage(const schema::Resource& resource, const Value& object, Time now) {
  if (resource.group.empty()) {
    if (resource.plural == "pods") return pod_usage(object, now);
    if (resource.plural == "services") return service_usage(object);
    if (resource.plural == "persistentvolumeclaims") return claim_usage(object);
  }
  Amounts out{{"count/" + resource.group_resource(), kOne}};
  static constexpr std::string_view kPlain[] = {"configmaps", "secrets", "replicationcontrollers", "resourcequotas"};
  if (resource.group.empty() && std::find(std::begin(kPlain), std::end(kPlain), resource.plural) != std::end(kPlain))
    out[resource.plural] = kOne;
  return out;
}

bool quota_concerns(const Value& hard, const schema::Resource& resource) {
  const bool core = resource.group.empty();
  const bool pods = core && resource.plural == "pods", claims = core && resource.plural == "persistentvolumeclaims";
  const bool services = core && resource.plural == "services";
  for (const auto& [name, limit] : hard.entries()) {
    if (name == "count/" + resource.group_resource()) return true;
    if (core && name == resource.plural) return true;
    if (services && name.starts_with("services.")) return true;
    if (claims && (name == "requests.storage" || name.find(kClassSuffix) != std::string_view::npos)) return true;
    if (pods && (name == "cpu" || name == "memory" || name == "ephemeral-storage" || name.starts_with("hugepages-") ||
                 name.starts_with("limits.") || (name.starts_with("requests.") && name != "requests.storage")))
      return true;
  }
  return false;
}

bool quota_selects(const Value& quota, const schema::Resource& resource, const Value& object) {
  const Value& spec = quota["spec"];
  const Value& terms = spec["scopeSelector"]["matchExpressions"];
  if (spec["scopes"].empty() && terms.empty()) return true;
  if (!resource.group.empty() || resource.plural != "pods") return false;
  for (const Value& scope : spec["scopes"].items())
    if (!in_scope(scope.as_string(), "Exists", Value(), object)) return false;
  for (const Value& term : terms.items())
    if (!in_scope(term["scopeName"].as_string(), term["operator"].as_string(), term["values"], object)) return false;
  return true;
}

std::optional<std::string> quota_unstated(const Value& hard, const schema::Resource& resource, const Value& object) {
  if (!resource.group.empty() || resource.plural != "pods") return std::nullopt;
  static constexpr std::string_view kWatched[] = {"cpu",    "limits.cpu",   "limits.memory",
                                                  "memory", "requests.cpu", "requests.memory"};
  std::vector<std::string> missing;
  for (const std::string_view name : kWatched) {
    if (!hard.contains(name)) continue;
    const bool limit = name.starts_with("limits.");
    const std::string_view base = name.find('.') == std::string_view::npos ? name : name.substr(name.find('.') + 1);
    std::set<std::string> containers;
    for (const char* list : {"initContainers", "containers"})
      for (const Value& container : object["spec"][list].items())
        if (container["resources"][limit ? "limits" : "requests"][base].is_null())
          containers.insert(container["name"].str());
    if (!containers.empty())
      missing.push_back(std::string(name) +
                        " for: " + join(std::vector<std::string>(containers.begin(), containers.end()), ","));
  }
  if (missing.empty()) return std::nullopt;
  return "must specify " + join(missing, "; ");
}

Amounts restricted_to(const Amounts& amounts, const Value& hard) {
  Amounts out;
  for (const auto& [name, amount] : amounts)
    if (hard.contains(name)) out.emplace(name, amount);
  return out;
}

}  // namespace caisson::kube
