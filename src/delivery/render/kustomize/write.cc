// SPDX-License-Identifier: Apache-2.0
// The end of a build: local objects dropped, order, metadata that buildMetadata asks for.
#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

#include "core/document/yaml.h"
#include "delivery/render/kustomize/build_annotations.h"
#include "delivery/render/kustomize/metadata.h"
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
// Orders the resources of one kind.
std::string name_key(const Resource& resource) {
  return or_mark(resource.ns(), "~X") + "|" + or_mark(resource.name(), "~N");
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

struct RankedKind {
  Gvk gvk;
  int rank = 0;
  std::string key;
  std::size_t position = 0;  // among the kinds that occur
};

bool before(const RankedKind& x, const RankedKind& y) {
  if (x.rank != y.rank) return x.rank < y.rank;
  // The core Namespace before others of that name: "~G" would sort behind.
  if (x.gvk.kind == "Namespace" && y.gvk.kind == "Namespace" && (x.gvk.group.empty() || y.gvk.group.empty()))
    return x.key > y.key;
  return x.key < y.key;
}

// For each resource, the place of its kind in the order of the kinds.
std::vector<std::size_t> positions_of_kinds(const std::map<std::string, int>& rank, const ResourceMap& resources) {
  ByKind<RankedKind> kinds;
  std::vector<RankedKind*> of_each, ordered;
  for (const Resource& resource : resources.all()) {
    of_each.push_back(&kinds.of(resource.object, [&](const Gvk& gvk) {
      const auto found = rank.find(gvk.kind);
      return RankedKind{gvk, found == rank.end() ? 0 : found->second, gvk_key(gvk)};
    }));
  }
  ordered = of_each;
  std::sort(ordered.begin(), ordered.end());
  ordered.erase(std::unique(ordered.begin(), ordered.end()), ordered.end());
  std::sort(ordered.begin(), ordered.end(), [](const auto* x, const auto* y) { return before(*x, *y); });
  for (std::size_t i = 0; i < ordered.size(); ++i) ordered[i]->position = i;
  std::vector<std::size_t> out;
  for (const RankedKind* kind : of_each) out.push_back(kind->position);
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

Result<void> drop_local(ResourceMap& resources) {
  resources.remove_if([](const Resource& resource) {
    const Value* local = resource.object["metadata"]["annotations"].find("config.kubernetes.io/local-config");
    return local != nullptr && local->scalar_text() != "false";
  });
  std::unordered_set<std::size_t> seen;
  for (const Resource& resource : std::as_const(resources).all()) {
    TRY(check_metadata(resource.object).in(resource.original_id().str()));
    const std::hash<std::string_view> hash;
    const std::size_t kind = hash(resource.object["kind"].as_string());
    if (seen.insert(kind * 31 + hash(resource.name())).second) continue;
    const Id id = resource.id();
    const std::vector<Resource*> named = resources.named(id.name);
    const auto others = std::count_if(named.begin(), named.end(), [&](const Resource* one) { return one->is_now(id); });
    if (others > 1)
      return Error{ErrorCode::conflict, "may not add resource with an already registered id: " + id.str() +
                                            " is the id of two resources after all changes"};
  }
  return {};
}

Result<void> order(const Value& sort_options, ResourceMap& resources) {
  const std::string how = sort_options.is_map() ? sort_options["order"].str() : "legacy";
  if (how != "fifo" && how != "legacy")
    return Error{ErrorCode::invalid, "sortOptions.order: must be one of [fifo, legacy]"};
  const Value& legacy = sort_options["legacySortOptions"];
  if (how == "fifo" && legacy.is_map())
    return Error{ErrorCode::invalid, "sortOptions.legacySortOptions: is set, but order is not legacy"};
  if (how == "fifo") return {};
  const std::vector<std::size_t> kind_positions = positions_of_kinds(ranks(legacy), resources);
  struct Keyed {
    std::size_t kind;
    std::string name;
    Resource* resource;
  };
  std::vector<Keyed> keyed;
  keyed.reserve(kind_positions.size());
  for (Resource& resource : resources.all())
    keyed.push_back({kind_positions[keyed.size()], name_key(resource), &resource});
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const Keyed& x, const Keyed& y) { return x.kind != y.kind ? x.kind < y.kind : x.name < y.name; });
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
    drop_build_annotations(object, {origins, transformations});
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
