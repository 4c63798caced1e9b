// SPDX-License-Identifier: Apache-2.0
// The stages of a build, in the order in which one kustomization passes through them:
//   load (kustomization.cc) → accumulate (accumulate.cc) → generate (generators.cc) → components → transform
//   (transformers.cc, patches.cc, images.cc, replacements.cc) → vars are collected
// and once at the end: hashes, references (references.cc), vars (variables.cc), order and metadata (write.cc).
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "delivery/render/kustomize/config.h"
#include "delivery/render/kustomize/kustomization.h"
#include "delivery/render/kustomize/resource.h"
#include "delivery/render/render.h"

namespace caisson::document {
class MergeSchema;
}

namespace caisson::render::kustomize_impl {

// A var: a name, the object and the field that it stands for.
struct Variable {
  std::string name;
  Id object;
  std::string field_path = "metadata.name";
};

// What kustomizations hand up to the one that names them.
struct Accumulated {
  ResourceMap resources;
  TransformerConfig config;
  std::map<std::string, Variable> variables;
  Result<void> add_variable(Variable variable);
  Result<void> merge(Accumulated other);
};

// One build: the files, the options, and what was seen on the way.
struct Build {
  const FileSource& source;
  const Options& options;
  std::vector<std::string> warnings;
  std::set<std::string> metadata_wanted;      // the entry kustomization's buildMetadata
  std::vector<std::string> open_directories;  // being accumulated, outermost first
  Value merge_keys;                           // of custom kinds, from openapi files: "apiVersion/kind" → schema
  bool traces_origins() const { return !metadata_wanted.empty(); }
};

// A kustomization being accumulated.
struct Target {
  Build& build;
  const Kustomization& kustomization;
  std::string origin_path;  // as the origin annotation tells it
  std::string chart_namespace = {};  // for charts of kustomizations that set no namespace: that of the one above
  // A file that a field of the kustomization names. Errors name file and field.
  Result<std::string> read(const std::string& path, const std::string& field) const;
  std::string resolve(const std::string& path) const;
  // Says in which file and field an error arose, unless it says so itself.
  Error at(const std::string& field, Error error) const;
};

Result<Accumulated> accumulate(Build& build, const std::string& directory, const std::string& origin_path);

// The resources of a YAML text: documents, with List kinds opened. Errors: invalid, for what has no kind or name.
Result<std::vector<Resource>> parse_resources(const std::string& text, const std::string& file);

Result<void> run_generators(const Target& target, ResourceMap& resources);
Result<Resource> generate_config_map(const Target& target, const Value& args, const std::string& field);
Result<Resource> generate_secret(const Target& target, const Value& args, const std::string& field);

// The resources of one entry of helmCharts (charts.cc).
Result<std::vector<Resource>> inflate_chart(const Target& target, const Value& chart, const Value& globals);

Result<void> run_transformers(const Target& target, Accumulated& all);
// A built-in transformer by its configuration object, as `transformers:` names it.
Result<void> run_configured_transformer(const Target& target, const Resource& configuration, Accumulated& all);

// --- transformers
struct Selection {  // a patch's or replacement's target
  Gvk gvk;
  std::string name, ns, label_selector, annotation_selector;
  static Selection parse(const Value& target);
};
// By regular expressions, on the original and the present name. Errors: bad_request for a malformed one.
Result<std::vector<Resource*>> select(ResourceMap& resources, const Selection& selection);
Result<bool> labels_match(const Value& labels, const std::string& selector);

Result<void> patch_strategic_merge_field(const Target& target, const Value& list, ResourceMap& resources);
Result<void> patch_field(const Target& target, const Value& patch, ResourceMap& resources, const std::string& field);
Result<void> patch_json6902_field(const Target& target, const Value& patch, ResourceMap& resources,
                                  const std::string& field);
Result<void> set_namespace(const std::string& ns, const FieldSpecs& specs, const std::string& subjects_mode,
                           bool unset_only, ResourceMap& resources);
Result<void> add_prefix(const std::string& prefix, const FieldSpecs& specs, ResourceMap& resources);
Result<void> add_suffix(const std::string& suffix, const FieldSpecs& specs, ResourceMap& resources);
Result<void> set_entries(const Value& pairs, const FieldSpecs& specs, ResourceMap& resources);
Result<void> set_replicas(const std::string& name, std::int64_t count, const FieldSpecs& specs, ResourceMap& resources);
Result<void> set_image(const Value& image, const FieldSpecs& specs, ResourceMap& resources);
Result<void> replace_values(const Target& target, const Value& replacements, ResourceMap& resources);

// kustomize's own way of a strategic merge: what the patch adds to a list comes first. An empty result: the resource is
// deleted.
Result<Value> merge_strategic(Value object, const Value& patch, const document::MergeSchema* schema);

// --- at the end
void add_hashes(ResourceMap& resources);
Result<void> fix_references(const TransformerConfig& config, ResourceMap& resources);
Result<void> resolve_variables(const Accumulated& all, ResourceMap& resources);
void drop_local(ResourceMap& resources);
Result<void> order(const Value& sort_options, ResourceMap& resources);
Rendering write(const Build& build, ResourceMap resources);

// A field by "spec.template.spec.containers.[name=web].image" or "spec.ports[0].port"; null when not there.
const Value* look_up(const Value& object, const std::vector<std::string>& path);
// Splits at dots outside brackets; "\." and "[a.b]" are no separators.
std::vector<std::string> split_field_path(std::string_view path);

}  // namespace caisson::render::kustomize_impl
