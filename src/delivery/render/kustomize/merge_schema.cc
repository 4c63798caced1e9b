// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/kustomize/merge_schema.h"

#include <map>

#include "cluster/schema/schema.h"
#include "core/base/text.h"

namespace caisson::render::kustomize_impl {
namespace {

// Kubernetes' patch keys and, where a list is a map by several keys (a container's ports), those: kustomize merges by
// all of them.
class BuiltIn final : public document::MergeSchema {
 public:
  explicit BuiltIn(const schema::Field& field) : field_(field) {}

  const MergeSchema* field(std::string_view name) const override {
    return child(field_.field(name), members_[std::string(name)]);
  }
  const MergeSchema* item() const override { return child(field_.item(), item_); }
  const std::vector<std::string>& merge_keys() const override {
    static const std::vector<std::string> kNone;
    if (field_.patch_keys.empty()) return kNone;
    return field_.list_keys.size() > 1 ? field_.list_keys : field_.patch_keys;
  }
  bool merges_as_set() const override { return field_.merges_as_set(); }

 private:
  static const MergeSchema* child(const schema::Field* field, std::unique_ptr<BuiltIn>& made) {
    if (field == nullptr) return nullptr;
    if (!made) made = std::make_unique<BuiltIn>(*field);
    return made.get();
  }
  const schema::Field& field_;
  mutable std::map<std::string, std::unique_ptr<BuiltIn>> members_;
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

MergeKeys merge_keys_of(const Build& build, const Value& object) {
  const Gvk gvk = Gvk::of(object);
  if (const Value* definition = open_api_kind(build.merge_keys, gvk)) {
    auto made = std::make_shared<FromOpenApi>(build.merge_keys, *definition);
    return {made.get(), made};
  }
  if (build.options.schema == nullptr) return {};
  const schema::KindPtr kind = build.options.schema->find(gvk.group, gvk.version, gvk.kind);
  if (kind == nullptr || kind->custom) return {};
  struct Held {
    schema::KindPtr kind;
    BuiltIn root;
    explicit Held(schema::KindPtr k) : kind(std::move(k)), root(kind->root()) {}
  };
  auto held = std::make_shared<Held>(kind);
  return {&held->root, held};
}

}  // namespace caisson::render::kustomize_impl
