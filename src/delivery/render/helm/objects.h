// SPDX-License-Identifier: Apache-2.0
// What a template finds in ".": .Values, .Chart, .Files, .Release, .Capabilities, .Subcharts, .Template, as the Go
// types that Helm gives them. One thread, as all of a go_template::Execution.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/expr/go_template/datum.h"
#include "delivery/render/helm/capabilities.h"
#include "delivery/render/helm/chart.h"

namespace caisson::render::helm {

struct ReleaseInfo {
  std::string name, ns = "default";
  std::int64_t revision = 1;
  bool is_upgrade = false;
  bool is_install = true;
};

// One template of a chart or of its subcharts, with the data that it is rendered over.
struct Renderable {
  std::string path;  // "chart/charts/sub/templates/web.yaml"
  go_template::Datum data;
  std::string base_path;  // "chart/templates"
};

// What gives output: partials and library charts do not. `values`: coalesced.
std::vector<Renderable> renderables(const Chart& chart, const Value& values, const ReleaseInfo& release,
                                    const Capabilities& capabilities);

// .Template, for the one that runs next.
void set_template(const Renderable& renderable);

// .Files.Glob: * and ? stop at "/", ** does not, [a-z], [!a-z], {a,b}. A malformed pattern matches everything, as in
// Helm.
bool file_glob_matches(std::string_view pattern, std::string_view name);

}  // namespace caisson::render::helm
