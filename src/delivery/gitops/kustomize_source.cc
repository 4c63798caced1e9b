// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/kustomize_source.h"

#include <algorithm>

#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/gitops/helm_source.h"
#include "delivery/render/kustomize/edit_fields.h"
#include "delivery/render/kustomize/editable.h"
#include "delivery/render/remote.h"

namespace caisson::gitops {
namespace {

Error invalid(const std::string& field, const std::string& what) {
  return {ErrorCode::invalid, "spec.source.kustomize." + field + ": " + what};
}

Result<void> check_fields(const Value& options) {
  static constexpr std::string_view kKnown[] = {"version",
                                                "namePrefix",
                                                "nameSuffix",
                                                "namespace",
                                                "images",
                                                "replicas",
                                                "commonLabels",
                                                "forceCommonLabels",
                                                "labelWithoutSelector",
                                                "labelIncludeTemplates",
                                                "commonAnnotations",
                                                "forceCommonAnnotations",
                                                "commonAnnotationsEnvsubst",
                                                "patches",
                                                "components",
                                                "ignoreMissingComponents",
                                                "kubeVersion",
                                                "apiVersions"};
  for (const auto& [name, value] : options.entries()) {
    if (std::find(std::begin(kKnown), std::end(kKnown), name) == std::end(kKnown))
      return invalid(std::string(name), "not supported");
  }
  return {};
}

Result<std::string> kustomization_file(const render::FileSource& files, const std::string& path) {
  const auto entries = files.list(path.empty() ? "." : path);
  if (entries.ok()) {
    for (const render::FileSource::Entry& entry : *entries) {
      const bool fits =
          entry.name == "kustomization.yaml" || entry.name == "kustomization.yml" || entry.name == "Kustomization";
      if (fits && !entry.directory) return path.empty() ? entry.name : path_join(path, entry.name);
    }
  }
  return Error{ErrorCode::not_found, "spec.source.kustomize: there is no kustomization in " + (path.empty() ? "." : path)};
}

Value filled(const Value& pairs, const SourceEnvironment& environment) {
  Value out = Value::map();
  for (const auto& [key, value] : pairs.entries()) out.set(key, substitute(value.scalar_text(), environment));
  return out;
}

Result<void> edit_images_and_replicas(Value& fields, const Value& options, const SourceEnvironment& environment) {
  std::vector<std::string> images, replicas;
  for (const Value& image : options["images"].items()) images.push_back(substitute(image.as_string(), environment));
  if (!images.empty()) TRY(render::set_images(fields, images).in("spec.source.kustomize.images"));
  for (const Value& replica : options["replicas"].items())
    replicas.push_back(replica["name"].str() + "=" + replica["count"].scalar_text());
  if (!replicas.empty()) TRY(render::set_replicas(fields, replicas).in("spec.source.kustomize.replicas"));
  return {};
}

Result<void> edit_labels(Value& fields, const Value& options, const SourceEnvironment& environment) {
  if (!options["commonLabels"].empty()) {
    const render::LabelOptions how{options["labelWithoutSelector"].as_bool(), options["labelIncludeTemplates"].as_bool(),
                                   options["forceCommonLabels"].as_bool()};
    const Value labels = filled(options["commonLabels"], environment);
    TRY(render::add_labels(fields, labels, how).in("spec.source.kustomize.commonLabels"));
  }
  if (options["commonAnnotations"].empty()) return {};
  const bool fill = options["commonAnnotationsEnvsubst"].as_bool();
  const Value& given = options["commonAnnotations"];
  return render::add_annotations(fields, fill ? filled(given, environment) : given,
                                 options["forceCommonAnnotations"].as_bool())
      .in("spec.source.kustomize.commonAnnotations");
}

Result<void> add_components(const render::FileSource& files, const std::string& path, Value& fields,
                            const Value& options) {
  for (const Value& component : options["components"].items()) {
    const std::string name = component.str();
    const bool there = render::is_remote(name) || files.list(path_clean(path_join(path.empty() ? "." : path, name))).ok();
    if (!there && options["ignoreMissingComponents"].as_bool()) continue;
    if (!there) return Error{ErrorCode::not_found, "spec.source.kustomize.components: " + name + " has no match"};
    const auto known = fields["components"].items();
    if (std::find(known.begin(), known.end(), component) == known.end()) fields.edit("components").push_back(component);
  }
  return {};
}

}  // namespace

Result<EditedKustomization> edit_kustomization(const render::FileSource& files, const std::string& path,
                                               const Value& options, const SourceEnvironment& environment) {
  TRY(check_fields(options));
  EditedKustomization out;
  out.file = TRY(kustomization_file(files, path));
  const std::string before = TRY(files.read(out.file));
  render::EditableKustomization kustomization = TRY(render::EditableKustomization::parse(before, out.file));
  Value& fields = kustomization.fields;
  for (const char* field : {"namePrefix", "nameSuffix", "namespace"}) {
    if (!options[field].as_string().empty()) fields.set(field, options[field]);
  }
  TRY(edit_images_and_replicas(fields, options, environment));
  TRY(edit_labels(fields, options, environment));
  for (const Value& patch : options["patches"].items()) fields.edit("patches").push_back(patch);
  TRY(add_components(files, path, fields, options));
  out.text = kustomization.text();
  return out;
}

Result<render::Options> parse_build_options(std::string_view text) {
  render::Options out;
  std::vector<std::string> words;
  const std::string on_one_line = replace_all(replace_all(std::string(text), "\n", " "), "\t", " ");
  for (const std::string_view word : split(on_one_line, ' ')) {
    if (!word.empty()) words.emplace_back(word);
  }
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    const std::string name = words[i].substr(0, equals);
    const auto is_on = [&] { return equals == std::string::npos || words[i].substr(equals + 1) == "true"; };
    if (name == "--enable-helm") {
      out.charts_enabled = is_on();
    } else if (name == "--helm-debug") {
      out.chart_debug = is_on();
    } else if (name == "--enable-managedby-label") {
      out.managed_by_label = is_on();
    } else if (name == "--load-restrictor" || name == "--load_restrictor" || name == "--reorder" ||
               name == "--helm-kube-version" || name == "--helm-api-versions" || name == "--helm-command") {
      if (equals == std::string::npos && i + 1 == words.size())
        return Error{ErrorCode::invalid, "kustomize.buildOptions: " + name + " needs a value"};
      const std::string value = equals == std::string::npos ? words[++i] : words[i].substr(equals + 1);
      if (name.ends_with("restrictor")) out.outside_root_allowed = value == "LoadRestrictionsNone" || value == "none";
      if (name == "--reorder") out.order = value == "none" ? "fifo" : "legacy";
      if (name == "--helm-kube-version") out.chart_kube_version = value;
      if (name == "--helm-api-versions") out.chart_api_versions.push_back(value);
    } else {
      return Error{ErrorCode::invalid, "kustomize.buildOptions: " + name + ": not supported"};
    }
  }
  return out;
}

void tell_charts(render::Options& build, const Value& options, const render::helm::Capabilities& capabilities) {
  if (build.chart_kube_version.empty()) build.chart_kube_version = options["kubeVersion"].scalar_text();
  if (build.chart_kube_version.empty()) build.chart_kube_version = capabilities.kube_version.version;
  if (!build.chart_api_versions.empty()) return;
  for (const Value& one : options["apiVersions"].items()) build.chart_api_versions.push_back(one.str());
  if (build.chart_api_versions.empty()) build.chart_api_versions = capabilities.api_versions;
}

Result<std::string> ChartSource::pull(const render::ChartPull& chart) {
  if (chart.repo.find("://") == std::string::npos)
    return Error{ErrorCode::invalid, "chart " + chart.name + ": repo must be a URL, not " + chart.repo};
  const ChartPlace place{chart.repo, chart.name};
  const std::string wanted = !chart.version.empty() ? chart.version : chart.devel ? ">0.0.0-0" : "*";
  const std::string version = TRY(charts_.resolve(place, wanted));
  return charts_.fetch(place, version);
}

}  // namespace caisson::gitops
