// SPDX-License-Identifier: Apache-2.0
// Source: Argo CD 3.0 reposerver/repository (helmTemplate) and util/helm.
#include "delivery/gitops/helm_source.h"

#include <algorithm>
#include <optional>
#include <set>

#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/gitops/chart_dependencies.h"
#include "delivery/render/helm/render_chart.h"
#include "delivery/render/inputs.h"

namespace caisson::gitops {
namespace {

using namespace render::helm;

constexpr std::size_t kGlobFilesMax = 10'000;
// Some seconds of work; the largest charts take a hundredth. A template without an end ends here.
constexpr std::uint64_t kStepsMax = 20'000'000;

Error invalid(const std::string& field, const std::string& what) {
  return {ErrorCode::invalid, "spec.source.helm." + field + ": " + what};
}

Result<void> check_fields(const Value& options) {
  static constexpr std::string_view kKnown[] = {"releaseName",    "valueFiles",
                                                "values",         "valuesObject",
                                                "parameters",     "fileParameters",
                                                "skipCrds",       "skipTests",
                                                "version",        "ignoreMissingValueFiles",
                                                "namespace",      "kubeVersion",
                                                "apiVersions",    "skipSchemaValidation",
                                                "passCredentials"};
  for (const auto& [name, value] : options.entries()) {
    if (std::find(std::begin(kKnown), std::end(kKnown), name) == std::end(kKnown))
      return invalid(std::string(name), "not supported");
  }
  const std::string_view version = options["version"].as_string();
  if (!version.empty() && version != "v3") return invalid("version", "only v3 is rendered");
  return {};
}

bool is_pattern(std::string_view text) {
  return text.find_first_of("*?[{") != std::string_view::npos;
}

// Files below `directory` that match, sorted.
Result<void> walk(const render::FileSource& files, const std::string& directory, const std::string& pattern,
                  std::vector<std::string>& out) {
  auto entries = files.list(directory.empty() ? "." : directory);
  if (!entries.ok()) return {};
  for (const render::FileSource::Entry& entry : *entries) {
    const std::string path = directory.empty() ? entry.name : directory + "/" + entry.name;
    if (entry.directory) {
      TRY(walk(files, path, pattern, out));
    } else if (render::glob_matches(pattern, path)) {
      if (out.size() >= kGlobFilesMax) return invalid("valueFiles", pattern + " matches too many files");
      out.push_back(path);
    }
  }
  return {};
}

// The part before the first folder that holds a wildcard.
std::string fixed_part(const std::string& pattern) {
  const std::size_t wild = pattern.find_first_of("*?[{");
  const std::size_t slash = pattern.rfind('/', wild);
  return slash == std::string::npos ? "" : pattern.substr(0, slash);
}

// "$name/path": a file of another source. Nothing when `entry` does not begin so.
struct RefEntry {
  std::string name, path;
};
std::optional<RefEntry> ref_entry(std::string_view entry, const HelmSource& source) {
  if (!entry.starts_with('$')) return std::nullopt;
  const std::size_t slash = std::min(entry.find('/'), entry.size());
  RefEntry out{std::string(entry.substr(1, slash - 1)), std::string(entry.substr(slash))};
  const bool variable = std::any_of(source.environment.begin(), source.environment.end(),
                                    [&](const auto& known) { return known.first == out.name; });
  if (variable || entry.starts_with("${")) return std::nullopt;
  out.path = substitute(out.path, source.environment);
  return out;
}

// The files that an entry of valueFiles means: below the chart, or of another source (then "$name/path").
Result<std::vector<std::string>> named_files(const render::FileSource& files, const HelmSource& source,
                                             const std::string& entry) {
  const auto other = ref_entry(entry, source);
  if (!other) return value_files(files, source.path, substitute(entry, source.environment));
  const auto found = source.refs.find(other->name);
  if (found == source.refs.end())
    return invalid("valueFiles", entry + ": no source has the ref \"" + other->name + "\"");
  std::vector<std::string> out = TRY(value_files(*found->second, "", other->path));
  for (std::string& path : out) path = "$" + other->name + "/" + path;
  return out;
}

// `path` is one that named_files gave.
Result<std::string> read_named(const render::FileSource& files, const HelmSource& source, const std::string& path) {
  if (!path.starts_with('$')) return files.read(path);
  const std::size_t slash = path.find('/');
  return source.refs.at(path.substr(1, slash - 1))->read(path.substr(slash + 1));
}

Result<void> add_value_files(const render::FileSource& files, const HelmSource& source, ValueSources& out) {
  for (const Value& entry : source.options["valueFiles"].items()) {
    auto found = named_files(files, source, entry.str());
    if (found.ok()) {
      for (std::string& path : std::move(found).value()) {
        if (std::find(out.files.begin(), out.files.end(), path) == out.files.end())
          out.files.push_back(std::move(path));
      }
    } else if (found.error().code != ErrorCode::not_found || !source.options["ignoreMissingValueFiles"].as_bool()) {
      return std::move(found).error();
    }
  }
  return {};
}

Result<void> add_values(const HelmSource& source, ValueSources& out) {
  const Value& options = source.options;
  if (options["valuesObject"].is_map()) {
    out.documents.push_back(go_template::with_json_numbers(options["valuesObject"]));
  } else if (const std::string text = options["values"].str(); !trim(text).empty()) {
    const Value values = TRY(read_yaml(text).in("spec.source.helm.values"));
    if (!values.is_null() && !values.is_map()) return invalid("values", "must be a map");
    out.documents.push_back(values);
  }
  for (const Value& parameter : options["parameters"].items()) {
    const std::string name = parameter["name"].str();
    if (name.empty()) return invalid("parameters", "a parameter without a name");
    const SetKind kind = parameter["forceString"].as_bool() ? SetKind::string : SetKind::value;
    const std::string value = substitute(parameter["value"].scalar_text(), source.environment);
    out.sets.emplace_back(kind, name + "=" + escape_parameter(value));
  }
  for (const Value& parameter : options["fileParameters"].items()) {
    const std::string given = parameter["path"].str();
    const std::string path = ref_entry(given, source) ? given : substitute(given, source.environment);
    if (parameter["name"].as_string().empty() || path.empty())
      return invalid("fileParameters", "name and path are required");
    out.sets.emplace_back(SetKind::file, parameter["name"].str() + "=" + escape_parameter(path));
  }
  return {};
}

Result<RenderOptions> options_of(const HelmSource& source) {
  const Value& from = source.options;
  RenderOptions options;
  options.release.name = from["releaseName"].as_string().empty() ? source.application : from["releaseName"].str();
  options.release.ns = from["namespace"].as_string().empty() ? source.ns : from["namespace"].str();
  if (options.release.ns.empty()) options.release.ns = "default";
  options.include_crds = !from["skipCrds"].as_bool();
  options.skip_schema_validation = from["skipSchemaValidation"].as_bool();
  options.capabilities = source.capabilities;
  options.templates = source.templates;
  options.engine.steps_max = kStepsMax;
  if (const std::string version = from["kubeVersion"].scalar_text(); !version.empty())
    options.capabilities.kube_version = TRY(parse_kube_version(version).in("spec.source.helm.kubeVersion"));
  if (!from["apiVersions"].empty()) {
    options.capabilities.api_versions.clear();
    for (const Value& one : from["apiVersions"].items()) options.capabilities.api_versions.push_back(one.str());
  }
  return options;
}

Result<void> add_crds(const RenderedChart& rendered, std::vector<Value>& out) {
  for (const Crd& crd : rendered.crds) {
    for (const std::string& document : split_manifests(crd.file->data))
      out.push_back(TRY(read_yaml(document, false).in(crd.source)));
  }
  return {};
}

}  // namespace

Capabilities cluster_capabilities(kube::Client& client, const std::string& kube_version) {
  Capabilities out = default_capabilities();
  if (auto parsed = parse_kube_version(kube_version); parsed.ok()) out.kube_version = std::move(parsed).value();
  const auto resources = client.resources();
  if (!resources.ok()) return out;
  std::set<std::string> versions;
  for (const kube::Resource& resource : *resources) {
    versions.insert(resource.api_version());
    versions.insert(resource.api_version() + "/" + resource.kind);
  }
  out.api_versions.assign(versions.begin(), versions.end());
  return out;
}

Result<std::vector<std::string>> value_files(const render::FileSource& files, const std::string& path,
                                             const std::string& entry) {
  if (entry.find("://") != std::string::npos) return invalid("valueFiles", entry + ": values are not fetched");
  const std::string full =
      path_clean(entry.starts_with('/') ? entry.substr(1) : path_join(path.empty() ? "." : path, entry));
  if (full == ".." || full.starts_with("../")) return invalid("valueFiles", entry + ": leads out of the repository");
  if (!is_pattern(full)) {
    if (!files.read(full).ok()) return Error{ErrorCode::not_found, "open " + full + ": no such file or directory"};
    return std::vector<std::string>{full};
  }
  std::vector<std::string> out;
  TRY(walk(files, fixed_part(full), full, out));
  std::sort(out.begin(), out.end());
  if (out.empty()) return Error{ErrorCode::not_found, "spec.source.helm.valueFiles: no file matches " + entry};
  return out;
}

std::string substitute(std::string_view text, const std::vector<std::pair<std::string, std::string>>& environment) {
  const auto is_name = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    const bool braced = text[i + 1] == '{';
    const std::size_t begin = i + (braced ? 2 : 1);
    std::size_t end = begin;
    while (end < text.size() && is_name(text[end])) ++end;
    if (end == begin || (braced && (end == text.size() || text[end] != '}'))) {
      out += text[i];
      continue;
    }
    const std::string_view name = text.substr(begin, end - begin);
    for (const auto& [known, value] : environment) {
      if (known == name) out += value;
    }
    i = braced ? end : end - 1;
  }
  return out;
}

