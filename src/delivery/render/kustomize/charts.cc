// SPDX-License-Identifier: Apache-2.0
// helmCharts: charts that lie in the kustomization's tree, rendered into resources. Source: kustomize v5.8
// HelmChartInflationGenerator. A chart of a repository is not fetched.
#include "core/base/file.h"
#include "core/document/yaml.h"
#include "core/expr/go_template/datum.h"
#include "delivery/render/helm/render_chart.h"
#include "delivery/render/kustomize/stages.h"

namespace caisson::render::kustomize_impl {
namespace {

Error invalid(std::string message) {
  return {ErrorCode::invalid, std::move(message)};
}

// Where the charts of the kustomization are.
std::string chart_directory(const Value& chart, const Value& globals) {
  std::string home = globals["chartHome"].str();
  if (home.empty()) home = "charts";
  const std::string version = chart["version"].scalar_text();
  if (!version.empty() && !chart["repo"].as_string().empty())
    home = path_join(home, chart["name"].str() + "-" + version);
  return path_join(home, chart["name"].str());
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

Result<Value> chart_values(const Target& target, const Value& chart, const std::string& directory) {
  const std::string file =
      chart["valuesFile"].as_string().empty() ? path_join(directory, "values.yaml") : chart["valuesFile"].str();
  const Value& inlined = chart["valuesInline"];
  const std::string merge = chart["valuesMerge"].as_string().empty() ? "override" : chart["valuesMerge"].str();
  if (merge != "merge" && merge != "override" && merge != "replace")
    return invalid("valuesMerge must be one of [merge override replace]");
  Value values = Value::map();
  if (inlined.empty()) {
    values = TRY(helm::read_yaml(TRY(target.read(file, "valuesFile"))));
  } else if (merge == "replace") {
    values = inlined;
  } else {
    const Value from_file = TRY(yaml::read(TRY(target.read(file, "valuesFile")), {.name = file}));
    values = merge == "override" ? overridden(from_file, inlined) : overridden(inlined, from_file);
  }
  for (const Value& more : chart["additionalValuesFiles"].items()) {
    const std::string text = TRY(target.read(more.str(), "additionalValuesFiles"));
    values = helm::merge_maps(std::move(values), TRY(helm::read_yaml(text)));
  }
  return go_template::with_json_numbers(values);
}

std::string chart_namespace(const Target& target, const Value& chart) {
  if (!chart["namespace"].as_string().empty()) return chart["namespace"].str();
  const std::string own = target.kustomization.fields["namespace"].str();
  if (!own.empty()) return own;
  return target.chart_namespace.empty() ? "default" : target.chart_namespace;
}

Result<helm::RenderOptions> chart_options(const Target& target, const Value& chart) {
  const Options& build = target.build.options;
  helm::RenderOptions options;
  options.release.ns = chart_namespace(target, chart);
  options.release.name = chart["releaseName"].as_string().empty() ? "release-name" : chart["releaseName"].str();
  if (const std::string name = chart["nameTemplate"].str(); !name.empty())
    options.release.name = TRY(helm::name_from_template(name).in("nameTemplate"));
  options.include_crds = chart["includeCRDs"].as_bool();
  const std::string version =
      build.chart_kube_version.empty() ? chart["kubeVersion"].scalar_text() : build.chart_kube_version;
  if (!version.empty()) options.capabilities.kube_version = TRY(helm::parse_kube_version(version));
  std::vector<std::string>& known = options.capabilities.api_versions;
  if (!build.chart_api_versions.empty()) {
    known.insert(known.end(), build.chart_api_versions.begin(), build.chart_api_versions.end());
  } else {
    for (const Value& more : chart["apiVersions"].items()) known.push_back(more.str());
  }
  return options;
}

}  // namespace

Result<std::vector<Resource>> inflate_chart(const Target& target, const Value& chart, const Value& globals) {
  if (!target.build.options.charts_enabled) return invalid("must specify --enable-helm");
  if (chart["name"].as_string().empty()) return invalid("chart name cannot be empty");
  const std::string directory = chart_directory(chart, globals);
  const std::string path = target.resolve(directory);
  if (!target.build.source.list(path).ok()) {
    if (chart["repo"].as_string().empty())
      return invalid("no repo specified for pull, no chart found at '" + path + "'");
    return invalid("charts are not fetched: keep a copy of " + chart["name"].str() + " at '" + path + "'");
  }
  const Value values = TRY(chart_values(target, chart, directory));
  const helm::RenderOptions options = TRY(chart_options(target, chart));
  std::vector<std::string>& warnings = target.build.warnings;
  helm::Chart loaded = TRY(helm::load_chart(target.build.source, path, warnings));
  TRY(helm::check_installable(loaded));
  TRY(helm::check_release_name(options.release.name));
  const helm::Prepared prepared = TRY(helm::prepare(std::move(loaded), values, false, warnings));
  const helm::RenderedChart rendered = TRY(helm::render_prepared(prepared, options, warnings));
  const helm::TemplateOutput output{chart["skipHooks"].as_bool(), chart["skipTests"].as_bool(), {}};
  const std::string text = TRY(helm::template_output(rendered, rendered.manifest, output));
  std::vector<Resource> resources = TRY(parse_resources(text, path));
  for (Resource& resource : resources) resource.from_chart = true;
  return resources;
}

}  // namespace caisson::render::kustomize_impl
