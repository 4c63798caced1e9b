// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/resource.h"

#include <algorithm>

namespace caisson::render::kustomize_impl {
namespace {

std::string or_mark(const std::string& text, const char* mark) {
  return text.empty() ? mark : text;
}

// The kinds that kustomize knows, from Kubernetes' OpenAPI document, to have no namespace.
struct GroupKind {
  std::string_view group, kind;
};
constexpr GroupKind kClusterScoped[] = {{"", "ComponentStatus"},
                                        {"", "Namespace"},
                                        {"", "Node"},
                                        {"", "PersistentVolume"},
                                        {"admissionregistration.k8s.io", "MutatingWebhookConfiguration"},
                                        {"admissionregistration.k8s.io", "ValidatingWebhookConfiguration"},
                                        {"admissionregistration.k8s.io", "ValidatingAdmissionPolicy"},
                                        {"admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"},
                                        {"admissionregistration.k8s.io", "MutatingAdmissionPolicy"},
                                        {"admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"},
                                        {"apiextensions.k8s.io", "CustomResourceDefinition"},
                                        {"apiregistration.k8s.io", "APIService"},
                                        {"authentication.k8s.io", "SelfSubjectReview"},
                                        {"authentication.k8s.io", "TokenReview"},
                                        {"authorization.k8s.io", "SelfSubjectAccessReview"},
                                        {"authorization.k8s.io", "SelfSubjectRulesReview"},
                                        {"authorization.k8s.io", "SubjectAccessReview"},
                                        {"certificates.k8s.io", "CertificateSigningRequest"},
                                        {"flowcontrol.apiserver.k8s.io", "FlowSchema"},
                                        {"flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"},
                                        {"internal.apiserver.k8s.io", "StorageVersion"},
                                        {"networking.k8s.io", "IngressClass"},
                                        {"networking.k8s.io", "ClusterCIDR"},
                                        {"node.k8s.io", "RuntimeClass"},
                                        {"policy", "PodSecurityPolicy"},
                                        {"extensions", "PodSecurityPolicy"},
                                        {"rbac.authorization.k8s.io", "ClusterRole"},
                                        {"rbac.authorization.k8s.io", "ClusterRoleBinding"},
                                        {"resource.k8s.io", "ResourceClass"},
                                        {"scheduling.k8s.io", "PriorityClass"},
                                        {"storage.k8s.io", "CSIDriver"},
                                        {"storage.k8s.io", "CSINode"},
                                        {"storage.k8s.io", "StorageClass"},
                                        {"storage.k8s.io", "VolumeAttachment"}};

bool known_cluster_scoped(std::string_view group, std::string_view kind) {
  return std::any_of(std::begin(kClusterScoped), std::end(kClusterScoped),
                     [&](const GroupKind& known) { return known.kind == kind && known.group == group; });
}

}  // namespace

bool is_cluster_scoped(const Gvk& gvk) {
  return known_cluster_scoped(gvk.group, gvk.kind);
}

std::string api_version_of(const Gvk& gvk) {
  return gvk.group.empty() ? gvk.version : gvk.group + "/" + gvk.version;
}

Gvk Gvk::parse(std::string_view api_version, std::string_view kind) {
  const std::size_t slash = api_version.find('/');
  if (slash == std::string_view::npos) return {"", std::string(api_version), std::string(kind)};
  return {std::string(api_version.substr(0, slash)), std::string(api_version.substr(slash + 1)), std::string(kind)};
}

Gvk Gvk::of(const Value& object) {
  return parse(object["apiVersion"].as_string(), object["kind"].as_string());
}

bool Gvk::selects(const Value& object) const {
  if (!kind.empty() && object["kind"].as_string() != kind) return false;
  if (group.empty() && version.empty()) return true;
  const std::string_view api_version = object["apiVersion"].as_string();
  const std::size_t slash = api_version.find('/');
  const std::string_view of = slash == std::string_view::npos ? "" : api_version.substr(0, slash);
  if (!group.empty() && of != group) return false;
  return version.empty() || version == api_version.substr(slash == std::string_view::npos ? 0 : slash + 1);
}

bool Gvk::selected_by(const Gvk& s) const {
  return (s.group.empty() || s.group == group) && (s.version.empty() || s.version == version) &&
         (s.kind.empty() || s.kind == kind);
}

std::string Gvk::str() const {
  return or_mark(kind, "[noKind]") + "." + or_mark(version, "[noVer]") + "." + or_mark(group, "[noGrp]");
}

bool Id::cluster_scoped() const {
  return is_cluster_scoped(gvk);
}
std::string Id::effective_ns() const {
  return cluster_scoped() ? "_" : ns.empty() ? "default" : ns;
}
bool Id::equals(const Id& other) const {
  return name == other.name && gvk == other.gvk && same_ns(other);
}
bool Id::selected_by(const Id& selector) const {
  return (selector.name.empty() || selector.name == name) && (selector.ns.empty() || selector.same_ns(*this)) &&
         gvk.selected_by(selector.gvk);
}
std::string Id::str() const {
  return gvk.str() + "/" + or_mark(name, "[noName]") + "." + or_mark(ns, "[noNs]");
}

Id Resource::id() const {
  return {Gvk::of(object), name(), ns()};
}

bool Resource::is_now(const Id& other) const {
  return object["kind"].as_string() == other.gvk.kind && id().equals(other);
}

Id Resource::prior(std::size_t index) const {
  Id id = previous[index];
  const Gvk now = Gvk::of(object);
  id.gvk.group = now.group;
  id.gvk.version = now.version;
  return id;
}

bool Resource::any_prior(const std::function<bool(const Id&)>& matches) const {
  for (std::size_t i = 0; i < previous.size(); ++i) {
    if (matches(prior(i))) return true;
  }
  return false;
}

void Resource::remember_id() {
  Id now = id();
  if (!now.cluster_scoped()) now.ns = now.effective_ns();
  previous.push_back(std::move(now));
}

void ResourceMap::index_one(std::uint32_t position) {
  const auto add = [&](std::string_view name) {
    const auto found = by_name_.find(name);
    Positions& positions = found != by_name_.end() ? found->second : by_name_[std::string(name)];
    if (std::find(positions.begin(), positions.end(), position) != positions.end()) return;
    positions.insert(std::upper_bound(positions.begin(), positions.end(), position), position);
  };
  const Resource& resource = resources_[position];
  const Value& name = resource.object["metadata"]["name"];
  if (name.is_string())
    add(name.as_string());
  else
    add(name.scalar_text());
  for (const Id& id : resource.previous) add(id.name);
}

void ResourceMap::index() {
  if (indexed_ == 0) by_name_.clear();
  for (; indexed_ < resources_.size(); ++indexed_) index_one(static_cast<std::uint32_t>(indexed_));
}

void ResourceMap::name_changed(const Resource& resource) {
  const auto known = by_name_.find(resource.original_id().name);
  if (indexed_ != 0 && known != by_name_.end()) {
    for (const std::uint32_t position : known->second) {
      if (&resources_[position] == &resource) return index_one(position);
    }
  }
  indexed_ = 0;
}

std::vector<Resource*> ResourceMap::named(std::string_view name) {
  index();
  std::vector<Resource*> out;
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return out;
  for (const std::uint32_t position : found->second) out.push_back(&resources_[position]);
  return out;
}

Resource* ResourceMap::find_current(const Id& id) {
  for (Resource* resource : named(id.name)) {
    if (resource->is_now(id)) return resource;
  }
  return nullptr;
}

void ResourceMap::remove_if(const std::function<bool(const Resource&)>& unwanted) {
  if (std::erase_if(resources_, unwanted) > 0) indexed_ = 0;
}

Result<void> ResourceMap::append(Resource resource) {
  const Id id = resource.id();
  if (const Resource* known = find_current(id)) {
    std::string message = "may not add resource with an already registered id: " + id.str();
    if (!known->file.empty()) message += ", which " + known->file + " has";
    return Error{ErrorCode::conflict, message};
  }
  resources_.push_back(std::move(resource));
  return {};
}

Result<void> ResourceMap::append_all(ResourceMap other) {
  for (Resource& resource : other.resources_) {
    const std::string file = resource.file;
    auto appended = append(std::move(resource));
    if (!appended.ok()) return file.empty() ? std::move(appended).error() : std::move(appended).error().in(file);
  }
  return {};
}

namespace {

// What a generated resource takes over from the one it replaces or merges with.
void take_over(Resource& generated, const Resource& old) {
  for (const char* field : {"labels", "annotations"}) {
    Value merged = old.object["metadata"][field];
    for (const auto& [key, value] : generated.object["metadata"][field].entries()) merged.set(key, value);
    if (!merged.empty()) generated.object.edit({"metadata", field}) = std::move(merged);
  }
  generated.set_name(old.name());
  if (!old.ns().empty())
    generated.object.edit({"metadata", "namespace"}) = Value(old.ns());
  else
    generated.object.edit("metadata").erase("namespace");
  generated.previous = old.previous;
  generated.prefixes = old.prefixes;
  generated.suffixes = old.suffixes;
  generated.behavior = old.behavior;
  generated.needs_hash = generated.needs_hash && old.needs_hash;
  generated.variables = old.variables;
  generated.transformations = old.transformations;
}

void merge_data(Resource& generated, const Resource& old, const char* field) {
  Value merged = old.object[field];
  for (const auto& [key, value] : generated.object[field].entries()) merged.set(key, value);
  if (!merged.empty()) generated.object.set(field, std::move(merged));
}

}  // namespace

Result<void> ResourceMap::absorb(Resource generated) {
  const Id id = generated.id();
  const auto known = matching_any_id(id.name, [&](const Id& other) { return other.equals(id); });
  const bool changes = generated.behavior == "merge" || generated.behavior == "replace";
  if (known.size() > 1) return Error{ErrorCode::conflict, id.str() + ": several resources could take its data"};
  if (known.empty()) {
    if (changes) return Error{ErrorCode::not_found, id.str() + " does not exist; nothing to " + generated.behavior};
    return append(std::move(generated));
  }
  Resource& old = *known[0];
  if (!changes)
    return Error{ErrorCode::conflict, id.str() + " exists; can not use behavior: '" +
                                          (generated.behavior.empty() ? "unspecified" : generated.behavior) +
                                          "', behavior must be merge or replace"};
  const bool merges = generated.behavior == "merge";
  take_over(generated, old);
  if (merges) {
    merge_data(generated, old, "data");
    merge_data(generated, old, "binaryData");
    if (!old.origin.is_null()) generated.origin = old.origin;
  }
  old = std::move(generated);
  name_changed(old);
  return {};
}

std::vector<Resource*> ResourceMap::matching_any_id(std::string_view name,
                                                    const std::function<bool(const Id&)>& matches) {
  std::vector<Resource*> found = named(name);
  std::erase_if(found,
                [&](const Resource* resource) { return !resource->any_prior(matches) && !matches(resource->id()); });
  return found;
}

Result<Resource*> ResourceMap::find(const Id& id) {
  const auto found = matching_any_id(id.name, [&](const Id& other) { return other.equals(id); });
  if (found.size() == 1) return found[0];
  if (found.empty()) return Error{ErrorCode::not_found, "no resource is " + id.str()};
  return Error{ErrorCode::conflict, "several resources are " + id.str()};
}

}  // namespace caisson::render::kustomize_impl
