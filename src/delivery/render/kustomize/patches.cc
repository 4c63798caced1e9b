// SPDX-License-Identifier: Apache-2.0
// Patches: strategic merge by the name of the object or by a selector, JSON 6902 by a selector.
#include <re2/re2.h>

#include <algorithm>
#include <optional>

#include "cluster/kube/selector.h"
#include "core/base/text.h"
#include "core/document/patch.h"
#include "core/document/yaml.h"
#include "delivery/render/kustomize/merge_schema.h"
#include "delivery/render/kustomize/metadata.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

Error wrong(std::string why) {
  return Error{ErrorCode::invalid, std::move(why)};
}

// Applies one strategic merge patch; an object that the patch deletes becomes null.
Result<void> merge_into(const Target& target, Resource& resource, const Resource& patch) {
  const Id before = resource.id();
  const Value kind = resource.object["kind"], ns = resource.object["metadata"]["namespace"];
  if (patch.may_change_name || patch.may_change_kind) resource.remember_id();
  Value change = patch.object;
  change.set("apiVersion", resource.object["apiVersion"]);  // a patch does not change it
  const Value object = resource.object;
  Value merged = TRY(merge_strategic(object, change, merge_keys_of(target.build, object)).in(before.str()));
  TRY(check_metadata(merged).in(before.str()));
  resource.object = std::move(merged);
  follow_shared_entries(resource, object);
  if (resource.object.is_null() || resource.object.empty()) {
    resource.object = Value();
    return {};
  }
  const Value* annotations = resource.object["metadata"].find("annotations");
  if (annotations != nullptr && annotations->empty() && patch.object["metadata"].contains("annotations"))
    resource.object.edit("metadata").erase("annotations");  // labels stay as {}, in kustomize
  if (!patch.may_change_kind) resource.object.set("kind", kind);
  if (!patch.may_change_name) resource.set_name(before.name);
  if (ns.is_null())
    resource.object.edit("metadata").erase("namespace");
  else
    resource.object.edit({"metadata", "namespace"}) = ns;
  return {};
}

bool is_gone(const Resource& resource) {
  return !resource.object.is_map() || resource.object.empty();
}

Result<void> apply(const Target& target, const std::vector<Resource*>& selected, const Resource& patch,
                   ResourceMap& resources) {
  bool any_gone = false;
  for (Resource* resource : selected) {
    TRY(merge_into(target, *resource, patch));
    any_gone = any_gone || is_gone(*resource);
    if (patch.may_change_name || patch.may_change_kind) resources.name_changed(*resource);
  }
  if (any_gone) resources.remove_if(is_gone);
  return {};
}

Result<Value> parse_operations(const std::string& text, const std::string& name) {
  const std::vector<Value> documents = TRY(yaml::read_all(text, {.name = name}));
  if (documents.empty() || !documents[0].is_list())
    return wrong(name + ": a JSON 6902 patch must be a list of operations");
  return documents[0];
}

bool has_spelt_float(const Value& node) {
  if (node.kind() == ValueKind::floating) return !node.number_text().empty();
  const auto items = node.items();
  if (std::any_of(items.begin(), items.end(), has_spelt_float)) return true;
  const auto entries = node.entries();
  return std::any_of(entries.begin(), entries.end(),
                     [](const document::MapEntry& entry) { return has_spelt_float(entry.value); });
}

// kustomize reads what it patched anew from JSON, where a number above int64 becomes a double, without its last digits.
void read_floats_anew(Value& node) {
  if (!has_spelt_float(node)) return;
  if (node.kind() == ValueKind::floating) node = Value(node.as_double());
  for (std::size_t i = 0; i < node.items().size(); ++i) read_floats_anew(node.edit(i));
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : node.entries()) keys.push_back(key);
  for (const std::string_view key : keys) read_floats_anew(node.edit(key));
}

