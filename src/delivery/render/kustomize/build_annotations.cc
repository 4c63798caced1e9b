// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/build_annotations.h"

#include <algorithm>

#include "core/base/text.h"

namespace caisson::render::kustomize_impl {
namespace {

constexpr std::string_view kPrefix = "internal.config.kubernetes.io/";
constexpr std::string_view kInternal[] = {"previousKinds",      "previousNames",   "prefixes",        "suffixes",
                                          "previousNamespaces", "allowNameChange", "allowKindChange", "refBy",
                                          "generatorBehavior",  "needsHashSuffix", "path",            "index",
                                          "seqindent",          "id",              "helm-generated",  "annotations-migration-resource-id"};
constexpr std::string_view kOfTools[] = {"config.kubernetes.io/path", "config.kubernetes.io/index",
                                         "config.k8s.io/id"};

bool is_internal(std::string_view key) {
  return key.starts_with(kPrefix);
}

// The texts of a list that is kept in one annotation; none when it is not there.
std::vector<std::string> texts(const Value& annotations, std::string_view name) {
  std::vector<std::string> out;
  const Value* list = annotations.find(std::string(kPrefix).append(name));
  if (list == nullptr) return out;
  const std::string text = list->scalar_text();
  for (const std::string_view one : split(text, ',')) out.emplace_back(one);
  return out;
}

bool is_build_annotation(std::string_view key, KeptAnnotations kept) {
  if (is_internal(key))
    return std::find(std::begin(kInternal), std::end(kInternal), key.substr(kPrefix.size())) != std::end(kInternal);
  if (key == "config.kubernetes.io/origin") return !kept.origin;
  if (key == "alpha.config.kubernetes.io/transformations") return !kept.transformations;
  return std::find(std::begin(kOfTools), std::end(kOfTools), key) != std::end(kOfTools);
}

}  // namespace

Result<void> take_build_annotations(Resource& resource) {
  const Value& annotations = resource.object["metadata"]["annotations"];
  const auto entries = annotations.entries();
  if (std::none_of(entries.begin(), entries.end(), [](const auto& entry) { return is_internal(entry.key); })) return {};
  const std::vector<std::string> names = texts(annotations, "previousNames"),
                                 namespaces = texts(annotations, "previousNamespaces"),
                                 kinds = texts(annotations, "previousKinds");
  if (names.size() != namespaces.size() || names.size() != kinds.size()) {
    return Error{ErrorCode::invalid,
                 "metadata.annotations: number of previous names, number of previous namespaces, number of previous "
                 "kinds not equal (" +
                     std::string(kPrefix) + "previousNames, …)"};
  }
  const Gvk now = Gvk::of(resource.object);
  for (std::size_t i = 0; i < names.size(); ++i)
    resource.previous.push_back({{now.group, now.version, kinds[i]}, names[i], namespaces[i]});
  resource.prefixes = texts(annotations, "prefixes");
  resource.suffixes = texts(annotations, "suffixes");
  resource.needs_hash = texts(annotations, "needsHashSuffix") == std::vector<std::string>{"enabled"};
  return {};
}

void drop_build_annotations(Value& object, KeptAnnotations kept) {
  const auto entries = object["metadata"]["annotations"].entries();
  const auto unwanted = [&](const auto& entry) { return is_build_annotation(entry.key, kept); };
  if (std::none_of(entries.begin(), entries.end(), unwanted)) return;
  Value left = Value::map();
  for (const auto& entry : entries) {
    if (!unwanted(entry)) left.set(entry.key, entry.value);
  }
  if (left.empty())
    object.edit("metadata").erase("annotations");
  else
    object.edit({"metadata", "annotations"}) = std::move(left);
}

}  // namespace caisson::render::kustomize_impl
