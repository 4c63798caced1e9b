// SPDX-License-Identifier: Apache-2.0
// Namespace, prefix and suffix, labels, annotations, replicas; and the order of all transformers.
#include <algorithm>

#include "core/base/file.h"
#include "core/document/json.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

bool is_role_binding(std::string_view kind) {
  return kind == "RoleBinding" || kind == "ClusterRoleBinding";
}

// Kinds whose names other systems give.
bool keeps_name(const Id& id) {
  return id.gvk.kind == "CustomResourceDefinition" || id.gvk.kind == "Namespace" ||
         (id.gvk.kind == "APIService" && id.gvk.group == "apiregistration.k8s.io");
}

bool is_taken(ResourceMap& resources, const Resource& by) {
  const Id id = by.id();
  const std::vector<Resource*> named = resources.named(id.name);
  return std::any_of(named.begin(), named.end(), [&](const Resource* one) { return one != &by && one->is_now(id); });
}

Result<void> set_subjects(Value& object, const std::string& ns, const std::string& mode, bool unset_only) {
  if (mode == "none" || !object["subjects"].is_list()) return {};
  Value& subjects = object.edit("subjects");
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    const Value& subject = subjects[i];
    const bool chosen = mode == "allServiceAccounts" ? subject["kind"].as_string() == "ServiceAccount"
                                                     : subject["name"].as_string() == "default";
    if (!chosen || (unset_only && !subject["namespace"].as_string().empty())) continue;
    subjects.edit(i).set("namespace", Value(ns));
  }
  return {};
}

Result<void> rename_with(ResourceMap& resources, const FieldSpecs& specs, const std::string& text, bool prefix) {
  for (Resource& resource : resources.all()) {
    const Id original = resource.original_id();
    if (keeps_name(original)) continue;
    for (const FieldSpec& spec : specs) {
      if (!original.gvk.selected_by(spec.gvk)) continue;
      if (spec.path == "metadata/name" && !text.empty()) {
        (prefix ? resource.prefixes : resource.suffixes).push_back(text);
        resource.remember_id();
      }
      TRY(visit_field(resource.object, spec, Create::scalar, [&](Value& name) -> Result<void> {
        name = Value(prefix ? text + name.scalar_text() : name.scalar_text() + text);
        return {};
      }));
    }
  }
  return {};
}

Value transformer_origin(const Target& target, const std::string& kind) {
  return target.own_file().of_configuration(Value{{"apiVersion", "builtin"}, {"kind", Value(kind)}});
}

Result<FieldSpecs> specs_for_label(const Value& label, const TransformerConfig& config) {
  FieldSpecs specs;
  for (const Value& field : label["fields"].items()) specs.push_back(TRY(FieldSpec::parse(field).in("fields")));
  TRY(merge_specs(specs, config.labels));
  if (label["includeSelectors"].as_bool()) {
    TRY(merge_specs(specs, config.common_labels));
    return specs;
  }
  if (label["includeTemplates"].as_bool()) {
    FieldSpecs templates = config.template_labels;
    // A claim's template can't be changed once the StatefulSet exists, so it is labelled only when that is asked for.
    if (!label["includeVolumeClaimTemplates"].as_bool()) {
      std::erase_if(templates,
                    [](const FieldSpec& spec) { return spec.path.starts_with("spec/volumeClaimTemplates"); });
    }
    TRY(merge_specs(specs, templates));
  } else if (label["includeVolumeClaimTemplates"].as_bool()) {
    TRY(merge_specs(specs, {{{"apps", "", "StatefulSet"}, "spec/volumeClaimTemplates[]/metadata/labels", true}}));
  }
  TRY(merge_specs(specs, {{{}, "metadata/labels", true}}));
  return specs;
}

// One step of a kustomization's transformers, and the note of it that buildMetadata may want.
class Steps {
 public:
  Steps(const Target& target, Accumulated& all) : target_(target), all_(all) {}

  template <class Step>
  Result<void> run(const char* kind, const std::string& field, Step step) {
    auto done = step(all_.resources);
    if (!done.ok()) return target_.at(field, std::move(done).error());
    if (!target_.build.traces_origins()) return {};
    note_transformation(transformer_origin(target_, kind), all_.resources);
    return {};
  }

