// SPDX-License-Identifier: Apache-2.0
// What the `caisson helm` commands share: Helm's flags, where a chart comes from, and values from the command line.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "delivery/render/helm/render_chart.h"
#include "main/cli/helm_flags.h"

namespace caisson::cli {

// Flags of every command ("-n", "--debug"), of those that take values ("-f", "--set"), and of those that take a chart
// ("--version", "--repo").
std::span<const FlagSpec> helm_global_flags();
std::span<const FlagSpec> helm_value_flags();
std::span<const FlagSpec> helm_chart_flags();
std::span<const FlagSpec> helm_install_flags();

// The chart at a path. Errors: not_found `path "x" not found`, and for names of repositories.
Result<render::helm::Chart> load_helm_chart(const std::string& name, const Flags& flags);
// From -f and --set…; a file "-" is standard input.
Result<Value> helm_values(const Flags& flags);
// [NAME] [CHART]. `fixed_name` is used when none is given.
struct NameAndChart {
  std::string name, chart;
};
Result<NameAndChart> name_and_chart(const Flags& flags, const std::string& fixed_name);

// --skip-schema-validation, --render-subchart-notes, --enable-dns and --post-renderer.
render::helm::RenderOptions helm_render_options(const Flags& flags);

void print_helm_warnings(const std::vector<std::string>& warnings);  // on standard error, each once

}  // namespace caisson::cli
