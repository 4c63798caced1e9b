// SPDX-License-Identifier: Apache-2.0
// `caisson helm`: Helm's sub-commands with Helm's flags, output and exit status.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "delivery/render/helm/go_text.h"
#include "main/cli/commands.h"
#include "main/cli/helm_common.h"

namespace caisson::cli {
namespace {

using namespace render::helm;
using enum FlagKind;

constexpr FlagSpec kTemplateFlags[] = {
    {"show-only", array, 's'},    {"output-dir", text},   {"validate", boolean},
    {"include-crds", boolean},    {"skip-tests", boolean}, {"is-upgrade", boolean},
    {"kube-version", text},       {"api-versions", list, 'a'}, {"release-name", boolean},
};

Result<void> write_files(const RenderedChart& rendered, const Flags& flags, const TemplateOutput& output,
                         const std::string& release) {
  std::string root = flags.text("output-dir");
  std::set<std::string> written;
  const auto write = [&](const std::string& under, const std::string& source, const std::string& content) -> Result<void> {
    const std::string path = under + "/" + TRY(safe_path(source));
    const std::string text = "---\n# Source: " + source + "\n" + content + "\n";
    TRY(make_dirs(path_dir(path)));
    if (written.insert(path).second)
      TRY(write_file_unsynced(path, text));
    else
      TRY(append_file(path, text));
    std::printf("wrote %s\n", path.c_str());
    return {};
  };
  if (flags.is_set("include-crds")) {
    for (const Crd& crd : rendered.crds) TRY(write(root, crd.source, crd.file->data));
  }
  if (flags.is_set("release-name")) root += "/" + release;
  for (const Manifest& manifest : rendered.manifests.resources) TRY(write(root, manifest.source, manifest.content));
  for (const Manifest* hook : shown_hooks(rendered, output)) TRY(write(root, hook->source, hook->content));
  return {};
}

Result<RenderOptions> template_options(const Flags& flags, const std::string& release) {
  RenderOptions options;
  options.release.name = release;
  options.release.ns = flags.text("namespace", "default");
  options.release.is_upgrade = flags.is_set("is-upgrade");
  options.release.is_install = !options.release.is_upgrade;
  options.skip_schema_validation = flags.is_set("skip-schema-validation");
  options.include_crds = flags.is_set("include-crds");
  options.subchart_notes = flags.is_set("render-subchart-notes");
  if (const std::string version = flags.text("kube-version"); !version.empty())
    options.capabilities.kube_version = TRY(parse_kube_version(version));
  for (std::string& version : flags.all("api-versions")) options.capabilities.api_versions.push_back(std::move(version));
  return options;
}

Result<std::string> post_rendered(std::string manifest, const Flags& flags) {
  if (!flags.has("post-renderer")) return manifest;
  std::vector<std::string> command{flags.text("post-renderer")};
  for (std::string& argument : flags.all("post-renderer-args")) command.push_back(std::move(argument));
  caisson::Command run;
  run.args = std::move(command);
  run.input = std::move(manifest);
  return run_checked(run).in("error while running post render on files");
}

Result<void> command_template(const Flags& flags) {
  const NameAndChart target = TRY(name_and_chart(flags, "release-name"));
  const RenderOptions options = TRY(template_options(flags, target.name));
  const Value values = TRY(helm_values(flags));
  Chart chart = TRY(load_helm_chart(target.chart, flags));
  TRY(check_installable(chart));
  if (chart.metadata.deprecated) std::fprintf(stderr, "WARNING: This chart is deprecated\n");
  TRY(check_release_name(target.name).in("release name " + go_quote(target.name)));
  std::vector<std::string> warnings;
  const Prepared prepared = TRY(prepare(std::move(chart), values, options.skip_schema_validation, warnings));
  auto rendered = render_prepared(prepared, options, warnings);
  print_helm_warnings(warnings);
  if (!rendered.ok()) {
    Error error = std::move(rendered).error();
    if (!flags.is_set("debug")) error.message += "\n\nUse --debug flag to render out invalid YAML";
    return error;
  }
  const TemplateOutput output{flags.is_set("no-hooks"), flags.is_set("skip-tests"), flags.all("show-only")};
  if (flags.has("output-dir")) return write_files(*rendered, flags, output, target.name);
  const std::string manifest = TRY(post_rendered(rendered->manifest, flags));
  return write_all(STDOUT_FILENO, TRY(template_output(*rendered, manifest, output)));
}

struct SubCommand {
  std::string_view name;
  std::span<const FlagSpec> own;
  bool takes_values, installs;
  Result<void> (*run)(const Flags& flags);
};
constexpr SubCommand kCommands[] = {
    {"template", kTemplateFlags, true, true, command_template},
};

}  // namespace

Result<void> command_helm(const std::vector<std::string>& words) {
  // Global flags may stand before the command's name.
  const auto at = std::find_if(words.begin(), words.end(), [](const std::string& word) {
    return std::any_of(std::begin(kCommands), std::end(kCommands), [&](const SubCommand& c) { return c.name == word; });
  });
  if (at == words.end()) {
    const std::string name = words.empty() ? "" : words[0];
    return Error{ErrorCode::bad_request, "unknown command " + go_quote(name) + " for \"helm\""};
  }
  const SubCommand& command =
      *std::find_if(std::begin(kCommands), std::end(kCommands), [&](const SubCommand& c) { return c.name == *at; });
  std::vector<std::string> rest(words.begin(), at);
  rest.insert(rest.end(), at + 1, words.end());
  std::vector<std::span<const FlagSpec>> known{helm_global_flags(), command.own};
  if (command.takes_values) known.insert(known.end(), {helm_value_flags(), helm_chart_flags()});
  if (command.installs) known.push_back(helm_install_flags());
  return command.run(TRY(Flags::parse(rest, known)));
}

}  // namespace caisson::cli
