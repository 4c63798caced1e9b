// SPDX-License-Identifier: Apache-2.0
// `caisson helm`: Helm's sub-commands with Helm's flags, output and exit status; and `template`.
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <set>

#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/render/helm/go_text.h"
#include "main/cli/commands.h"
#include "main/cli/helm_command_table.h"
#include "main/cli/helm_common.h"
#include "main/cli/helm_release.h"

namespace caisson::cli {
namespace {

using namespace render::helm;

Result<void> write_files(const RenderedChart& rendered, const Flags& flags, const TemplateOutput& output,
                         const std::string& release) {
  std::string root = flags.text("output-dir");
  std::set<std::string> written;
  const auto write = [&](const std::string& under, const std::string& source,
                         const std::string& content) -> Result<void> {
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
  std::printf("\n");
  return {};
}

// --validate and --dry-run=server ask the cluster.
Result<std::optional<HelmSession>> template_session(const Flags& flags) {
  if (TRY(dry_run_of(flags)) != DryRun::server && !flags.is_set("validate")) return std::optional<HelmSession>();
  return std::optional<HelmSession>(TRY(connect_helm(flags)));
}

// --validate: would the cluster take the objects? It must have their kinds, and none may belong to another release.
Result<void> validate(const HelmSession& session, const Chart& chart, const Value& values, const RenderOptions& render,
                      const std::string& name) {
  ActionOptions options;
  options.name = name;
  options.ns = render.release.ns;
  options.render = render;
  options.render.read = Read::whole;
  options.dry_run = options.replace = true;
  Actions actions(Cluster(*session.session.client, nullptr, system_clock(), [](Duration) {}), options.ns);
  TRY(actions.install(chart, values, options));
  return {};
}

// `session`: may be null.
Result<RenderOptions> template_options(const Flags& flags, const HelmSession* session) {
  RenderOptions options = helm_render_options(flags);
  options.read = Read::heads;  // what is only printed need not be read
  options.release.ns = flags.text("namespace", "default");
  options.release.is_upgrade = flags.is_set("is-upgrade");
  options.release.is_install = !options.release.is_upgrade;
  options.include_crds = flags.is_set("include-crds");
  if (session) {
    options.release.ns = session->ns();
    RenderOptions seen;
    TRY(use_cluster(*session, seen));
    options.engine.lookup = seen.engine.lookup;
    if (flags.is_set("validate")) options.capabilities = seen.capabilities;
  }
  if (const std::string version = flags.text("kube-version"); !version.empty())
    options.capabilities.kube_version = TRY(parse_kube_version(version));
  for (std::string& version : flags.all("api-versions"))
    options.capabilities.api_versions.push_back(std::move(version));
  return options;
}

// One rendering, and the program ends: what is freed is taken again at once, and would only be faulted in anew.
void keep_freed_memory() {
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
  ::mallopt(M_TOP_PAD, 1 << 20);
}

// What the end of the process frees as a whole, which is faster than piece by piece.
template <class T>
T& kept(T value) {
  static T* place;  // of one rendering; known to who looks for leaks
  place = new T(std::move(value));
  return *place;
}

}  // namespace

Result<void> command_helm_template(const Flags& flags) {
  TRY(expect_helm_arguments(flags.arguments(), 1, SIZE_MAX, "template [NAME] [CHART] [flags]"));
  keep_freed_memory();
  const NameAndChart target = TRY(name_and_chart(flags, "release-name"));
  const std::optional<HelmSession> session = TRY(template_session(flags));
  RenderOptions options = TRY(template_options(flags, session ? &*session : nullptr));
  options.release.name = target.name;
  const Value values = TRY(helm_values(flags));
  Chart chart = TRY(load_helm_chart(target.chart, flags));
  TRY(check_installable(chart));
  if (chart.metadata.deprecated) std::fprintf(stderr, "WARNING: This chart is deprecated\n");
  TRY(check_release_name(target.name).in("release name " + go_quote(target.name)));
  if (flags.is_set("validate")) TRY(validate(*session, chart, values, options, target.name));
  std::vector<std::string> warnings;
  const Prepared& prepared = kept(TRY(prepare(std::move(chart), values, options.skip_schema_validation, warnings)));
  auto rendered = render_prepared(prepared, options, warnings);
  print_helm_warnings(warnings);
  if (!rendered.ok()) {
    Error error = std::move(rendered).error();
    if (!flags.is_set("debug")) error.message += "\n\nUse --debug flag to render out invalid YAML";
    return error;
  }
  const TemplateOutput output{flags.is_set("no-hooks"), flags.is_set("skip-tests"), flags.all("show-only")};
  RenderedChart& result = kept(std::move(rendered).value());
  if (flags.has("output-dir")) return write_files(result, flags, output, target.name);
  return write_all(STDOUT_FILENO, TRY(template_output(result, std::move(result.manifest), output)));
}

Result<void> command_helm(const std::vector<std::string>& words) {
  const bool asks_help =
      std::any_of(words.begin(), words.end(), [](const auto& w) { return w == "--help" || w == "-h"; });
  if (words.empty() || asks_help) return write_all(STDOUT_FILENO, helm_help(words));
  const HelmCall call = TRY(parse_helm_call(words));
  return call.run(call.flags);
}

}  // namespace caisson::cli
