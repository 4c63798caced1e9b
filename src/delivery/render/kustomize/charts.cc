// SPDX-License-Identifier: Apache-2.0
// helmCharts: charts rendered into resources. A chart that does not lie in the tree is pulled by the caller's
// ChartPuller. Source: kustomize v5.8 HelmChartInflationGenerator, in its order of checks.
#include <algorithm>

#include "core/base/file.h"
#include "core/document/yaml.h"
#include "core/expr/go_template/datum.h"
#include "delivery/render/charts.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/render_chart.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

constexpr std::size_t kDebugBytesMax = 64u << 10;

Error invalid(std::string message) {
  return {ErrorCode::invalid, std::move(message)};
}

// Where the chart is to be found, and `home`, where a pull leaves it.
struct ChartPlace {
  std::string home, directory;
};

Result<ChartPlace> chart_place(const Value& chart, const Value& globals) {
  ChartPlace out{globals["chartHome"].str(), {}};
  if (out.home.starts_with("/")) return invalid("chartHome: an absolute path is not allowed: " + out.home);
  if (out.home.empty()) out.home = "charts";
  const std::string name = chart["name"].str(), version = chart["version"].scalar_text();
  if (!version.empty() && !chart["repo"].as_string().empty()) out.home = path_join(out.home, name + "-" + version);
  out.directory = path_join(out.home, name);
  return out;
}

// Maps merge, a null removes, everything else is replaced.
Value overridden(Value base, const Value& over) {
  if (!base.is_map()) base = Value::map();
  for (const auto& [key, value] : over.entries()) {
    if (value.is_null()) {
      base.erase(key);
    } else if (value.is_map() && base[key].is_map()) {
      Value& place = base.edit(key);
      place = overridden(std::move(place), value);
    } else {
      base.set(key, value);
    }
  }
  return base;
}

Result<void> check_chart(const Target& target, const Value& chart) {
  if (!target.build.options.charts_enabled) return invalid("must specify --enable-helm");
  const std::string name = chart["name"].str(), release = chart["releaseName"].str();
  if (name.empty()) return invalid("chart name cannot be empty");
  if (release.starts_with("-")) return invalid("releaseName must not start with '-', got " + helm::go_quote(release));
  if (name.starts_with("-")) return invalid("chart name must not start with '-', got " + helm::go_quote(name));
  TRY(safe_path(name).in("chart name"));
  for (const Value& more : chart["additionalValuesFiles"].items())
    TRY(target.read(more.str(), "additionalValuesFiles").in("could not load additionalValuesFile"));
  const std::string_view merge = chart["valuesMerge"].as_string();
  if (!merge.empty() && merge != "merge" && merge != "override" && merge != "replace")
    return invalid("valuesMerge must be one of [merge override replace]");
  return {};
}

// Brings a chart that is not there, as if it lay where kustomize would leave it.
Result<void> pull(const Target& target, const Value& chart, const Value& globals, const ChartPlace& place) {
  Build& build = target.build;
  const std::string folder = target.resolve(place.home);
  ChartPull wanted{
      chart["name"].str(),         chart["version"].scalar_text(),
      chart["repo"].str(),         chart["devel"].as_bool(),
      globals["configHome"].str(), build.source.mount_of(target.kustomization.directory).empty() ? folder : ""};
  if (wanted.repo.empty())
    return invalid("no repo specified for pull, no chart found at '" + target.resolve(place.directory) + "'");
  if (build.options.charts == nullptr) {
    return Error{ErrorCode::unavailable, "chart " + wanted.name + " of " + wanted.repo +
                                             ": charts are not pulled here; keep a copy at '" +
                                             target.resolve(place.directory) + "'"};
  }
  const std::string archive = TRY(build.options.charts->pull(wanted));
  const std::string from = "chart " + wanted.name + " of " + wanted.repo;
  std::map<std::string, std::string> files;
  for (helm::File& file : TRY(helm::read_archive(archive).in(from))) files[file.name] = std::move(file.data);
  const Value metadata = TRY(helm::read_yaml(files["Chart.yaml"]).in(from + ": Chart.yaml"));
  if (metadata["name"].as_string() != wanted.name)
    return invalid(from + ": the archive holds the chart " + helm::go_quote(metadata["name"].str()));
  const std::string origin = "+" + wanted.repo + "/" + wanted.name + "@" + metadata["version"].scalar_text();
  build.source.mount_chart(target.resolve(place.directory), std::move(files), origin, archive);
  return {};
}

