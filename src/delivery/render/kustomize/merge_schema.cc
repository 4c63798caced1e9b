// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/merge_schema.h"

#include <map>

#include "cluster/schema/merge_keys.h"
#include "core/base/text.h"

namespace caisson::render::kustomize_impl {
namespace {

// The built-in kinds, by cluster/schema's table: Kubernetes' patch keys and, where a list is a map by several keys (a
// container's ports), those, for kustomize merges by all of them.
class BuiltIn final : public document::MergeSchema {
 public:
  explicit BuiltIn(const schema::MergeNode& node) : node_(node) {
    if (node.keys.empty()) return;
    for (const std::string_view key : split(node.keys, ',')) keys_.emplace_back(key);
  }

  const MergeSchema* field(std::string_view name) const override {
    const schema::MergeNode* member = schema::find_member(node_, name);
    return member == nullptr ? nullptr : made(members_[member], *member);
  }
  const MergeSchema* item() const override {
    return node_.item == 0 ? nullptr : made(item_, schema::merge_node(node_.item));
  }
  const std::vector<std::string>& merge_keys() const override { return keys_; }
  bool merges_as_set() const override { return node_.as_set; }

 private:
  static const MergeSchema* made(std::unique_ptr<BuiltIn>& place, const schema::MergeNode& node) {
    if (!place) place = std::make_unique<BuiltIn>(node);
    return place.get();
  }
  const schema::MergeNode& node_;
  std::vector<std::string> keys_;
  mutable std::map<const schema::MergeNode*, std::unique_ptr<BuiltIn>> members_;
  mutable std::unique_ptr<BuiltIn> item_;
};

// OpenAPI v2 definitions with x-kubernetes-patch-merge-key.
class FromOpenApi final : public document::MergeSchema {
 public:
  FromOpenApi(const Value& definitions, const Value& schema)
      : definitions_(definitions), schema_(resolved(definitions, schema)) {
    if (schema["x-kubernetes-patch-strategy"].as_string().find("merge") == std::string_view::npos) return;
    if (schema["x-kubernetes-patch-merge-key"].is_string())
      keys_.push_back(schema["x-kubernetes-patch-merge-key"].str());
    set_ = keys_.empty();
  }

  const MergeSchema* field(std::string_view name) const override {
    const Value* member = schema_["properties"].find(name);
    if (member == nullptr) member = schema_.find("additionalProperties");
    return child(member, members_[std::string(name)]);
  }
  const MergeSchema* item() const override { return child(schema_.find("items"), item_); }
  const std::vector<std::string>& merge_keys() const override { return keys_; }
  bool merges_as_set() const override { return set_; }

 private:
  static const Value& resolved(const Value& definitions, const Value& schema) {
    constexpr std::string_view kPrefix = "#/definitions/";
    const std::string_view reference = schema["$ref"].as_string();
    return reference.starts_with(kPrefix) ? definitions[reference.substr(kPrefix.size())] : schema;
  }
  const MergeSchema* child(const Value* schema, std::unique_ptr<FromOpenApi>& made) const {
    if (schema == nullptr) return nullptr;
    if (!made) made = std::make_unique<FromOpenApi>(definitions_, *schema);
    return made.get();
  }
  const Value& definitions_;
  const Value& schema_;
  std::vector<std::string> keys_;
  bool set_ = false;
  mutable std::map<std::string, std::unique_ptr<FromOpenApi>> members_;
  mutable std::unique_ptr<FromOpenApi> item_;
};

const Value* open_api_kind(const Value& definitions, const Gvk& gvk) {
  for (const auto& [name, definition] : definitions.entries()) {
    for (const Value& named : definition["x-kubernetes-group-version-kind"].items()) {
      if (named["group"].as_string() == gvk.group && named["version"].as_string() == gvk.version &&
          named["kind"].as_string() == gvk.kind)
        return &definition;
    }
  }
  return nullptr;
}

}  // namespace

const document::MergeSchema* merge_keys_of(Build& build, const Value& object) {
  const Gvk gvk = Gvk::of(object);
  const auto known = build.merge_schemas.find(gvk);
  if (known != build.merge_schemas.end()) return known->second.get();
  std::shared_ptr<const document::MergeSchema>& made = build.merge_schemas[gvk];
  if (const Value* definition = open_api_kind(build.merge_keys, gvk))
    made = std::make_shared<FromOpenApi>(build.merge_keys, *definition);
  else if (const schema::MergeNode* root = schema::find_merge_root(gvk.group, gvk.version, gvk.kind))
    made = std::make_shared<BuiltIn>(*root);
  return made.get();
}

}  // namespace caisson::render::kustomize_impl
