// SPDX-License-Identifier: Apache-2.0
// Walks kustomizations: resources from files and directories, generators, components, transformers, in kustomize's
// order.
#include <algorithm>
#include <cmath>
#include <optional>

#include "core/base/file.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/render/kustomize/build_annotations.h"
#include "delivery/render/kustomize/metadata.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

constexpr std::size_t kDirectoryDepthMax = 50;
constexpr std::size_t kKustomizationsMax = 20'000;
constexpr std::size_t kObjectsMax = 500'000;

bool is_directory_in(const FileSource& source, const std::string& path) {
  return source.list(path).ok();
}

Error in_field(const Target& target, const std::string& field, Error error) {
  return target.at(field, std::move(error));
}

Result<void> accumulate_file(const Target& target, const std::string& entry, const std::string& path,
                             const std::string& text, Accumulated& all) {
  std::vector<Resource> resources = TRY(parse_resources(text, path));
  target.build.objects_read += resources.size();
  if (target.build.objects_read > kObjectsMax)
    return Error{ErrorCode::too_large,
                 path + ": the build reads more than " + std::to_string(kObjectsMax) + " objects"};
  for (Resource& resource : resources) {
    if (target.build.traces_origins()) resource.origin = target.origin.below(entry).of_file();
    TRY(all.resources.append(std::move(resource)).in(path));
  }
  return {};
}

Result<void> accumulate_target(const Target& target, Accumulated& all);

Result<void> enter(Build& build, const std::string& directory) {
  const auto known = std::find(build.open_directories.begin(), build.open_directories.end(), directory);
  if (known != build.open_directories.end())
    return Error{ErrorCode::invalid, "cycle detected: kustomizations lead back to " + directory};
  if (build.open_directories.size() >= kDirectoryDepthMax)
    return Error{ErrorCode::invalid, "kustomizations are nested too deeply"};
  if (++build.entered > kKustomizationsMax)
    return Error{ErrorCode::too_large,
                 "the build goes through more than " + std::to_string(kKustomizationsMax) + " kustomizations"};
  build.open_directories.push_back(directory);
  return {};
}

Result<void> accumulate_directory(const Target& target, const std::string& entry, const std::string& directory,
                                  bool as_component, Accumulated& all) {
  Build& build = target.build;
  const Kustomization inner = TRY(load_kustomization(build.source, directory, build.warnings));
  if (as_component && !inner.component())
    return Error{ErrorCode::invalid, inner.file + ": kind must be Component, for it is named in 'components'"};
  if (!as_component && inner.component())
    return Error{ErrorCode::invalid, inner.file + ": kind is Component, so it must be named in 'components'"};
  TRY(enter(build, directory));
  const std::string own_namespace = target.kustomization.fields["namespace"].str();
  const Target inner_target{build, inner, target.origin.below(entry),
                            own_namespace.empty() ? target.chart_namespace : own_namespace};
  // A component works on what its parent has so far; any other kustomization on its own.
  Accumulated own;
  Accumulated& into = as_component ? all : own;
  auto done = accumulate_target(inner_target, into);
  build.open_directories.pop_back();
  if (!done.ok()) return std::move(done).error();
  if (as_component) return {};
  return all.merge(std::move(own)).in(inner.file);
}

// Behind a URL there may be a file or, in the same form, a repository: a page that holds no resources is none.
Result<void> accumulate_remote(const Target& target, const std::string& entry, Accumulated& all) {
  std::optional<Error> no_file;
  if (is_http_url(entry)) {
    auto text = target.build.source.fetch_file(entry);
    if (text.ok() && parse_resources(*text, entry).ok()) return accumulate_file(target, entry, entry, *text, all);
    no_file = text.ok() ? parse_resources(*text, entry).error() : text.error();
    if (!parse_repository_url(entry).ok()) return *no_file;
  }
  auto folder = target.folder(entry);
  if (folder.ok()) return accumulate_directory(target, entry, *folder, false, all);
  Error error = std::move(folder).error();
  if (no_file && no_file->message != error.message) error.message += "; as a file: " + no_file->message;
  return error;
}

