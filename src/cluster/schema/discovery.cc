// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/discovery.h"

#include <map>

#include "cluster/schema/version.h"
#include "core/base/encoding.h"
#include "core/base/hash.h"

namespace caisson::schema {
namespace {

// The groups in the order in which the reference lists them; others follow by name.
int priority(std::string_view group) {
  static constexpr std::string_view kOrder[] = {"apiregistration.k8s.io",
                                                "apps",
                                                "events.k8s.io",
                                                "authentication.k8s.io",
                                                "authorization.k8s.io",
                                                "autoscaling",
                                                "batch",
                                                "certificates.k8s.io",
                                                "networking.k8s.io",
                                                "policy",
                                                "rbac.authorization.k8s.io",
                                                "storage.k8s.io",
                                                "admissionregistration.k8s.io",
                                                "apiextensions.k8s.io",
                                                "scheduling.k8s.io",
                                                "coordination.k8s.io",
                                                "node.k8s.io",
                                                "discovery.k8s.io",
                                                "flowcontrol.apiserver.k8s.io"};
  int at = 0;
  for (std::string_view name : kOrder) {
    if (name == group) return at;
    ++at;
  }
  return at;
}

struct Group {
  std::string name;
  std::vector<std::pair<std::string, std::vector<KindPtr>>> versions;  // preferred first
};

std::vector<Group> groups_of(const Schema& schema) {
  std::vector<Group> out;
  for (const KindPtr& kind : schema.all()) {  // sorted by group, then version
    if (!kind->served) continue;
    if (out.empty() || out.back().name != kind->resource.group) out.push_back({kind->resource.group, {}});
    auto& versions = out.back().versions;
    if (versions.empty() || versions.back().first != kind->resource.version)
      versions.push_back({kind->resource.version, {}});
    versions.back().second.push_back(kind);
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Group& a, const Group& b) { return priority(a.name) < priority(b.name); });
  return out;
}

std::string group_version(std::string_view group, std::string_view version) {
  return group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
}

Value group_value(const Group& group, bool alone) {
  Value versions = Value::list();
  for (const auto& [version, kinds] : group.versions) {
    versions.push_back(Value{{"groupVersion", group_version(group.name, version)}, {"version", version}});
  }
  Value out = alone ? Value{{"kind", "APIGroup"}, {"apiVersion", "v1"}} : Value::map();
  out.set("name", group.name);
  out.set("versions", versions);
  out.set("preferredVersion", versions[0]);
  return out;
}

// StorageVersionHash of apiserver's pkg/endpoints/discovery.
std::string storage_hash(const KindSchema& kind) {
  return base64(sha256(kind.resource.group + "/" + kind.storage_version + "/" + kind.resource.kind).substr(0, 8));
}

void add_resources(Value& out, const KindSchema& kind) {
  Value entry{{"name", kind.resource.plural},
              {"singularName", kind.singular},
              {"namespaced", kind.resource.namespaced},
              {"kind", kind.resource.kind},
              {"verbs", Value::list_of(kind.verbs)}};
  if (!kind.short_names.empty()) entry.set("shortNames", Value::list_of(kind.short_names));
  if (!kind.categories.empty()) entry.set("categories", Value::list_of(kind.categories));
  if (!kind.is_review() && kind.has_verb("create")) entry.set("storageVersionHash", storage_hash(kind));
  out.push_back(std::move(entry));
  for (const Subresource& sub : kind.subresources) {
    Value value{{"name", kind.resource.plural + "/" + sub.name},
                {"singularName", ""},
                {"namespaced", kind.resource.namespaced},
                {"kind", sub.kind.empty() ? kind.resource.kind : sub.kind},
                {"verbs", Value::list_of(sub.verbs)}};
    if (!sub.group.empty()) value.set("group", sub.group);
    if (!sub.version.empty()) value.set("version", sub.version);
    out.push_back(std::move(value));
  }
}

Value aggregated_resource(const KindSchema& kind) {
  const auto response = [](std::string_view group, std::string_view version, std::string_view name) {
    return Value{{"group", group}, {"version", version}, {"kind", name}};
  };
  Value out{{"resource", kind.resource.plural},
            {"responseKind", response(kind.custom ? kind.resource.group : "", kind.custom ? kind.resource.version : "",
                                      kind.resource.kind)},
            {"scope", kind.resource.namespaced ? "Namespaced" : "Cluster"},
            {"singularResource", kind.singular},
            {"verbs", Value::list_of(kind.verbs)}};
  if (!kind.short_names.empty()) out.set("shortNames", Value::list_of(kind.short_names));
  if (!kind.categories.empty()) out.set("categories", Value::list_of(kind.categories));
  Value subs = Value::list();
  for (const Subresource& sub : kind.subresources) {
    subs.push_back(
        Value{{"subresource", sub.name},
              {"responseKind", response(sub.group, sub.version, sub.kind.empty() ? kind.resource.kind : sub.kind)},
              {"verbs", Value::list_of(sub.verbs)}});
  }
  if (!subs.empty()) out.set("subresources", std::move(subs));
  return out;
}

}  // namespace

Value api_versions(std::string_view server_address) {
  return Value{{"kind", "APIVersions"},
               {"versions", Value(std::vector<Value>{Value("v1")})},
               {"serverAddressByClientCIDRs",
                Value(std::vector<Value>{Value{{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", server_address}}})}};
}

Value api_group_list(const Schema& schema) {
  Value groups = Value::list();
  for (const Group& group : groups_of(schema)) {
    if (!group.name.empty()) groups.push_back(group_value(group, false));
  }
  return Value{{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(groups)}};
}

std::optional<Value> api_group(const Schema& schema, std::string_view name) {
  if (name.empty()) return std::nullopt;
  for (const Group& group : groups_of(schema)) {
    if (group.name == name) return group_value(group, true);
  }
  return std::nullopt;
}

std::optional<Value> api_resource_list(const Schema& schema, std::string_view group, std::string_view version) {
  Value resources = Value::list();
  for (const KindPtr& kind : schema.all()) {
    if (kind->served && kind->resource.group == group && kind->resource.version == version)
      add_resources(resources, *kind);
  }
  if (resources.empty()) return std::nullopt;
  Value out{{"kind", "APIResourceList"}};
  if (!group.empty()) out.set("apiVersion", "v1");
  out.set("groupVersion", group_version(group, version));
  out.set("resources", std::move(resources));
  return out;
}

Value aggregated_discovery(const Schema& schema, bool core) {
  Value items = Value::list();
  for (const Group& group : groups_of(schema)) {
    if (group.name.empty() != core) continue;
    Value versions = Value::list();
    for (const auto& [version, kinds] : group.versions) {
      Value resources = Value::list();
      for (const KindPtr& kind : kinds) resources.push_back(aggregated_resource(*kind));
      versions.push_back(Value{{"version", version}, {"resources", std::move(resources)}, {"freshness", "Current"}});
    }
    Value metadata{{"creationTimestamp", Value()}};
    if (!core) metadata.set("name", group.name);
    items.push_back(Value{{"metadata", std::move(metadata)}, {"versions", std::move(versions)}});
  }
  return Value{{"kind", "APIGroupDiscoveryList"},
               {"apiVersion", "apidiscovery.k8s.io/v2"},
               {"metadata", Value::map()},
               {"items", std::move(items)}};
}

}  // namespace caisson::schema
