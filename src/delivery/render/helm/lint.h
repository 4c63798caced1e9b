// SPDX-License-Identifier: Apache-2.0
// `helm lint`: what is wrong with a chart, by Helm's rules, in Helm's order and words. Source: Helm 3.22 pkg/lint.
// Reads the chart's folder or archive; any thread.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "delivery/render/helm/capabilities.h"
#include "delivery/render/helm/chart.h"

namespace caisson::render::helm {

enum class Severity { info = 1, warning, error };

struct LintMessage {
  Severity severity;
  std::string path, text;
  std::string str() const;  // "[ERROR] Chart.yaml: name is required"
};

struct LintOptions {
  std::string ns = "default";
  std::optional<KubeVersion> kube_version;
  bool skip_schema_validation = false;
};

// Errors: what keeps the chart from being looked at at all ("unable to check Chart.yaml file in chart: …").
Result<std::vector<LintMessage>> lint_chart(const std::string& path, const Value& values, const LintOptions& options);

}  // namespace caisson::render::helm
