// SPDX-License-Identifier: Apache-2.0
// helm show, lint, package, create: charts without a cluster.
#include <unistd.h>

#include <algorithm>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "core/expr/go_template/semver.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/lint.h"
#include "delivery/render/helm/repository/dependencies.h"
#include "delivery/render/helm/repository/package.h"
#include "delivery/render/helm/repository/provenance.h"
#include "delivery/render/helm/scaffold.h"
#include "main/cli/helm_release.h"
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli {
namespace {

using namespace render::helm;

// The files of a chart's folder or archive as they are, but for what .helmignore names.
Result<std::vector<File>> chart_files(const std::string& absolute) {
  const auto files = render::disk_source("/");
  return read_chart_files(*files, absolute.substr(1));
}

std::string text_of(const std::vector<File>& files, const std::string& name) {
  for (const File& file : files) {
    if (to_lower(file.name) == name) return file.data;
  }
  return {};
}

// --- lint

Result<LintOptions> lint_options(const Flags& flags) {
  LintOptions options;
  options.ns = flags.text("namespace", "default");
  options.skip_schema_validation = flags.is_set("skip-schema-validation");
  if (const std::string version = flags.text("kube-version"); !version.empty())
    options.kube_version = TRY(parse_kube_version(version));
  return options;
}

// Every chart below charts/ of those that are linted.
void add_subcharts(const std::string& folder, std::vector<std::string>& out) {
  const auto names = list_dir(folder);
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    const std::string path = path_join(folder, name);
    if (name == "Chart.yaml") out.push_back(folder);
    if (name.ends_with(".tgz") || name.ends_with(".tar.gz")) out.push_back(path);
    if (is_directory(path)) add_subcharts(path, out);
  }
}

// --- package

// --version and --app-version change Chart.yaml.
Result<void> set_versions(const Flags& flags, Metadata& metadata) {
  if (const std::string version = flags.text("version"); !version.empty()) {
    TRY(go_template::Version::parse(version));
    metadata.version = version;
    metadata.fields.set("version", version);
  }
  if (const std::string version = flags.text("app-version"); !version.empty())
    metadata.fields.set("appVersion", version);
  return {};
}

// The first line of --passphrase-file, "-" being standard input.
Result<SecretBytes> passphrase(const Flags& flags, const std::string& identity) {
  const std::string path = flags.text("passphrase-file");
  if (path.empty())
    return Error{ErrorCode::bad_request, "the key of " + go_quote(identity) + " is encrypted: use --passphrase-file"};
  const std::string text = TRY(path == "-" ? read_helm_password() : read_file(path));
  return SecretBytes(text.substr(0, text.find('\n')));
}

Result<void> sign(const std::string& path, const std::string& archive, const Flags& flags) {
  const std::string text = TRY(sign_chart(path_base(path), archive, helm_keyring(flags), flags.text("key"),
                                          [&](const std::string& identity) { return passphrase(flags, identity); }));
  return write_file_unsynced(path + ".prov", text);
}

}  // namespace

Result<void> command_helm_show(const Flags& flags) {
  if (flags.arguments().empty())
    return Error{ErrorCode::bad_request, "\"helm show\" requires what (chart, values, readme, crds, all) and a chart"};
  const std::string& what = flags.arguments()[0];
  const bool all = what == "all";
  if (!all && what != "chart" && what != "values" && what != "readme" && what != "crds")
    return Error{ErrorCode::bad_request, "unknown command \"" + what + "\" for \"helm show\""};
  const std::vector<std::string> charts(flags.arguments().begin() + 1, flags.arguments().end());
  TRY(expect_helm_arguments(charts, 1, 1, "show " + what + " [CHART] [flags]"));
  const std::vector<File> files = TRY(chart_files(TRY(locate_helm_chart(charts[0], flags))));
  std::vector<std::string> warnings;
  const Chart chart = TRY(load_files(files, warnings));
  print_helm_warnings(warnings);
  std::string out;
  if (all || what == "chart") out += yaml::write(chart.metadata.fields, {.sort_keys = true}) + "\n";
  const std::string values = text_of(files, "values.yaml"), readme = text_of(files, "readme.md");
  if (const std::string path = flags.text("jsonpath"); what == "values" && !path.empty()) {
    const std::string found = TRY(kubectl::json_path_template(chart.values, path).in("error parsing jsonpath " + path));
    return write_all(STDOUT_FILENO, found);
  }
  if ((all || what == "values") && !values.empty()) out += (all ? "---\n" : "") + values + "\n";
  if ((all || what == "readme") && !readme.empty()) out += (all ? "---\n" : "") + readme + "\n";
  if (all || what == "crds") {
    const std::vector<Crd> definitions = crds(chart);
    if (all && !definitions.empty() && !definitions[0].file->data.starts_with("---")) out += "---\n";
    for (const Crd& crd : definitions) out += crd.file->data + "\n";
  }
  return write_all(STDOUT_FILENO, out);
}