Result<void> accumulate_entry(const Target& target, const std::string& entry, const std::string& at, Accumulated& all) {
  if (is_remote(entry)) return accumulate_remote(target, entry, all);
  const std::string place = TRY(target.folder(entry));
  // Most entries are files, so that is tried first: a directory cannot be read.
  auto text = target.read(entry, at);
  if (text.ok()) return accumulate_file(target, entry, place, *text, all);
  if (is_directory_in(target.build.source, place)) return accumulate_directory(target, entry, place, false, all);
  return std::move(text).error();
}

Result<void> accumulate_resources(const Target& target, const Value& entries, const std::string& field,
                                  Accumulated& all) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string at = field + "[" + std::to_string(i) + "]";
    auto done = accumulate_entry(target, entries[i].str(), at, all);
    if (!done.ok()) return in_field(target, at, std::move(done).error());
  }
  return {};
}

Result<void> accumulate_components(const Target& target, Accumulated& all) {
  const Value& entries = target.kustomization.fields["components"];
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string at = "components[" + std::to_string(i) + "]";
    auto folder = target.folder(entries[i].str());
    if (!folder.ok()) return in_field(target, at, std::move(folder).error());
    auto done = accumulate_directory(target, entries[i].str(), *folder, true, all);
    if (!done.ok()) return in_field(target, at, std::move(done).error());
  }
  return {};
}

Result<void> read_configurations(const Target& target, Accumulated& all) {
  const Value& files = target.kustomization.fields["configurations"];
  if (files.empty() && target.kustomization.fields["crds"].empty())
    return all.add_config(TransformerConfig::built_in());
  TransformerConfig config = *TransformerConfig::built_in();
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string at = "configurations[" + std::to_string(i) + "]";
    const std::string text = TRY(target.read(files[i].str(), at));
    const Value file = TRY(yaml::read(text, {.name = target.resolve(files[i].str())}));
    const TransformerConfig more = TRY(TransformerConfig::parse(file).in(target.resolve(files[i].str())));
    // Where names are changed is told anew, not in addition: so a configuration can spare most kinds.
    if (!more.name_prefix.empty()) config.name_prefix.clear();
    if (!more.name_suffix.empty()) config.name_suffix.clear();
    TRY(config.merge(more).in(target.resolve(files[i].str())));
  }
  const Value& crds = target.kustomization.fields["crds"];
  for (std::size_t i = 0; i < crds.size(); ++i) {
    const std::string text = TRY(target.read(crds[i].str(), "crds[" + std::to_string(i) + "]"));
    const Value file = TRY(yaml::read(text, {.name = target.resolve(crds[i].str())}));
    const TransformerConfig more = TRY(TransformerConfig::from_definitions(file).in(target.resolve(crds[i].str())));
    TRY(config.merge(more).in(target.resolve(crds[i].str())));
  }
  auto own = std::make_shared<TransformerConfig>();
  TRY(own->merge(config));
  return all.add_config(std::move(own));
}

Result<void> read_open_api(const Target& target) {
  const Value& open_api = target.kustomization.fields["openapi"];
  if (open_api["version"].is_string() && open_api["version"].as_string() != "v1.21.2" &&
      open_api["version"].as_string() != "v1.20.4") {
    return in_field(target, "openapi.version",
                    Error{ErrorCode::invalid, "the OpenAPI version " + open_api["version"].str() + " is not built in"});
  }
  if (!open_api["path"].is_string()) return {};
  const std::string text = TRY(target.read(open_api["path"].str(), "openapi.path"));
  const Value document = TRY(yaml::read(text, {.name = target.resolve(open_api["path"].str())}));
  target.build.merge_keys = document["definitions"];
  target.build.merge_schemas.clear();
  return {};
}

Result<Variable> parse_variable(const Value& var) {
  const Value& object = var["objref"];
  Variable made{var["name"].str(), {}, "metadata.name"};
  if (made.name.empty()) return Error{ErrorCode::invalid, "name: must be set"};
  made.object.gvk = {object["group"].str(), object["version"].str(), object["kind"].str()};
  if (object["apiVersion"].is_string())
    made.object.gvk = Gvk::parse(object["apiVersion"].as_string(), object["kind"].as_string());
  made.object.name = object["name"].str();
  made.object.ns = object["namespace"].str();
  if (!var["fieldref"]["fieldPath"].as_string().empty()) made.field_path = var["fieldref"]["fieldPath"].str();
  if (!var["fieldref"]["fieldpath"].as_string().empty()) made.field_path = var["fieldref"]["fieldpath"].str();
  return made;
}