// Whether an operation puts something in place of all annotations, in which kustomize keeps origins.
bool forgets_origin(const Value& operations) {
  const auto list = operations.items();
  return std::any_of(list.begin(), list.end(), [](const Value& operation) {
    const std::string_view path = operation["path"].as_string();
    return operation["op"].as_string() != "test" &&
           (path == "/metadata/annotations" || path == "/metadata" || path.empty());
  });
}

Result<void> apply_operations(const Value& operations, const std::vector<Resource*>& selected, bool remembers,
                              ResourceMap& resources) {
  for (Resource* resource : selected) {
    const std::string name = resource->name();
    if (remembers) resource->remember_id();
    Value patched = TRY(document::json_patch(resource->object, operations).in(resource->id().str()));
    TRY(check_metadata(patched).in(resource->id().str()));
    read_floats_anew(patched);
    resource->object = std::move(patched);
    resource->shared.clear();  // read anew from JSON
    if (forgets_origin(operations)) {
      resource->origin = Value();
      resource->transformations.clear();
    }
    if (resource->name() != name) resources.name_changed(*resource);
  }
  return {};
}

// A patch with a target gets each target's name in kustomize, by which its labels and annotations become strings: a
// null there sets "null" instead of removing.
void stringify_metadata(Value& patch) {
  for (const char* field : {"labels", "annotations"}) {
    const Value pairs = patch["metadata"][field];
    for (const auto& [key, value] : pairs.entries()) {
      if (value.is_string() || value.is_map() || value.is_list()) continue;
      const std::string text = value.is_null() ? "null" : value.scalar_text();
      patch.edit({"metadata", field}).set(key, Value(text));
    }
  }
}

// A part of a target: a regular expression over the whole text, which is most often a plain name.
class Pattern {
 public:
  explicit Pattern(const std::string& text) : text_(text) {
    plain_ = std::all_of(text.begin(), text.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    });
    if (!plain_) expression_.emplace("(?:" + text + ")", RE2::Quiet);
  }
  bool is_plain() const { return plain_ && !text_.empty(); }
  bool matches(const std::string& text) const {
    return text_.empty() || (plain_ ? text == text_ : RE2::FullMatch(text, *expression_));
  }
  Result<void> check() const {
    if (plain_ || expression_->ok()) return {};
    return wrong("target: \"" + text_ + "\" is no regular expression: " + expression_->error());
  }

 private:
  const std::string& text_;
  bool plain_ = false;
  std::optional<RE2> expression_;
};

struct PatchText {
  std::string text, name;
};

Result<PatchText> read_patch(const Target& target, const Value& patch, const std::string& field) {
  const std::string inlined(trim(patch["patch"].as_string())), path = patch["path"].str();
  if (inlined.empty() == path.empty())
    return wrong(inlined.empty() ? "one of patch and path must be set" : "patch and path must not be set both");
  if (path.empty()) return PatchText{inlined, target.kustomization.file + ": " + field + ".patch"};
  const std::string text = TRY(target.read(path, field + ".path"));
  return PatchText{text, target.resolve(path)};
}

}  // namespace

Selection Selection::parse(const Value& target) {
  Selection made;
  made.gvk = {target["group"].str(), target["version"].str(), target["kind"].str()};
  if (target["apiVersion"].is_string())
    made.gvk = Gvk::parse(target["apiVersion"].as_string(), target["kind"].as_string());
  made.name = target["name"].str();
  made.ns = target["namespace"].str();
  made.label_selector = target["labelSelector"].str();
  made.annotation_selector = target["annotationSelector"].str();
  return made;
}

Result<bool> labels_match(const Value& labels, const std::string& selector) {
  if (selector.empty()) return true;
  const kube::LabelSelector parsed = TRY(kube::LabelSelector::parse(selector));
  return parsed.matches(labels);
}

