// SPDX-License-Identifier: Apache-2.0
// The stages of a build, in the order in which one kustomization passes through them:
//   load (kustomization.cc) → accumulate (accumulate.cc) → generate (generators.cc) → components → transform
//   (transformers.cc, patches.cc, images.cc, replacements.cc) → vars are collected
// and once at the end: hashes, references (references.cc), vars (variables.cc), order and metadata (write.cc).
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "delivery/render/kustomize/config.h"
#include "delivery/render/kustomize/kustomization.h"
#include "delivery/render/kustomize/mounts.h"
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
  // Most kustomizations add nothing to what is built in, and then all have the same. Set once the kustomization's own
  // `configurations` were read.
  std::shared_ptr<const TransformerConfig> config;
  std::map<std::string, Variable> variables;
  Result<void> add_config(std::shared_ptr<const TransformerConfig> more);
  Result<void> add_variable(Variable variable);
  Result<void> merge(Accumulated other);
};

// One build: the files, the options, and what was seen on the way.
struct Build {
  Mounts& source;
  const Options& options;
  std::vector<std::string> warnings;
  std::set<std::string> metadata_wanted;  // the entry kustomization's buildMetadata
  Value sort_options;                     // … and its sortOptions
  std::string entry_file;
  std::vector<std::string> open_directories;  // being accumulated, outermost first
  std::size_t entered = 0, objects_read = 0;  // a few kustomizations that name one another twice make very many
  Value merge_keys;                           // of custom kinds, from openapi files: "apiVersion/kind" → schema
  std::map<Gvk, std::shared_ptr<const document::MergeSchema>> merge_schemas;  // as they were asked for (merge_schema.h)
  bool traces_origins() const { return !metadata_wanted.empty(); }
};

// Where a kustomization comes from, as origin annotations tell it.
struct Origin {
  std::string path = ".";  // relative to the entry, or to the repository's root
  std::string repo = {}, ref = {};
  Origin below(const std::string& entry) const;  // a file or folder that the kustomization names
  Value of_file() const;
  Value of_configuration(Value configured_by) const;  // `path` is the file that configures
};

// A kustomization being accumulated.
struct Target {
  Build& build;
  const Kustomization& kustomization;
  Origin origin;
  std::string chart_namespace = {};  // for charts of kustomizations that set no namespace: that of the one above
  // A file that a field of the kustomization names. Errors name file and field.
  Result<std::string> read(const std::string& path, const std::string& field) const;
  std::string resolve(const std::string& path) const;
  // A folder or a repository that a field names; what is fetched is mounted. Errors: forbidden for a folder outside
  // the repository that names it.
  Result<std::string> folder(const std::string& entry) const;
  Origin own_file() const;  // the kustomization file
  // Says in which file and field an error arose, unless it says so itself.
  Error at(const std::string& field, Error error) const;

 private:
  Result<std::string> read_allowed(const std::string& path) const;
};

Result<Accumulated> accumulate(Build& build, const std::string& directory, const Origin& origin);

// The resources of a YAML text: documents, with List kinds opened. Errors: invalid, for what has no kind or name.
Result<std::vector<Resource>> parse_resources(const std::string& text, const std::string& file);

// The same of one value.
Result<std::vector<Resource>> resources_of(const Value& object, const std::string& file);

// --- KRM functions (functions.cc)
// The function that a generator's or transformer's configuration names; nothing: it is built in.
std::optional<Value> function_of(const Value& object);
Result<std::vector<Resource>> run_function_generator(const Target& target, const Resource& plugin, const Value& spec);
Result<void> run_function_transformer(const Target& target, const Resource& plugin, const Value& spec,
                                      ResourceMap& resources);

Result<void> run_generators(const Target& target, ResourceMap& resources);
Result<Resource> generate_config_map(const Target& target, const Value& args, const std::string& field);
Result<Resource> generate_secret(const Target& target, const Value& args, const std::string& field);

// The resources of one entry of helmCharts, or of a HelmChartInflationGenerator (charts.cc).
Result<std::vector<Resource>> inflate_chart(const Target& target, const Value& chart, const Value& globals);

Result<void> run_transformers(const Target& target, Accumulated& all);
// A built-in transformer by its configuration object, as `transformers:` names it.
Result<void> run_configured_transformer(const Target& target, const Resource& configuration, Accumulated& all);

// --- transformers
// That a transformer ran, for origin annotations: what has no origin counts as made by it.
void note_transformation(const Value& by, ResourceMap& resources);
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
// Entries that are one in kustomize (SharedEntry): to be called when a change is done. `before`: the object as it was;
// it does not count for a resource without shared entries.
void follow_shared_entries(Resource& resource, const Value& before);
// Of places where entries are set, those whose entries are one, once each and sorted.
std::vector<MapPath> maps_that_share(const std::vector<Place>& places);
// Which of `pairs` those maps do not have yet, and then, when they were added, to note those that came to be.
std::vector<SharedEntry> entries_to_share(const Value& object, const Value& pairs, const std::vector<MapPath>& maps);
void share_new_entries(Resource& resource, std::vector<SharedEntry> added);
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
// Errors: conflict when two of those that stay have come to one id.
Result<void> drop_local(ResourceMap& resources);
Result<void> order(const Value& sort_options, ResourceMap& resources);
Rendering write(const Build& build, ResourceMap resources);

// A field by "spec.template.spec.containers.[name=web].image" or "spec.ports[0].port"; null when not there.
const Value* look_up(const Value& object, const std::vector<std::string>& path);
// Splits at dots outside brackets; "\." and "[a.b]" are no separators.
std::vector<std::string> split_field_path(std::string_view path);

}  // namespace caisson::render::kustomize_impl