Result<void> collect_variables(const Target& target, Accumulated& all) {
  const Value& vars = target.kustomization.fields["vars"];
  for (std::size_t i = 0; i < vars.size(); ++i) {
    const std::string at = "vars[" + std::to_string(i) + "]";
    auto parsed = parse_variable(vars[i]);
    if (!parsed.ok()) return in_field(target, at, std::move(parsed).error());
    const Variable variable = *parsed;
    const bool with_ns = !variable.object.ns.empty() || variable.object.cluster_scoped();
    const auto matched = all.resources.matching_any_id(variable.object.name, [&](const Id& id) {
      return with_ns ? id.equals(variable.object) : id.name == variable.object.name && id.gvk == variable.object.gvk;
    });
    if (matched.size() > 1) {
      return in_field(
          target, at,
          Error{ErrorCode::invalid, std::to_string(matched.size()) + " resources match the var " + variable.name});
    }
    if (matched.size() == 1) matched[0]->variables.push_back(variable.name);
    auto added = all.add_variable(variable);
    if (!added.ok()) return in_field(target, at, std::move(added).error());
  }
  return {};
}

// What `transformers` or `validators` name: inline objects, files, or directories with kustomizations.
Result<std::vector<Resource>> read_plugins(const Target& target, const char* field) {
  Accumulated plugins;
  const Value& entries = target.kustomization.fields[field];
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].as_string().find('\n') != std::string_view::npos) {
      const std::string at = std::string(field) + "[" + std::to_string(i) + "]";
      auto inlined = parse_resources(entries[i].str(), target.kustomization.file);
      if (!inlined.ok()) return in_field(target, at, std::move(inlined).error());
      for (Resource& resource : std::move(inlined).value()) {
        if (target.build.traces_origins()) resource.origin = target.own_file().of_file();
        TRY(plugins.resources.append(std::move(resource)).in(field));
      }
      continue;
    }
    const Value one(std::vector<Value>{entries[i]});
    TRY(accumulate_resources(target, one, field, plugins));
  }
  std::vector<Resource> out;
  for (Resource& resource : plugins.resources.all()) out.push_back(std::move(resource));
  return out;
}

// How the origin annotation tells of a plugin: its file and its own identity.
Value configured_by(const Resource& plugin) {
  Value by{{"apiVersion", plugin.object["apiVersion"]},
           {"kind", plugin.object["kind"]},
           {"name", plugin.object["metadata"]["name"]}};
  if (plugin.object["metadata"].contains("namespace")) by.set("namespace", plugin.object["metadata"]["namespace"]);
  return Origin{plugin.origin["path"].str(), plugin.origin["repo"].str(), plugin.origin["ref"].str()}.of_configuration(
      std::move(by));
}

// A ServiceAccount bound to one of Google's cloud: the one kind of policy that kustomize's generator knows.
Result<Resource> generate_iam_account(const Target& target, const Value& args, const std::string& field) {
  if (args["cloud"].as_string() != "gke")
    return in_field(target, field + ".cloud", Error{ErrorCode::invalid, "must be gke"});
  const std::string account = args["serviceAccount"]["name"].str() + "@" + args["serviceAccount"]["projectId"].str() +
                              ".iam.gserviceaccount.com";
  Resource made;
  made.object = Value{{"apiVersion", "v1"}, {"kind", "ServiceAccount"}};
  made.object.edit({"metadata", "annotations", "iam.gke.io/gcp-service-account"}) = Value(account);
  made.object.edit({"metadata", "name"}) = args["kubernetesService"]["name"];
  if (!args["kubernetesService"]["namespace"].as_string().empty())
    made.object.edit({"metadata", "namespace"}) = args["kubernetesService"]["namespace"];
  return made;
}

Result<void> absorb_generated(const Target& target, const Resource& plugin, std::vector<Resource> made,
                              const std::string& field, Accumulated& all) {
  for (Resource& resource : made) {
    if (target.build.traces_origins()) resource.origin = configured_by(plugin);
    auto absorbed = all.resources.absorb(std::move(resource));
    if (!absorbed.ok()) return in_field(target, field, std::move(absorbed).error());
  }
  return {};
}

