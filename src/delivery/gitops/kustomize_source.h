// SPDX-License-Identifier: Apache-2.0
// A source whose path holds a kustomization: spec.source.kustomize, which changes the kustomization as Argo CD 3.0 does
// it with `kustomize edit` (util/kustomize/kustomize.go), and argocd-cm's kustomize.buildOptions. Pure but for
// ChartSource; any thread.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "delivery/gitops/chart_source.h"
#include "delivery/render/charts.h"
#include "delivery/render/helm/capabilities.h"
#include "delivery/render/render.h"

namespace caisson::gitops {

using SourceEnvironment = std::vector<std::pair<std::string, std::string>>;  // $ARGOCD_APP_NAME …

// The kustomization file of `path` as spec.source.kustomize wants it, and which file that is: the tree itself stays as
// it is. Errors: invalid, naming the field; not_found without a kustomization.
struct EditedKustomization {
  std::string file, text;
};
Result<EditedKustomization> edit_kustomization(const render::FileSource& files, const std::string& path,
                                               const Value& options, const SourceEnvironment& environment);

// kustomize.buildOptions. Flags that let a build run programs are refused by name, as is what is no flag of a build.
// Errors: invalid.
Result<render::Options> parse_build_options(std::string_view text);

// What charts of a kustomization are told of the cluster: what spec.source.kustomize says, or what it is.
void tell_charts(render::Options& build, const Value& options, const render::helm::Capabilities& capabilities);

// helmCharts of a kustomization come from where charts of Applications come from, with the same logins and limits;
// nothing is written into the tree. helmGlobals.configHome does not count: it would be a folder of the server.
class ChartSource final : public render::ChartPuller {
 public:
  explicit ChartSource(const ChartFetcher& charts) : charts_(charts) {}
  Result<std::string> pull(const render::ChartPull& chart) override;

 private:
  const ChartFetcher& charts_;
};

}  // namespace caisson::gitops