std::string escape_parameter(std::string_view value) {
  if (value.starts_with('{') && value.ends_with('}')) return std::string(value);
  std::string out;
  for (const char c : value) {
    if (c == ',' && !out.ends_with('\\')) out += '\\';
    out += c;
  }
  return out;
}

Result<render::Rendering> render_helm(const render::FileSource& files, const HelmSource& source) {
  TRY(check_fields(source.options));
  const render::RecordingSource recorded(files);
  render::Rendering out;
  const RenderOptions options = TRY(options_of(source));
  TRY(check_release_name(options.release.name).in("release name \"" + options.release.name + "\""));
  const std::string path = source.path.empty() ? "." : source.path;
  Chart chart = TRY(load_chart(recorded, path, out.warnings));
  if (source.charts != nullptr) TRY(bring_dependencies(chart, recorded, path, *source.charts, out.warnings));
  TRY(check_installable(chart));
  ValueSources sources;
  TRY(add_value_files(recorded, source, sources));
  TRY(add_values(source, sources));
  const Value values = TRY(merge_sources(sources, [&](const std::string& path) -> Result<std::string> {
    if (std::find(sources.files.begin(), sources.files.end(), path) != sources.files.end())
      return read_named(recorded, source, path);
    const auto named = TRY(named_files(recorded, source, path).in("spec.source.helm.fileParameters"));
    return read_named(recorded, source, named[0]);
  }));
  const Prepared prepared = TRY(prepare(std::move(chart), values, options.skip_schema_validation, out.warnings));
  RenderedChart rendered = TRY(render_prepared(prepared, options, out.warnings));
  if (options.include_crds) TRY(add_crds(rendered, out.objects));
  const bool tests = !source.options["skipTests"].as_bool();
  for (Manifest& manifest : rendered.manifests.resources) out.objects.push_back(std::move(manifest.object));
  for (Hook& hook : rendered.manifests.hooks) {
    if (tests || !hook.has_event("test")) out.objects.push_back(std::move(hook.manifest.object));
  }
  std::erase_if(out.objects, [](const Value& object) { return object.is_null(); });
  out.inputs = recorded.inputs();
  return out;
}

}  // namespace caisson::gitops