// A chart has the object's own `name` and `namespace`, not those of its metadata or of the kustomization.
Result<void> run_chart_plugin(const Target& target, const Resource& plugin, const std::string& field,
                              Accumulated& all) {
  auto made = inflate_chart(target, plugin.object, plugin.object);
  if (!made.ok()) return in_field(target, field, std::move(made).error());
  return absorb_generated(target, plugin, std::move(made).value(), field, all);
}

Result<void> check_functions_allowed(const Target& target, const Resource& plugin, const std::string& field) {
  if (target.build.options.functions != nullptr) return {};
  return in_field(
      target, field,
      Error{ErrorCode::forbidden, "external plugins disabled; unable to load external plugin '" +
                                      plugin.object["kind"].str() + "' (--enable-alpha-plugins allows it)"});
}

Result<void> run_plugin_generators(const Target& target, Accumulated& all) {
  const std::vector<Resource> plugins = TRY(read_plugins(target, "generators"));
  for (const Resource& plugin : plugins) {
    const std::string kind = plugin.object["kind"].str();
    const std::string field = "generators (" + plugin.id().str() + ")";
    Value args = plugin.object;
    for (const char* part : {"name", "namespace"}) {
      if (args[part].as_string().empty() && plugin.object["metadata"].contains(part))
        args.set(part, plugin.object["metadata"][part]);
    }
    if (const auto function = function_of(plugin.object)) {
      TRY(check_functions_allowed(target, plugin, field));
      auto made = run_function_generator(target, plugin, *function);
      if (!made.ok()) return in_field(target, field, std::move(made).error());
      TRY(absorb_generated(target, plugin, std::move(made).value(), field, all));
      continue;
    }
    if (kind == "HelmChartInflationGenerator" && plugin.object["apiVersion"].as_string() == "builtin") {
      TRY(run_chart_plugin(target, plugin, field, all));
      continue;
    }
    const auto generate = kind == "ConfigMapGenerator"   ? generate_config_map
                          : kind == "SecretGenerator"    ? generate_secret
                          : kind == "IAMPolicyGenerator" ? generate_iam_account
                                                         : nullptr;
    if (plugin.object["apiVersion"].as_string() != "builtin" || generate == nullptr) {
      return in_field(target, field,
                      Error{ErrorCode::invalid, "external plugins disabled; unable to load external plugin '" + kind +
                                                    "': the built-in generators are ConfigMapGenerator, "
                                                    "SecretGenerator and IAMPolicyGenerator"});
    }
    Resource made = TRY(generate(target, args, field));
    if (target.build.traces_origins()) made.origin = configured_by(plugin);
    auto absorbed = all.resources.absorb(std::move(made));
    if (!absorbed.ok()) return in_field(target, field, std::move(absorbed).error());
  }
  return {};
}

Result<void> run_transformer(const Target& target, const Resource& plugin, const std::string& field, Accumulated& all) {
  const std::string at = field + " (" + plugin.id().str() + ")";
  const auto function = function_of(plugin.object);
  if (!function) return run_configured_transformer(target, plugin, all).in(target.kustomization.file + ": " + at);
  TRY(check_functions_allowed(target, plugin, at));
  return run_function_transformer(target, plugin, *function, all.resources).in(target.kustomization.file + ": " + at);
}

// Validators may leave their mark: the label `validated-by`.
Value without_mark(const Value& object) {
  const Value& labels = object["metadata"]["labels"];
  if (!labels.contains("validated-by")) return object;
  Value out = object;
  out.edit({"metadata", "labels"}).erase("validated-by");
  if (out["metadata"]["labels"].empty()) out.edit("metadata").erase("labels");
  return out;
}