Result<void> command_helm_lint(const Flags& flags) {
  const Value values = TRY(helm_values(flags));
  const LintOptions options = TRY(lint_options(flags));
  std::vector<std::string> paths = flags.arguments();
  if (paths.empty()) paths.push_back(".");
  if (flags.is_set("with-subcharts")) {
    const std::vector<std::string> given = paths;
    for (const std::string& path : given) add_subcharts(path_join(path, "charts"), paths);
  }
  const Severity failing = flags.is_set("strict") ? Severity::warning : Severity::error;
  std::string out;
  std::size_t failed = 0, noted = 0;
  for (const std::string& path : paths) {
    const auto found = lint_chart(path, values, options);
    Severity worst = found.ok() ? Severity::info : Severity::error;
    std::string lines = found.ok() ? "" : "Error " + found.error().message + "\n";
    for (const LintMessage& message : found.ok() ? *found : std::vector<LintMessage>()) {
      worst = std::max(worst, message.severity);
      if (!flags.is_set("quiet") || message.severity > Severity::info) lines += message.str() + "\n";
    }
    failed += worst >= failing ? 1 : 0;
    noted += worst > Severity::info ? 1 : 0;
    if (!flags.is_set("quiet") || worst > Severity::info) out += "==> Linting " + path + "\n" + lines + "\n";
  }
  const std::string summary =
      std::to_string(paths.size()) + " chart(s) linted, " + std::to_string(failed) + " chart(s) failed";
  const bool summed_up = failed == 0 && (!flags.is_set("quiet") || noted > 0);
  TRY(write_all(STDOUT_FILENO, summed_up ? out + summary + "\n" : out));
  if (failed > 0) return Error{ErrorCode::invalid, summary};
  return {};
}

Result<void> command_helm_package(const Flags& flags) {
  if (flags.arguments().empty())
    return Error{ErrorCode::bad_request, "need at least one argument, the path to the chart"};
  if (flags.is_set("sign") && flags.text("key").empty())
    return Error{ErrorCode::bad_request, "--key is required for signing a package"};
  const std::string destination = flags.text("destination", ".");
  for (const std::string& path : flags.arguments()) {
    if (flags.is_set("dependency-update")) {
      const Talk quiet{[](const std::string&) {}, helm_talk().err};
      TRY(update_dependencies(path, {helm_home(flags), helm_access(flags), false, {}}, quiet));
    }
    std::vector<std::string> warnings;
    ChartAndFiles read = TRY(read_chart_and_files(path, warnings));
    print_helm_warnings(warnings);
    TRY(set_versions(flags, read.chart.metadata));
    TRY(check_dependencies(read.chart));
    const std::string archive = TRY(pack_chart(read.chart.metadata, read.files));
    TRY(make_dirs(destination));
    const std::string folder = destination == "." ? TRY(real_path(".")) : destination;
    const std::string target = path_clean(path_join(folder, package_name(read.chart.metadata)));
    TRY(write_file_unsynced(target, archive));
    if (flags.is_set("sign")) TRY(sign(target, archive, flags));
    TRY(write_all(STDOUT_FILENO, "Successfully packaged chart and saved it to: " + target + "\n"));
  }
  return {};
}

Result<void> command_helm_create(const Flags& flags) {
  TRY(expect_helm_arguments(flags.arguments(), 1, 1, "create NAME [flags]"));
  const std::string& path = flags.arguments()[0];
  TRY(write_all(STDOUT_FILENO, "Creating " + path + "\n"));
  std::string starter = flags.text("starter");
  if (!starter.empty() && !starter.starts_with('/')) starter = helm_home(flags).data + "/starters/" + starter;
  const std::vector<std::string> warnings = TRY(create_chart(path, starter));
  print_helm_warnings(warnings);
  return {};
}

}  // namespace caisson::cli