  template <class Step>
  Result<void> run_each(const char* kind, const char* field, Step step) {
    const Value& list = target_.kustomization.fields[field];
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string at = std::string(field) + "[" + std::to_string(i) + "]";
      TRY(run(kind, at, [&](ResourceMap& resources) { return step(list[i], at, resources); }));
    }
    return {};
  }

 private:
  const Target& target_;
  Accumulated& all_;
};

}  // namespace

void note_transformation(const Value& by, ResourceMap& resources) {
  for (Resource& resource : resources.all_same_names()) {
    if (resource.origin.is_null())
      resource.origin = by;
    else
      resource.transformations.push_back(by);
  }
}

Result<void> set_namespace(const std::string& ns, const FieldSpecs& specs, const std::string& subjects_mode,
                           bool unset_only, ResourceMap& resources) {
  if (!subjects_mode.empty() && subjects_mode != "defaultOnly" && subjects_mode != "allServiceAccounts" &&
      subjects_mode != "none") {
    return Error{ErrorCode::invalid, "setRoleBindingSubjects: must be defaultOnly, allServiceAccounts or none"};
  }
  const auto set = [&](Value& place) -> Result<void> {
    if (place.is_map() || place.is_list())
      return Error{ErrorCode::invalid, "namespace field specifications must lead to scalars"};
    if (!unset_only || place.scalar_text().empty()) place = Value(ns);
    return {};
  };
  const FieldSpec own{{}, "metadata/namespace", true};
  for (Resource& resource : resources.all_same_names()) {
    if (resource.from_chart) continue;
    resource.remember_id();
    const Gvk gvk = Gvk::of(resource.object);
    const std::string name = resource.name();
    if (!is_cluster_scoped(gvk)) TRY(visit_field(resource.object, own, Create::scalar, set));
    if (is_role_binding(gvk.kind)) TRY(set_subjects(resource.object, ns, subjects_mode, unset_only));
    for (const FieldSpec& spec : specs) {
      if (spec.path == "metadata/namespace") continue;
      if (spec.path == "metadata/name" && resource.object["apiVersion"].as_string() != "v1") continue;
      if (is_role_binding(gvk.kind) && is_role_binding(spec.gvk.kind) && spec.path == "subjects/namespace") continue;
      TRY(visit_field(resource.object, spec, Create::scalar, set));
    }
    if (resource.name() != name) resources.name_changed(resource);
    if (is_taken(resources, resource))
      return Error{ErrorCode::conflict, "two resources become " + resource.id().str() + " in the namespace " + ns};
  }
  return {};
}

Result<void> add_prefix(const std::string& prefix, const FieldSpecs& specs, ResourceMap& resources) {
  return rename_with(resources, specs, prefix, true);
}
Result<void> add_suffix(const std::string& suffix, const FieldSpecs& specs, ResourceMap& resources) {
  return rename_with(resources, specs, suffix, false);
}

Result<void> set_entries(const Value& pairs, const FieldSpecs& specs, ResourceMap& resources) {
  if (pairs.empty()) return {};
  PlacesByKind by_kind(specs);
  ByKind<std::vector<MapPath>> shared_by_kind;
  for (Resource& resource : resources.all_same_names()) {
    const std::vector<Place>& places = by_kind.of(resource.object);
    const std::vector<MapPath>& maps =
        shared_by_kind.of(resource.object, [&](const Gvk&) { return maps_that_share(places); });
    const Value before = resource.shared.empty() ? Value() : resource.object;
    std::vector<SharedEntry> shared = entries_to_share(resource.object, pairs, maps);
    for (const Place& place : places) {
      auto done = visit_place(resource.object, place, Create::map, [&](Value& map) -> Result<void> {
        if (!map.is_map() && !map.is_null()) return Error{ErrorCode::invalid, place.spec->path + " is not a map"};
        for (const auto& [key, value] : pairs.entries()) map.set(key, value.is_null() ? Value("") : value);
        return {};
      });
      if (!done.ok()) return std::move(done).error().in(resource.id().str());
    }
    follow_shared_entries(resource, before);
    share_new_entries(resource, std::move(shared));
  }
  return {};
}