Result<void> run_plugins(const Target& target, Accumulated& all) {
  const std::vector<Resource> transformers = TRY(read_plugins(target, "transformers"));
  for (const Resource& plugin : transformers) {
    TRY(run_transformer(target, plugin, "transformers", all));
    if (target.build.traces_origins()) note_transformation(configured_by(plugin), all.resources);
  }
  const std::vector<Resource> validators = TRY(read_plugins(target, "validators"));
  for (const Resource& plugin : validators) {
    std::vector<Value> before;
    for (const Resource& resource : all.resources.all()) before.push_back(resource.object);
    const std::string where = target.kustomization.file + ": validators (" + plugin.id().str() + ")";
    TRY(run_transformer(target, plugin, "validators", all));
    std::size_t i = 0;
    for (const Resource& resource : all.resources.all()) {
      if (i >= before.size() || !(before[i++] == without_mark(resource.object))) {
        return Error{ErrorCode::invalid,
                     where + ": validator shouldn't modify the resource map; it changed " + resource.id().str()};
      }
    }
  }
  return {};
}

Result<void> accumulate_target(const Target& target, Accumulated& all) {
  TRY(read_open_api(target));
  TRY(accumulate_resources(target, target.kustomization.fields["resources"], "resources", all));
  TRY(read_configurations(target, all));
  TRY(run_generators(target, all.resources));
  TRY(run_plugin_generators(target, all));
  TRY(accumulate_components(target, all));
  TRY(run_transformers(target, all));
  TRY(run_plugins(target, all));
  return collect_variables(target, all);
}

bool has_unwritable_number(const Value& value) {
  if (value.kind() == ValueKind::floating) return !std::isfinite(value.as_double());
  const auto items = value.items();
  if (std::any_of(items.begin(), items.end(), has_unwritable_number)) return true;
  const auto entries = value.entries();
  return std::any_of(entries.begin(), entries.end(),
                     [](const document::MapEntry& entry) { return has_unwritable_number(entry.value); });
}

// Objects are JSON, which has no word for infinity and for what is no number. Few texts have what may be one.
Result<void> check_numbers(std::string_view text, const std::vector<Value>& documents) {
  static constexpr std::string_view kWords[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"};
  const bool suspect = std::any_of(std::begin(kWords), std::end(kWords),
                                   [&](std::string_view word) { return text.find(word) != std::string_view::npos; });
  if (!suspect || std::none_of(documents.begin(), documents.end(), has_unwritable_number)) return {};
  return Error{ErrorCode::invalid, "json: unsupported value: .inf and .nan are no numbers of JSON"};
}

Result<void> add_object(const Value& object, const std::string& file, std::vector<Resource>& out) {
  if (object.is_null() || (object.is_map() && object.empty())) return {};
  if (!object.is_map())
    return Error{ErrorCode::invalid,
                 file + ": every document must be a map, not a " + std::string(document::kind_name(object.kind()))};
  const std::string_view kind = object["kind"].as_string();
  if (kind.empty())
    return Error{ErrorCode::invalid, file + ": missing kind in object " + json::write(object).substr(0, 200)};
  if (kind.ends_with("List") && object["items"].is_list()) {
    for (const Value& item : object["items"].items()) TRY(add_object(item, file, out));
    return {};
  }
  if (kind.ends_with("List") && object.contains("items")) return {};
  if (object["metadata"]["name"].scalar_text().empty() && kind != "List") {
    return Error{ErrorCode::invalid, file + ": missing metadata.name in object of kind " + std::string(kind)};
  }
  TRY(check_metadata(object).in(file));
  Resource resource;
  resource.object = object;
  resource.file = file;
  TRY(take_build_annotations(resource).in(file));
  out.push_back(std::move(resource));
  return {};
}

}  // namespace

Result<void> Accumulated::add_config(std::shared_ptr<const TransformerConfig> more) {
  if (more == nullptr || more == config) return {};
  if (config == nullptr) {
    config = std::move(more);
    return {};
  }
  auto merged = std::make_shared<TransformerConfig>(*config);
  TRY(merged->merge(*more));
  config = std::move(merged);
  return {};
}

Result<void> Accumulated::add_variable(Variable variable) {
  const std::string name = variable.name;
  if (!variables.emplace(name, std::move(variable)).second)
    return Error{ErrorCode::conflict, "var '" + name + "' already encountered"};
  return {};
}

Result<void> Accumulated::merge(Accumulated other) {
  TRY(resources.append_all(std::move(other.resources)));
  TRY(add_config(std::move(other.config)));
  for (auto& [name, variable] : other.variables) TRY(add_variable(std::move(variable)));
  return {};
}

