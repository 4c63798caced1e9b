// SPDX-License-Identifier: Apache-2.0
// The built-in transformers as objects: what a file named in `transformers` configures.
#include "core/base/file.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

// An object's own fieldSpecs; when it names none, `otherwise`.
Result<FieldSpecs> specs_of(const Value& config, const FieldSpecs& otherwise) {
  if (config["fieldSpecs"].is_null()) return otherwise;
  FieldSpecs specs;
  for (const Value& spec : config["fieldSpecs"].items()) specs.push_back(TRY(FieldSpec::parse(spec).in("fieldSpecs")));
  return specs;
}

// A string value put at a position of a path-like field, or in place of it.
Result<void> add_value(const Target& target, const Value& config, ResourceMap& resources) {
  std::string value = config["value"].str();
  if (value.empty()) value = path_base(target.kustomization.directory);
  Value targets = config["targets"];
  if (const std::string path = config["targetFilePath"].str(); !path.empty()) {
    const std::string text = TRY(target.read(path, "targetFilePath"));
    const Value file = TRY(yaml::read(text, {.name = target.resolve(path)}));
    for (const Value& more : file["targets"].items()) targets.push_back(more);
  }
  if (targets.empty()) return Error{ErrorCode::invalid, "targets: must name at least one"};
  for (const Value& one : targets.items()) {
    const std::string path = one["fieldPath"].str();
    if (path.empty()) return Error{ErrorCode::invalid, "targets.fieldPath: must be set"};
    const std::vector<Resource*> selected = TRY(select(resources, Selection::parse(one["selector"])));
    for (Resource* resource : selected) {
      if (path == "metadata/namespace" && is_cluster_scoped(Gvk::of(resource->object))) continue;
      const auto position = static_cast<std::size_t>(one["filePathPosition"].as_int());
      TRY(visit_field(resource->object, {{}, path, true}, Create::scalar, [&](Value& place) -> Result<void> {
        if (position == 0) {
          place = Value(value);
          return {};
        }
        std::vector<std::string> parts = split_path(place.as_string(), '/');
        const bool absolute = place.as_string().starts_with("/");
        const std::size_t at = std::min(position - 1, parts.size());
        parts.insert(parts.begin() + static_cast<std::ptrdiff_t>(at), value);
        std::string joined = absolute ? "/" : "";
        for (std::size_t i = 0; i < parts.size(); ++i) joined += (i == 0 ? "" : "/") + parts[i];
        place = Value(joined);
        return {};
      }));
    }
  }
  return {};
}

Result<void> patch_strategic(const Target& target, const Value& config, ResourceMap& resources) {
  Value list = config["paths"];
  if (!config["patches"].as_string().empty()) list.push_back(config["patches"]);
  return patch_strategic_merge_field(target, list, resources);
}

}  // namespace

Result<void> run_configured_transformer(const Target& target, const Resource& configuration, Accumulated& all) {
  const Value& config = configuration.object;
  const std::string_view kind = config["kind"].as_string();
  const TransformerConfig& known = *all.config;
  ResourceMap& resources = all.resources;
  static const FieldSpecs kNone;
  if (config["apiVersion"].as_string() != "builtin")
    return Error{ErrorCode::invalid,
                 "external plugins disabled; unable to load external plugin '" + std::string(kind) + "'"};
  if (kind == "PatchTransformer") return patch_field(target, config, resources, "patch");
  if (kind == "PatchStrategicMergeTransformer") return patch_strategic(target, config, resources);
  if (kind == "PatchJson6902Transformer") {
    Value patch = config;
    if (config.contains("jsonOp")) patch.set("patch", config["jsonOp"]);
    return patch_json6902_field(target, patch, resources, "patch");
  }
  if (kind == "ReplacementTransformer") return replace_values(target, config["replacements"], resources);
  if (kind == "ValueAddTransformer") return add_value(target, config, resources);
  if (kind == "HashTransformer") return add_hashes(resources), Result<void>();
  const FieldSpecs& defaults = kind == "ImageTagTransformer" ? known.images : kNone;
  const FieldSpecs specs = TRY(specs_of(config, defaults));
  if (kind == "NamespaceTransformer") {
    return set_namespace(config["metadata"]["namespace"].str(), specs, config["setRoleBindingSubjects"].str(),
                         config["unsetOnly"].as_bool(), resources);
  }
  if (kind == "PrefixTransformer") return add_prefix(config["prefix"].str(), specs, resources);
  if (kind == "SuffixTransformer") return add_suffix(config["suffix"].str(), specs, resources);
  if (kind == "PrefixSuffixTransformer") {
    TRY(add_prefix(config["prefix"].str(), specs, resources));
    return add_suffix(config["suffix"].str(), specs, resources);
  }
  if (kind == "LabelTransformer") return set_entries(config["labels"], specs, resources);
  if (kind == "AnnotationsTransformer") return set_entries(config["annotations"], specs, resources);
  if (kind == "ImageTagTransformer") return set_image(config["imageTag"], specs, resources);
  if (kind == "ReplicaCountTransformer")
    return set_replicas(config["replica"]["name"].str(), config["replica"]["count"].as_int(), specs, resources);
  return Error{ErrorCode::invalid,
               "unable to load builtin " + Gvk::of(config).str() + ": no built-in transformer has this name"};
}

}  // namespace caisson::render::kustomize_impl
