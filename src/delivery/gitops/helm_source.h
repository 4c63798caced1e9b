// SPDX-License-Identifier: Apache-2.0
// A source whose path holds a chart: spec.source.helm as Argo CD 3.0 reads it (releaseName, valueFiles with globs,
// values, valuesObject, parameters, fileParameters, skipCrds …), rendered as `helm template` with the cluster's
// capabilities. Pure; any thread.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cluster/kube/client.h"
#include "delivery/gitops/application.h"
#include "delivery/gitops/chart_source.h"
#include "delivery/render/helm/capabilities.h"
#include "delivery/render/helm/template_cache.h"
#include "delivery/render/render.h"

namespace caisson::gitops {

struct HelmSource {
  std::string path;         // of the chart, below the repository's root
  Value options;            // spec.source.helm; may be null
  std::string application;  // its name: the release's, unless options.releaseName says otherwise
  std::string ns;           // the destination's
  std::vector<std::pair<std::string, std::string>> environment;  // $ARGOCD_APP_NAME …, for parameters and valueFiles
  render::helm::Capabilities capabilities;
  render::helm::TemplateCache* templates = nullptr;            // borrowed; may be null
  std::map<std::string, const render::FileSource*> refs = {};  // by name: other sources, for "$name/values.yaml"
  const ChartFetcher* charts = nullptr;  // brings dependencies that charts/ lacks; borrowed; null: that is an error
};

// Objects: CRDs, resources in the order in which Helm installs them, hooks. `inputs` are the files read.
// Errors: invalid, naming the field; what the chart's templates say.
Result<render::Rendering> render_helm(const render::FileSource& files, const HelmSource& source);

// What `.Capabilities` says of the cluster behind `client`: its version, and every group, version and kind that it
// serves. One that does not answer is taken for one that serves what Helm takes for granted.
render::helm::Capabilities cluster_capabilities(kube::Client& client, const std::string& kube_version);

// The files that one entry of valueFiles names, in order. Errors: invalid for what leaves the repository; not_found.
Result<std::vector<std::string>> value_files(const render::FileSource& files, const std::string& path,
                                             const std::string& entry);
// "$NAME" and "${NAME}" of `environment`; "$$" is a dollar; what is not known is empty.
std::string substitute(std::string_view text, const std::vector<std::pair<std::string, std::string>>& environment);
// A parameter's value for --set: its commas do not end it, unless it is a list "{a,b}".
std::string escape_parameter(std::string_view value);

}  // namespace caisson::gitops
