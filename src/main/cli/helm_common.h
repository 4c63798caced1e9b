// SPDX-License-Identifier: Apache-2.0
// What the `caisson helm` commands share: Helm's flags, where a chart comes from, and values from the command line.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "delivery/render/helm/render_chart.h"
#include "delivery/render/helm/repository/home.h"
#include "delivery/render/helm/repository/repositories.h"
#include "main/cli/helm_flags.h"

namespace caisson::cli {

// Where the chart that `name` means lies: a path; or "repo/chart", a URL or "oci://…", fetched into Helm's cache first.
// Its provenance is checked with --verify. Errors: not_found `path "x" not found`, what fetching gives.
Result<std::string> locate_helm_chart(const std::string& name, const Flags& flags);
// The same, loaded; warnings are printed.
Result<render::helm::Chart> load_helm_chart(const std::string& name, const Flags& flags);

// Repositories and registries: where Helm keeps them, how they are reached, and what is said on the way.
render::helm::Home helm_home(const Flags& flags);
render::helm::Access helm_access(const Flags& flags);
render::helm::Talk helm_talk();
std::string helm_keyring(const Flags& flags);
std::string helm_version_wanted(const Flags& flags);  // --version, or with --devel any
// Errors: bad_request in Helm's words, with `usage` ("repo add [NAME] [URL] [flags]").
Result<void> expect_helm_arguments(const std::vector<std::string>& arguments, std::size_t least, std::size_t most,
                                   std::string_view usage);
// --password-stdin.
Result<std::string> read_helm_password();

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