Result<std::vector<Resource*>> select(ResourceMap& resources, const Selection& selection) {
  const Pattern group(selection.gvk.group), version(selection.gvk.version), kind(selection.gvk.kind),
      name(selection.name), ns(selection.ns);
  for (const Pattern* part : {&group, &version, &kind, &name, &ns}) TRY(part->check());
  std::vector<Resource*> candidates;
  if (name.is_plain()) {
    candidates = resources.named(selection.name);
  } else {
    for (Resource& resource : resources.all_same_names()) candidates.push_back(&resource);
  }
  std::vector<Resource*> found;
  for (Resource* resource : candidates) {
    const Id now = resource->id(), original = resource->original_id();
    if (!ns.matches(original.effective_ns()) && !ns.matches(now.effective_ns())) continue;
    if (!name.matches(original.name) && !name.matches(now.name)) continue;
    if (!group.matches(now.gvk.group) || !version.matches(now.gvk.version) || !kind.matches(now.gvk.kind)) continue;
    const Value& metadata = resource->object["metadata"];
    const bool labels = TRY(labels_match(metadata["labels"], selection.label_selector).in("target.labelSelector"));
    if (!labels) continue;
    const bool annotations =
        TRY(labels_match(metadata["annotations"], selection.annotation_selector).in("target.annotationSelector"));
    if (annotations) found.push_back(resource);
  }
  return found;
}

Result<void> patch_strategic_merge_field(const Target& target, const Value& list, ResourceMap& resources) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string at = "patchesStrategicMerge[" + std::to_string(i) + "]";
    const std::string entry = list[i].str();
    std::vector<Resource> patches;
    if (entry.find('\n') != std::string::npos || entry.starts_with("{")) {
      patches = TRY(parse_resources(entry, at));
    } else {
      const std::string text = TRY(target.read(entry, at));
      patches = TRY(parse_resources(text, target.resolve(entry)));
    }
    if (patches.empty()) return wrong(at + ": the patch is empty");
    for (const Resource& patch : patches) {
      Resource* found = TRY(resources.find(patch.id()).in(at));
      TRY(apply(target, {found}, patch, resources));
    }
  }
  return {};
}

Result<void> patch_field(const Target& target, const Value& patch, ResourceMap& resources, const std::string& field) {
  const PatchText text = TRY(read_patch(target, patch, field));
  const Value& selector = patch["target"];
  auto objects = parse_resources(text.text, text.name);
  if (!objects.ok()) {
    auto operations = parse_operations(text.text, text.name);
    // Neither kind of patch: the one that it looks like says what is wrong.
    if (!operations.ok())
      return trim(text.text).starts_with("-") || trim(text.text).starts_with("[") ? std::move(operations).error()
                                                                                  : std::move(objects).error();
    if (selector.is_null()) return wrong("target: must specify a target for JSON patch");
    const std::vector<Resource*> selected = TRY(select(resources, Selection::parse(selector)));
    return apply_operations(*operations, selected, true, resources);
  }
  std::vector<Resource> patches = std::move(objects).value();
  if (patches.empty()) return wrong("the patch is empty");
  for (Resource& one : patches) {
    one.may_change_name = patch["options"]["allowNameChange"].as_bool();
    one.may_change_kind = patch["options"]["allowKindChange"].as_bool();
  }
  if (!selector.is_null()) {
    if (patches.size() > 1) return wrong("target: must not be set for several patches in one text");
    const std::vector<Resource*> selected = TRY(select(resources, Selection::parse(selector)));
    stringify_metadata(patches[0].object);
    return apply(target, selected, patches[0], resources);
  }
  for (const Resource& one : patches) {
    Resource* found = TRY(resources.find(one.id()).in("the patch's target"));
    TRY(apply(target, {found}, one, resources));
  }
  return {};
}

Result<void> patch_json6902_field(const Target& target, const Value& patch, ResourceMap& resources,
                                  const std::string& field) {
  const PatchText text = TRY(read_patch(target, patch, field));
  if (patch["target"]["name"].as_string().empty()) return wrong("target.name: must be set");
  const Value operations = TRY(parse_operations(text.text, text.name));
  if (operations.empty()) return wrong("the patch is empty");
  const std::vector<Resource*> selected = TRY(select(resources, Selection::parse(patch["target"])));
  return apply_operations(operations, selected, false, resources);
}

}  // namespace caisson::render::kustomize_impl