Error Target::at(const std::string& field, Error error) const {
  if (error.message.starts_with(kustomization.file + ": ")) return error;
  return std::move(error).in(kustomization.file + ": " + field);
}

namespace {

// A path without "." and "..", which most are: nothing is to be cleaned.
bool is_simple(std::string_view path) {
  return !path.empty() && path.front() != '.' && path.front() != '/' && path.back() != '/' &&
         path.find("//") == std::string_view::npos && path.find("/.") == std::string_view::npos;
}

}  // namespace

std::string Target::resolve(const std::string& path) const {
  if (!is_simple(path)) return path_clean(path_join(kustomization.directory, path));
  return kustomization.directory == "." ? path : path_join(kustomization.directory, path);
}

Result<std::string> Target::folder(const std::string& entry) const {
  if (is_remote(entry)) {
    const RepositoryUrl url = TRY(parse_repository_url(entry));
    return build.source.mount(url);
  }
  const std::string resolved = resolve(entry), mount = build.source.mount_of(kustomization.directory);
  if (!mount.empty() && build.source.mount_of(resolved) != mount)
    return Error{ErrorCode::forbidden, entry + " is outside the repository that names it"};
  return resolved;
}

Result<std::string> Target::read(const std::string& path, const std::string& field) const {
  auto text = read_allowed(path);
  if (text.ok()) return text;
  return std::move(text).error().in(kustomization.file + ": " + field);
}

Result<std::string> Target::read_allowed(const std::string& path) const {
  if (is_http_url(path)) return build.source.fetch_file(path);
  if (path.starts_with("/")) return Error{ErrorCode::forbidden, "an absolute path is not allowed: " + path};
  const std::string resolved = resolve(path), &root = kustomization.directory;
  const bool inside = root == "." ? !resolved.starts_with("..") : resolved.starts_with(root + "/");
  // What was fetched is not trusted with more than its own folder.
  const bool anywhere = build.options.outside_root_allowed && build.source.mount_of(root).empty();
  if (!inside && !anywhere)
    return Error{ErrorCode::forbidden, path + " is not in or below the kustomization's directory"};
  return build.source.read(resolved);
}

Origin Target::own_file() const {
  return origin.below(path_base(kustomization.file));
}

Origin Origin::below(const std::string& entry) const {
  if (is_remote(entry)) {
    const auto url = parse_repository_url(entry);
    if (url.ok()) return {url->path.empty() ? "." : url->path, url->clone, url->ref};
  }
  return {path_clean(path_join(path, entry)), repo, ref};
}

Value Origin::of_file() const {
  Value out{{"path", Value(path)}};
  if (!repo.empty()) out.set("repo", Value(repo));
  if (!ref.empty()) out.set("ref", Value(ref));
  return out;
}

Value Origin::of_configuration(Value configured_by) const {
  Value out = Value::map();
  if (!repo.empty()) out.set("repo", Value(repo));
  if (!ref.empty()) out.set("ref", Value(ref));
  out.set("configuredIn", Value(path));
  out.set("configuredBy", std::move(configured_by));
  return out;
}

Result<std::vector<Resource>> parse_resources(const std::string& text, const std::string& file) {
  const std::vector<Value> documents = TRY(read_documents(text, {.name = file, .expands_timestamps = true}));
  TRY(check_numbers(text, documents).in(file));
  std::vector<Resource> out;
  for (const Value& document : documents) TRY(add_object(document, file, out));
  return out;
}

Result<std::vector<Resource>> resources_of(const Value& object, const std::string& file) {
  std::vector<Resource> out;
  TRY(add_object(object, file, out));
  return out;
}

Result<Accumulated> accumulate(Build& build, const std::string& directory, const Origin& origin) {
  const Kustomization kustomization = TRY(load_kustomization(build.source, directory, build.warnings));
  for (const Value& wanted : kustomization.fields["buildMetadata"].items()) build.metadata_wanted.insert(wanted.str());
  build.sort_options = kustomization.fields["sortOptions"];
  build.entry_file = kustomization.file;
  TRY(enter(build, directory));
  const Target target{build, kustomization, origin};
  Accumulated all;
  TRY(accumulate_target(target, all));
  build.open_directories.pop_back();
  return all;
}

}  // namespace caisson::render::kustomize_impl
