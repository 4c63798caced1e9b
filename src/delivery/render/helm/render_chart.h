// SPDX-License-Identifier: Apache-2.0
// A chart and its values to manifests, hooks and notes: what `helm template` and `helm install` do before anything is
// sent to a cluster. Source: Helm 3.22 pkg/action (install.go, action.go). Pure but for EngineOptions; any thread.
#pragma once
#include <string>
#include <vector>

#include "delivery/render/helm/engine.h"
#include "delivery/render/helm/manifest.h"
#include "delivery/render/helm/values.h"

namespace caisson::render::helm {

class TemplateCache;

struct RenderOptions {
  ReleaseInfo release;
  Capabilities capabilities = default_capabilities();
  bool skip_schema_validation = false;
  bool include_crds = false;  // into `manifest`
  bool subchart_notes = false;
  EngineOptions engine;
  Read read = Read::whole;
  TemplateCache* templates = nullptr;                                    // borrowed; null: parsed each time
  std::function<Result<std::string>(std::string manifest)> post_render;  // --post-renderer
};

// A chart whose dependencies are chosen, and the values that its templates see.
struct Prepared {
  Chart chart;
  Value values;
};
// Errors: invalid "values don't meet the specifications of the schema(s) in the following chart(s): …".
Result<Prepared> prepare(Chart chart, const Value& user_values, bool skip_schema_validation,
                         std::vector<std::string>& warnings);

struct RenderedChart {
  std::vector<Crd> crds;  // valid while the chart's files live
  Manifests manifests;    // hooks, and resources in the order in which they are installed
  std::string manifest;   // the resources as one text, each with its "# Source:" line
  std::string notes;
};
Result<RenderedChart> render_prepared(const Prepared& prepared, const RenderOptions& options,
                                      std::vector<std::string>& warnings);

// What `helm template` prints.
struct TemplateOutput {
  bool no_hooks = false, skip_tests = false;
  std::vector<std::string> show_only;  // patterns of paths below the chart: "templates/web.yaml"
};
std::vector<const Manifest*> shown_hooks(const RenderedChart& rendered, const TemplateOutput& output);
// `manifest`: that of `rendered`, or what a post renderer made of it. Errors: not_found "could not find template X in
// chart".
Result<std::string> template_output(const RenderedChart& rendered, std::string manifest, const TemplateOutput& output);

// Errors: "no name provided"; "invalid release name, must match regex …".
Result<void> check_release_name(std::string_view name);
// Errors: "library charts are not installable"; "An error occurred while checking for chart dependencies. …".
Result<void> check_installable(const Chart& chart);
// --name-template: a template of Sprig's functions over nothing.
Result<std::string> name_from_template(std::string_view text);

}  // namespace caisson::render::helm