Result<void> set_replicas(const std::string& name, std::int64_t count, const FieldSpecs& specs,
                          ResourceMap& resources) {
  bool found = false;
  for (const FieldSpec& spec : specs) {
    for (Resource* resource : resources.matching_any_id(
             name, [&](const Id& id) { return id.name == name && id.gvk.selected_by(spec.gvk); })) {
      found = true;
      TRY(visit_field(resource->object, spec, Create::scalar, [&](Value& place) -> Result<void> {
        place = Value(count);
        return {};
      }));
    }
  }
  if (found) return {};
  std::string kinds;
  for (const FieldSpec& spec : specs) kinds += (kinds.empty() ? "" : ", ") + spec.gvk.kind;
  return Error{ErrorCode::invalid, "no resource is named " + name + " among the kinds " + kinds};
}

Result<void> run_transformers(const Target& target, Accumulated& all) {
  const Value& fields = target.kustomization.fields;
  const TransformerConfig& config = *all.config;
  Steps steps(target, all);
  if (!fields["patchesStrategicMerge"].empty()) {
    TRY(steps.run("PatchStrategicMergeTransformer", "patchesStrategicMerge", [&](ResourceMap& resources) {
      return patch_strategic_merge_field(target, fields["patchesStrategicMerge"], resources);
    }));
  }
  TRY(steps.run_each("PatchTransformer", "patches",
                     [&](const Value& patch, const std::string& at, ResourceMap& resources) {
                       return patch_field(target, patch, resources, at);
                     }));
  if (const std::string ns = fields["namespace"].str(); !ns.empty()) {
    TRY(steps.run("NamespaceTransformer", "namespace",
                  [&](ResourceMap& resources) { return set_namespace(ns, config.ns, "", false, resources); }));
  }
  if (const std::string prefix = fields["namePrefix"].str(); !prefix.empty()) {
    TRY(steps.run("PrefixTransformer", "namePrefix",
                  [&](ResourceMap& resources) { return add_prefix(prefix, config.name_prefix, resources); }));
  }
  if (const std::string suffix = fields["nameSuffix"].str(); !suffix.empty()) {
    TRY(steps.run("SuffixTransformer", "nameSuffix",
                  [&](ResourceMap& resources) { return add_suffix(suffix, config.name_suffix, resources); }));
  }
  TRY(steps.run_each("LabelTransformer", "labels",
                     [&](const Value& label, const std::string&, ResourceMap& resources) -> Result<void> {
                       const FieldSpecs specs = TRY(specs_for_label(label, config));
                       return set_entries(label["pairs"], specs, resources);
                     }));
  if (!fields["commonLabels"].empty() || !fields["labels"].empty()) {
    TRY(steps.run("LabelTransformer", "commonLabels", [&](ResourceMap& resources) {
      return set_entries(fields["commonLabels"], config.common_labels, resources);
    }));
  }
  if (!fields["commonAnnotations"].empty()) {
    TRY(steps.run("AnnotationsTransformer", "commonAnnotations", [&](ResourceMap& resources) {
      return set_entries(fields["commonAnnotations"], config.common_annotations, resources);
    }));
  }
  TRY(steps.run_each("PatchJson6902Transformer", "patchesJson6902",
                     [&](const Value& patch, const std::string& at, ResourceMap& resources) {
                       return patch_json6902_field(target, patch, resources, at);
                     }));
  TRY(steps.run_each(
      "ReplicaCountTransformer", "replicas", [&](const Value& replica, const std::string&, ResourceMap& resources) {
        return set_replicas(replica["name"].str(), replica["count"].as_int(), config.replicas, resources);
      }));
  TRY(steps.run_each("ImageTagTransformer", "images",
                     [&](const Value& image, const std::string&, ResourceMap& resources) {
                       return set_image(image, config.images, resources);
                     }));
  if (!fields["replacements"].empty()) {
    TRY(steps.run("ReplacementTransformer", "replacements",
                  [&](ResourceMap& resources) { return replace_values(target, fields["replacements"], resources); }));
  }
  return {};
}

}  // namespace caisson::render::kustomize_impl
