// SPDX-License-Identifier: Apache-2.0
// `caisson helm`: Helm's sub-commands with Helm's flags, output and exit status.
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "core/base/file.h"
#include "core/base/text.h"
#include "delivery/render/helm/go_text.h"
#include "main/cli/commands.h"
#include "main/cli/helm_common.h"
#include "main/cli/helm_release.h"

namespace caisson::cli {
namespace {

using namespace render::helm;
using enum FlagKind;

constexpr FlagSpec kReleaseFlags[] = {
    {"install", boolean, 'i'},
    {"reset-values", boolean},
    {"reuse-values", boolean},
    {"reset-then-reuse-values", boolean},
    {"cleanup-on-fail", boolean},
    {"history-max", text},
    {"keep-history", boolean},
    {"ignore-not-found", boolean},
    {"cascade", text},
    {"recreate-pods", boolean},
    {"output", text, 'o'},
    {"logs", boolean},
    {"filter", array},
    {"hide-notes", boolean},
};
constexpr FlagSpec kQueryFlags[] = {
    {"output", text, 'o'},       {"all-namespaces", boolean, 'A'},
    {"all", boolean, 'a'},       {"short", boolean, 'q'},
    {"filter", text, 'f'},       {"max", text, 'm'},
    {"deployed", boolean},       {"failed", boolean},
    {"pending", boolean},        {"superseded", boolean},
    {"uninstalled", boolean},    {"uninstalling", boolean},
    {"revision", text},          {"show-desc", boolean},
    {"show-resources", boolean}, {"no-headers", boolean},
    {"date", boolean, 'd'},      {"reverse", boolean, 'r'},
    {"template", text},          {"offset", text},
    {"selector", text, 'l'},     {"time-format", text},
};
constexpr FlagSpec kShowFlags[] = {{"devel", boolean}, {"jsonpath", text}};
constexpr FlagSpec kLintFlags[] = {
    {"strict", boolean},    {"with-subcharts", boolean},         {"quiet", boolean},
    {"kube-version", text}, {"skip-schema-validation", boolean},
};
constexpr FlagSpec kPackageFlags[] = {
    {"destination", text, 'd'}, {"app-version", text}, {"dependency-update", boolean, 'u'},
    {"sign", boolean},          {"key", text},         {"passphrase-file", text},
};
constexpr FlagSpec kRepoFlags[] = {
    {"force-update", boolean},
    {"no-update", boolean},
    {"allow-deprecated-repos", boolean},
    {"password-stdin", boolean},
    {"timeout", text},
    {"fail-on-repo-update-fail", boolean},
    {"url", text},
    {"merge", text},
    {"json", boolean},
    {"output", text, 'o'},
};
constexpr FlagSpec kSearchFlags[] = {
    {"versions", boolean, 'l'}, {"regexp", boolean, 'r'}, {"devel", boolean},
    {"max-col-width", text},    {"output", text, 'o'},    {"fail-on-no-result", boolean},
};
constexpr FlagSpec kPullFlags[] = {
    {"destination", text, 'd'}, {"devel", boolean}, {"prov", boolean}, {"untar", boolean}, {"untardir", text},
};
constexpr FlagSpec kRegistryFlags[] = {
    {"username", text, 'u'},
    {"password", text, 'p'},
    {"password-stdin", boolean},
    {"insecure", boolean},
};
constexpr FlagSpec kDependencyFlags[] = {{"skip-refresh", boolean}, {"max-col-width", text}};
constexpr FlagSpec kCreateFlags[] = {{"starter", text, 'p'}};
constexpr FlagSpec kTemplateFlags[] = {
    {"show-only", array, 's'}, {"output-dir", text},        {"validate", boolean},
    {"include-crds", boolean}, {"skip-tests", boolean},     {"is-upgrade", boolean},
    {"kube-version", text},    {"api-versions", list, 'a'}, {"release-name", boolean},
};

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

Result<RenderOptions> template_options(const Flags& flags) {
  RenderOptions options = helm_render_options(flags);
  options.read = Read::heads;  // what is only printed need not be read
  options.release.ns = flags.text("namespace", "default");
  options.release.is_upgrade = flags.is_set("is-upgrade");
  options.release.is_install = !options.release.is_upgrade;
  options.include_crds = flags.is_set("include-crds");
  if (flags.is_set("validate")) {
    const HelmSession session = TRY(connect_helm(flags));
    options.release.ns = session.ns();
    TRY(use_cluster(session, options));
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

Result<void> command_template(const Flags& flags) {
  TRY(expect_helm_arguments(flags.arguments(), 1, SIZE_MAX, "template [NAME] [CHART] [flags]"));
  keep_freed_memory();
  const NameAndChart target = TRY(name_and_chart(flags, "release-name"));
  RenderOptions options = TRY(template_options(flags));
  options.release.name = target.name;
  const Value values = TRY(helm_values(flags));
  Chart chart = TRY(load_helm_chart(target.chart, flags));
  TRY(check_installable(chart));
  if (chart.metadata.deprecated) std::fprintf(stderr, "WARNING: This chart is deprecated\n");
  TRY(check_release_name(target.name).in("release name " + go_quote(target.name)));
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

// What the command takes: flags of its own, and the groups of helm_common.h.
struct SubCommand {
  std::string_view name;
  std::span<const FlagSpec> own;
  enum Groups { plain, charts, values, installs } groups;
  Result<void> (*run)(const Flags& flags);
};
constexpr SubCommand kCommands[] = {
    {"template", kTemplateFlags, SubCommand::installs, command_template},
    {"install", kReleaseFlags, SubCommand::installs, command_helm_install},
    {"upgrade", kReleaseFlags, SubCommand::installs, command_helm_upgrade},
    {"rollback", kReleaseFlags, SubCommand::installs, command_helm_rollback},
    {"uninstall", kReleaseFlags, SubCommand::installs, command_helm_uninstall},
    {"delete", kReleaseFlags, SubCommand::installs, command_helm_uninstall},
    {"del", kReleaseFlags, SubCommand::installs, command_helm_uninstall},
    {"un", kReleaseFlags, SubCommand::installs, command_helm_uninstall},
    {"test", kReleaseFlags, SubCommand::installs, command_helm_test},
    {"list", kQueryFlags, SubCommand::plain, command_helm_list},
    {"ls", kQueryFlags, SubCommand::plain, command_helm_list},
    {"history", kQueryFlags, SubCommand::plain, command_helm_history},
    {"hist", kQueryFlags, SubCommand::plain, command_helm_history},
    {"status", kQueryFlags, SubCommand::plain, command_helm_status},
    {"get", kQueryFlags, SubCommand::plain, command_helm_get},
    {"diff", kReleaseFlags, SubCommand::installs, command_helm_diff},
    {"show", kShowFlags, SubCommand::values, command_helm_show},
    {"inspect", kShowFlags, SubCommand::values, command_helm_show},
    {"lint", kLintFlags, SubCommand::values, command_helm_lint},
    {"package", kPackageFlags, SubCommand::values, command_helm_package},
    {"create", kCreateFlags, SubCommand::plain, command_helm_create},
    {"repo", kRepoFlags, SubCommand::charts, command_helm_repo},
    {"search", kSearchFlags, SubCommand::charts, command_helm_search},
    {"pull", kPullFlags, SubCommand::charts, command_helm_pull},
    {"fetch", kPullFlags, SubCommand::charts, command_helm_pull},
    {"push", {}, SubCommand::charts, command_helm_push},
    {"registry", kRegistryFlags, SubCommand::charts, command_helm_registry},
    {"dependency", kDependencyFlags, SubCommand::charts, command_helm_dependency},
    {"dep", kDependencyFlags, SubCommand::charts, command_helm_dependency},
    {"dependencies", kDependencyFlags, SubCommand::charts, command_helm_dependency},
    {"verify", {}, SubCommand::charts, command_helm_verify},
    {"version", kQueryFlags, SubCommand::plain, command_helm_version},
};

std::string usage() {
  std::string out = "Usage: caisson helm COMMAND [flags]\n\nCommands, with Helm's own arguments and flags:\n ";
  for (const SubCommand& command : kCommands) out += " " + std::string(command.name);
  return out +
         "\n\nExamples:\n  caisson helm template web ./chart -f values.yaml\n  caisson helm upgrade --install web "
         "./chart -n shop --set image.tag=v2\n";
}

const SubCommand* find_command(std::string_view name) {
  const auto found =
      std::find_if(std::begin(kCommands), std::end(kCommands), [&](const SubCommand& c) { return c.name == name; });
  return found == std::end(kCommands) ? nullptr : found;
}

// Where the command's name stands: flags may be before it, and all but the global ones without a value take the next
// word, as cobra reads them.
std::size_t command_place(const std::vector<std::string>& words) {
  const auto is_switch = [](std::string_view word) {
    const auto flags = helm_global_flags();
    return std::any_of(flags.begin(), flags.end(), [&](const FlagSpec& flag) {
      const bool named = word.starts_with("--") ? word.substr(2) == flag.name : word[1] == flag.letter;
      return flag.kind == boolean && named;
    });
  };
  std::size_t at = 0;
  while (at < words.size() && words[at].size() > 1 && words[at][0] == '-') {
    const std::string_view word = words[at];
    const bool alone = word.find('=') != std::string_view::npos || (word[1] != '-' && word.size() > 2);
    at += alone || is_switch(word) ? 1 : 2;
  }
  return std::min(at, words.size());
}

}  // namespace

Result<void> command_helm(const std::vector<std::string>& words) {
  const bool asks_help =
      std::any_of(words.begin(), words.end(), [](const auto& w) { return w == "--help" || w == "-h"; });
  if (words.empty() || asks_help) return write_all(STDOUT_FILENO, usage());
  const std::size_t at = command_place(words);
  const SubCommand* const command = at < words.size() ? find_command(words[at]) : nullptr;
  if (command == nullptr) {
    return Error{ErrorCode::bad_request,
                 "unknown command " + go_quote(at < words.size() ? words[at] : words[0]) + " for \"helm\""};
  }
  std::vector<std::string> rest = words;
  rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(at));
  std::vector<std::span<const FlagSpec>> known{command->own, helm_global_flags()};
  if (command->groups != SubCommand::plain) known.push_back(helm_chart_flags());
  if (command->groups >= SubCommand::values) known.push_back(helm_value_flags());
  if (command->groups == SubCommand::installs) known.push_back(helm_install_flags());
  return command->run(TRY(Flags::parse(rest, known)));
}

}  // namespace caisson::cli
