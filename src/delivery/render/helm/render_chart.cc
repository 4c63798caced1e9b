// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/render_chart.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/expr/go_template/execution.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/json_schema.h"
#include "delivery/render/helm/template_cache.h"
#include "delivery/render/helm/version.h"

namespace caisson::render::helm {
namespace {

constexpr std::string_view kNamePattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
constexpr std::size_t kReleaseNameMax = 53;

// What the values of a chart and of its subcharts have against their schemas.
Result<std::string> violations(const Chart& chart, const Value& values) {
  std::string out;
  if (chart.files->schema) {
    auto found = schema_violations(*chart.files->schema, values);
    if (!found.ok()) {
      out += chart.name() + ":\n" + found.error().message;
    } else if (!found->empty()) {
      out += chart.name() + ":\n" + *found + "\n";
    }
  }
  for (const Chart& child : chart.dependencies) {
    const Value* theirs = values.find(child.name());
    if (theirs == nullptr || theirs->is_null()) continue;
    if (theirs->is_map())
      out += TRY(violations(child, *theirs));
    else
      out += child.name() + ":\ninvalid type for values: expected object (map), got " + go_json_kind(*theirs) + "\n";
  }
  return out;
}

void append_with_source(std::string& out, std::string_view source, std::string_view content) {
  out.append("---\n# Source: ").append(source).append("\n").append(content).append("\n");
}

// NOTES.txt is no manifest: it is taken out, and the chart's own (with `all`, every subchart's too) kept.
std::string take_notes(std::map<std::string, std::string>& files, const std::string& chart, bool all) {
  std::string notes;
  for (auto at = files.begin(); at != files.end();) {
    if (!at->first.ends_with(kNotesFile)) {
      ++at;
      continue;
    }
    if (all || at->first == chart + "/templates/NOTES.txt") notes += (notes.empty() ? "" : "\n") + at->second;
    at = files.erase(at);
  }
  return notes;
}

// What the templates gave, but for what `reader` has taken already.
Result<std::map<std::string, std::string>> run_all(const Prepared& prepared, const RenderOptions& options,
                                                   ManifestReader& reader) {
  const Chart& chart = prepared.chart;
  if (options.templates == nullptr) {
    return render_once(chart, prepared.values, options.release, options.capabilities, options.engine,
                       [&](std::string path, std::string text) { reader.take(std::move(path), std::move(text)); });
  }
  const auto templates = TRY(options.templates->find_or_parse(chart));
  return run_templates(*templates, chart, prepared.values, options.release, options.capabilities, options.engine);
}

bool is_name_label(std::string_view label) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !label.empty() && plain(label.front()) && plain(label.back()) &&
         std::all_of(label.begin(), label.end(), [&](char c) { return plain(c) || c == '-'; });
}

}  // namespace

Result<Prepared> prepare(Chart chart, const Value& user_values, bool skip_schema_validation,
                         std::vector<std::string>& warnings) {
  TRY(process_dependencies(chart, user_values, warnings));
  Value values = TRY(coalesce(chart, user_values, Nulls::removed, warnings));
  if (!skip_schema_validation) {
    const std::string wrong = TRY(violations(chart, values));
    if (!wrong.empty()) {
      return Error{ErrorCode::invalid,
                   "values don't meet the specifications of the schema(s) in the following chart(s):\n" + wrong};
    }
  }
  return Prepared{std::move(chart), std::move(values)};
}

Result<RenderedChart> render_prepared(const Prepared& prepared, const RenderOptions& options,
                                      std::vector<std::string>& warnings) {
  const Chart& chart = prepared.chart;
  const std::string& wanted = chart.metadata.kube_version;
  const std::string& have = options.capabilities.kube_version.version;
  if (!wanted.empty() && !version_satisfies(wanted, have)) {
    return Error{ErrorCode::invalid,
                 "chart requires kubeVersion: " + wanted + " which is incompatible with Kubernetes " + have};
  }
  ManifestReader reader(options.read, options.templates ? &options.templates->documents() : nullptr);
  auto files = TRY(run_all(prepared, options, reader));
  RenderedChart out;
  out.notes = take_notes(files, chart.name(), options.subchart_notes);
  out.manifests = TRY(sort_manifests(reader, std::move(files), warnings));
  out.crds = crds(chart);
  std::size_t bytes = 0;
  const auto add_bytes = [&](const Manifest& manifest) {
    bytes += manifest.source.size() + manifest.content.size() + 32;
  };
  for (const Manifest& manifest : out.manifests.resources) add_bytes(manifest);
  for (const Hook& hook : out.manifests.hooks) add_bytes(hook.manifest);  // who prints them adds them behind
  out.manifest.reserve(bytes);
  if (options.include_crds) {
    for (const Crd& crd : out.crds) append_with_source(out.manifest, crd.source, crd.file->data);
  }
  for (const Manifest& manifest : out.manifests.resources)
    append_with_source(out.manifest, manifest.source, manifest.content);
  if (options.post_render)
    out.manifest = TRY(options.post_render(std::move(out.manifest)).in("error while running post render on files"));
  return out;
}

Result<void> check_release_name(std::string_view name) {
  if (name.empty()) return Error{ErrorCode::bad_request, "no name provided"};
  const auto labels = split(name, '.');
  if (name.size() <= kReleaseNameMax && std::all_of(labels.begin(), labels.end(), is_name_label)) return {};
  return Error{ErrorCode::bad_request, "invalid release name, must match regex " + std::string(kNamePattern) +
                                           " and the length must not be longer than 53"};
}

Result<void> check_installable(const Chart& chart) {
  if (!chart.metadata.type.empty() && chart.metadata.type != "application")
    return Error{ErrorCode::invalid, chart.metadata.type + " charts are not installable"};
  return check_dependencies(chart).in(
      "An error occurred while checking for chart dependencies. You may need to run `helm dependency build` to fetch "
      "missing dependencies");
}

Result<std::string> name_from_template(std::string_view text) {
  go_template::Set set("name-template", {go_template::sprig_functions(), go_template::go_functions()});
  TRY(set.parse("name-template", text));
  go_template::Execution execution(set, {});
  return execution.run("name-template", go_template::Datum());
}

}  // namespace caisson::render::helm
