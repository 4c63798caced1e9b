// SPDX-License-Identifier: Apache-2.0
// The end of a build: local objects dropped, order, metadata that buildMetadata asks for.
#include <algorithm>
#include <map>

#include "core/document/yaml.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

constexpr const char* kFirst[] = {"Namespace",
                                  "ResourceQuota",
                                  "StorageClass",
                                  "CustomResourceDefinition",
                                  "ServiceAccount",
                                  "PodSecurityPolicy",
                                  "Role",
                                  "ClusterRole",
                                  "RoleBinding",
                                  "ClusterRoleBinding",
                                  "ConfigMap",
                                  "Secret",
                                  "Endpoints",
                                  "Service",
                                  "LimitRange",
                                  "PriorityClass",
                                  "PersistentVolume",
                                  "PersistentVolumeClaim",
                                  "Deployment",
                                  "StatefulSet",
                                  "CronJob",
                                  "PodDisruptionBudget"};
constexpr const char* kLast[] = {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"};

std::string or_mark(const std::string& text, const char* mark) {
  return text.empty() ? mark : text;
}
std::string gvk_key(const Gvk& gvk) {
  return or_mark(gvk.group, "~G") + "_" + or_mark(gvk.version, "~V") + "_" + or_mark(gvk.kind, "~K");
}
std::string id_key(const Id& id) {
  return id.gvk.str() + "|" + or_mark(id.ns, "~X") + "|" + or_mark(id.name, "~N");
}

std::map<std::string, int> ranks(const Value& options) {
  std::map<std::string, int> out;
  std::vector<std::string> first(std::begin(kFirst), std::end(kFirst)), last(std::begin(kLast), std::end(kLast));
  if (options.is_map()) {
    first.clear();
    last.clear();
    for (const Value& kind : options["orderFirst"].items()) first.push_back(kind.str());
    for (const Value& kind : options["orderLast"].items()) last.push_back(kind.str());
  }
  for (std::size_t i = 0; i < first.size(); ++i) out[first[i]] = static_cast<int>(i) - static_cast<int>(first.size());
  for (std::size_t i = 0; i < last.size(); ++i) out[last[i]] = static_cast<int>(i) + 1;
  return out;
}

// Origins are written in their own order of fields, not sorted.
std::string origin_text(const Value& origin) {
  return yaml::write(origin);
}

void set_annotation(Value& object, const char* name, std::string text) {
  object.edit({"metadata", "annotations"}).set(name, Value(std::move(text)));
}

// kustomize reads annotations as strings and writes them back.
void stringify_annotations(Value& object) {
  std::vector<std::pair<std::string, std::string>> texts;
  for (const auto& [key, value] : object["metadata"]["annotations"].entries()) {
    if (value.is_string() || value.is_map() || value.is_list()) continue;
    texts.emplace_back(key, value.number_text().empty() ? value.scalar_text() : std::string(value.number_text()));
  }
  for (const auto& [key, text] : texts) object.edit({"metadata", "annotations"}).set(key, Value(text));
}

}  // namespace

void drop_local(ResourceMap& resources) {
  resources.remove_if([](const Resource& resource) {
    const Value* local = resource.object["metadata"]["annotations"].find("config.kubernetes.io/local-config");
    return local != nullptr && local->scalar_text() != "false";
  });
}

Result<void> order(const Value& sort_options, ResourceMap& resources) {
  const std::string how = sort_options.is_map() ? sort_options["order"].str() : "legacy";
  if (how != "fifo" && how != "legacy") return Error{ErrorCode::invalid, "sortOptions.order: must be fifo or legacy"};
  const Value& legacy = sort_options["legacySortOptions"];
  if (how == "fifo" && legacy.is_map())
    return Error{ErrorCode::invalid, "sortOptions.legacySortOptions: is set, but order is not legacy"};
  if (how == "fifo") return {};
  const std::map<std::string, int> rank = ranks(legacy);
  const auto rank_of = [&](const std::string& kind) {
    const auto found = rank.find(kind);
    return found == rank.end() ? 0 : found->second;
  };
  struct Keyed {
    Gvk gvk;
    int rank;
    std::string gvk_key, id_key;
    Resource* resource;
  };
  std::vector<Keyed> keyed;
  for (Resource& resource : resources.all()) {
    const Id id = resource.id();
    keyed.push_back({id.gvk, rank_of(id.gvk.kind), gvk_key(id.gvk), id_key(id), &resource});
  }
  std::stable_sort(keyed.begin(), keyed.end(), [](const Keyed& x, const Keyed& y) {
    if (x.gvk == y.gvk) return x.id_key < y.id_key;
    if (x.rank != y.rank) return x.rank < y.rank;
    // The core Namespace before others of that name: "~G" would sort behind.
    if (x.gvk.kind == "Namespace" && y.gvk.kind == "Namespace" && (x.gvk.group.empty() || y.gvk.group.empty()))
      return x.gvk_key > y.gvk_key;
    return x.gvk_key < y.gvk_key;
  });
  std::deque<Resource> sorted;
  for (const Keyed& one : keyed) sorted.push_back(std::move(*one.resource));
  resources.all() = std::move(sorted);
  return {};
}

Rendering write(const Build& build, ResourceMap resources) {
  Rendering out;
  const bool origins = build.metadata_wanted.contains("originAnnotations");
  const bool transformations = build.metadata_wanted.contains("transformerAnnotations");
  const bool managed = build.options.managed_by_label || build.metadata_wanted.contains("managedByLabel");
  for (Resource& resource : resources.all()) {
    Value& object = resource.object;
    if (origins && !resource.origin.is_null())
      set_annotation(object, "config.kubernetes.io/origin", origin_text(resource.origin));
    if (transformations && !resource.transformations.empty()) {
      set_annotation(object, "alpha.config.kubernetes.io/transformations",
                     yaml::write(Value(resource.transformations)));
    }
    if (managed)
      object.edit({"metadata", "labels"}).set("app.kubernetes.io/managed-by", Value(build.options.managed_by));
    stringify_annotations(object);
    // Build notes live in annotations in kustomize, and a map of annotations that became empty is dropped with them.
    const Value* annotations = object["metadata"].find("annotations");
    if (annotations != nullptr && annotations->empty() && (annotations->is_null() || !resource.previous.empty()))
      object.edit("metadata").erase("annotations");
    out.objects.push_back(std::move(object));
  }
  out.warnings = build.warnings;
  return out;
}

}  // namespace caisson::render::kustomize_impl