Result<Value> chart_values(const Target& target, const Value& chart, const std::string& directory) {
  const std::string file =
      chart["valuesFile"].as_string().empty() ? path_join(directory, "values.yaml") : chart["valuesFile"].str();
  const Value& inlined = chart["valuesInline"];
  const std::string_view merge = chart["valuesMerge"].as_string();
  Value values = Value::map();
  if (inlined.empty()) {
    values = TRY(helm::read_yaml(TRY(target.read(file, "valuesFile"))));
  } else if (merge == "replace") {
    values = inlined;
  } else {
    const Value from_file = TRY(yaml::read(TRY(target.read(file, "valuesFile")), {.name = file}));
    values = merge == "merge" ? overridden(inlined, from_file) : overridden(from_file, inlined);
  }
  for (const Value& more : chart["additionalValuesFiles"].items()) {
    const std::string text = TRY(target.read(more.str(), "additionalValuesFiles"));
    values = helm::merge_maps(std::move(values), TRY(helm::read_yaml(text)));
  }
  return go_template::with_json_numbers(values);
}

Result<std::string> release_name(const Value& chart) {
  const std::string name = chart["releaseName"].str(), name_template = chart["nameTemplate"].str();
  if (name_template.empty()) return name.empty() ? "release-name" : name;
  if (!name.empty()) return invalid("cannot set --name-template and also specify a name: releaseName and nameTemplate");
  return helm::name_from_template(name_template).in("nameTemplate");
}

// What the kustomization says of the cluster goes before what the command line says: kustomize means it the other way
// round, but reads the kustomization last.
Result<helm::RenderOptions> chart_options(const Target& target, const Value& chart) {
  const Options& build = target.build.options;
  helm::RenderOptions options;
  options.release.ns = chart["namespace"].as_string().empty() ? "default" : chart["namespace"].str();
  options.release.name = TRY(release_name(chart));
  TRY(helm::check_release_name(options.release.name));
  options.include_crds = chart["includeCRDs"].as_bool();
  const std::string own_version = chart["kubeVersion"].scalar_text();
  const std::string& version = own_version.empty() ? build.chart_kube_version : own_version;
  if (!version.empty()) options.capabilities.kube_version = TRY(helm::parse_kube_version(version));
  std::vector<std::string>& known = options.capabilities.api_versions;
  for (const Value& more : chart["apiVersions"].items()) known.push_back(more.str());
  if (chart["apiVersions"].empty())
    known.insert(known.end(), build.chart_api_versions.begin(), build.chart_api_versions.end());
  return options;
}

// With what the templates gave, as `helm template --debug` shows it: that is where YAML that can't be read is seen.
Error with_output(Error error, const helm::Prepared& prepared, const helm::RenderOptions& options) {
  const auto files =
      helm::render_once(prepared.chart, prepared.values, options.release, options.capabilities, options.engine);
  if (!files.ok()) return error;  // no template has given anything
  std::string shown = "\nHelm template:";
  for (const auto& [path, text] : *files) shown += "\n---\n# Source: " + path + "\n" + text;
  if (shown.size() > kDebugBytesMax) shown.resize(kDebugBytesMax);
  error.message += shown;
  return error;
}

Result<std::vector<Resource>> resources_of_chart(const Target& target, const Value& chart, const std::string& path,
                                                 const helm::Prepared& prepared, const helm::RenderOptions& options) {
  const helm::RenderedChart rendered = TRY(helm::render_prepared(prepared, options, target.build.warnings));
  const helm::TemplateOutput output{chart["skipHooks"].as_bool(), chart["skipTests"].as_bool(), {}};
  const std::string text = TRY(helm::template_output(rendered, rendered.manifest, output));
  std::vector<Resource> resources = TRY(parse_resources(text, path));
  for (Resource& resource : resources) resource.from_chart = true;
  return resources;
}

}  // namespace

Result<std::vector<Resource>> inflate_chart(const Target& target, const Value& chart, const Value& globals) {
  TRY(check_chart(target, chart));
  const ChartPlace place = TRY(chart_place(chart, globals));
  const std::string path = target.resolve(place.directory);
  if (!target.build.source.list(path).ok()) TRY(pull(target, chart, globals, place));
  const Value values = TRY(chart_values(target, chart, place.directory));
  const helm::RenderOptions options = TRY(chart_options(target, chart));
  std::vector<std::string>& warnings = target.build.warnings;
  helm::Chart loaded = TRY(helm::load_chart(target.build.source, path, warnings));
  TRY(helm::check_installable(loaded));
  const helm::Prepared prepared = TRY(helm::prepare(std::move(loaded), values, false, warnings));
  auto resources = resources_of_chart(target, chart, path, prepared, options);
  const bool debug = chart["debug"].as_bool() || target.build.options.chart_debug;
  if (!resources.ok() && debug) return with_output(std::move(resources).error(), prepared, options);
  return resources;
}

}  // namespace caisson::render::kustomize_impl
