// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>

#include "cluster/schema/schema.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/render/render.h"
#include "main/cli/commands.h"

namespace caisson::cli {
namespace {

struct BuildArguments {
  std::string folder = ".", output;
  render::Options options;
};

// The flags of `kustomize build`, before or after the folder, as "--flag value" or "--flag=value".
Result<BuildArguments> read_arguments(const std::vector<std::string>& arguments) {
  BuildArguments result;
  bool folder_given = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto equals = arguments[i].find('=');
    const std::string flag = arguments[i].substr(0, arguments[i].starts_with("--") ? equals : std::string::npos);
    const auto value = [&]() -> Result<std::string> {
      if (arguments[i].starts_with("--") && equals != std::string::npos) return arguments[i].substr(equals + 1);
      if (i + 1 < arguments.size()) return arguments[++i];
      return Error{ErrorCode::bad_request, flag + " needs a value"};
    };
    if (flag == "--load-restrictor") {
      const std::string restrictor = TRY(value());
      if (restrictor != "LoadRestrictionsNone" && restrictor != "LoadRestrictionsRootOnly") {
        return Error{ErrorCode::bad_request, "--load-restrictor is LoadRestrictionsNone or LoadRestrictionsRootOnly"};
      }
      result.options.outside_root_allowed = restrictor == "LoadRestrictionsNone";
    } else if (flag == "-o" || flag == "--output") {
      result.output = TRY(value());
    } else if (flag == "--enable-helm") {
      result.options.charts_enabled = equals == std::string::npos || arguments[i].substr(equals + 1) == "true";
    } else if (flag == "--helm-kube-version") {
      result.options.chart_kube_version = TRY(value());
    } else if (flag == "--helm-api-versions") {
      const std::string versions = TRY(value());
      for (const std::string_view one : split(versions, ',')) result.options.chart_api_versions.emplace_back(one);
    } else if (flag == "--helm-command") {
      TRY(value());  // charts are rendered here, whatever the program is called
    } else if (flag == "--helm-debug") {
    } else if (flag == "--enable-managedby-label") {
      result.options.managed_by_label = equals == std::string::npos || arguments[i].substr(equals + 1) == "true";
    } else if (flag.starts_with("-") && flag.size() > 1) {
      return Error{ErrorCode::bad_request, "kustomize build: flag " + flag + " is not there yet (see docs/conformance.md)"};
    } else if (folder_given) {
      return Error{ErrorCode::bad_request, "kustomize build takes one folder, not '" + result.folder + "' and '" + flag + "'"};
    } else {
      result.folder = arguments[i];
      folder_given = true;
    }
  }
  return result;
}

}  // namespace

Result<void> command_kustomize_build(const std::vector<std::string>& arguments) {
  BuildArguments build = TRY(read_arguments(arguments));
  char absolute[PATH_MAX];
  if (!::realpath(build.folder.c_str(), absolute)) return errno_error("open " + build.folder);
  const schema::Schema schema = TRY(schema::Schema::built_in());
  build.options.schema = &schema;
  const auto files = render::disk_source("/");
  const render::Rendering rendering = TRY(render::kustomize(*files, std::string(absolute).substr(1), build.options));
  for (const std::string& warning : rendering.warnings) std::fprintf(stderr, "# Warning: %s\n", warning.c_str());
  if (build.output.empty()) return write_all(STDOUT_FILENO, rendering.yaml());
  return write_file_unsynced(build.output, rendering.yaml());
}

}  // namespace caisson::cli
