// SPDX-License-Identifier: Apache-2.0
// helm show, lint, package, create: charts without a cluster.
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/document/yaml.h"
#include "core/expr/go_template/semver.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/repository/dependencies.h"
#include "delivery/render/helm/repository/package.h"
#include "delivery/render/helm/repository/provenance.h"
#include "delivery/render/helm/scaffold.h"
#include "main/cli/helm_release.h"

namespace caisson::cli {
namespace {

using namespace render::helm;

Result<std::string> real_path(const std::string& path) {
  char absolute[PATH_MAX];
  if (::realpath(path.c_str(), absolute) == nullptr)
    return Error{ErrorCode::not_found, "path " + go_quote(path) + " not found"};
  return std::string(absolute);
}

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

struct Lint {
  std::vector<std::string> messages;
  bool failed = false;
  void note(const char* level, const std::string& path, const std::string& what) {
    messages.push_back(std::string("[") + level + "] " + path + ": " + what);
    failed |= std::string_view(level) == "ERROR";
  }
};

void lint_metadata(const Metadata& metadata, Lint& lint) {
  if (metadata.fields["icon"].as_string().empty()) lint.note("INFO", "Chart.yaml", "icon is recommended");
  if (metadata.api_version != "v1" && metadata.api_version != "v2") {
    lint.note("ERROR", "Chart.yaml",
              "apiVersion '" + metadata.api_version + "' is not valid. The value must be either \"v1\" or \"v2\"");
  }
  if (metadata.api_version == "v1" && !metadata.type.empty())
    lint.note("ERROR", "Chart.yaml", "chart type is not valid in apiVersion 'v1'. It is valid in apiVersion 'v2'");
  if (metadata.deprecated) lint.note("WARNING", "Chart.yaml", "chart is deprecated");
}

void lint_templates(const Chart& chart, const Value& values, const Flags& flags, Lint& lint) {
  if (chart.files->templates.empty()) lint.note("WARNING", "templates/", "directory does not exist");
  for (const File& file : chart.files->templates) {
    const std::string extension = file.name.substr(std::min(file.name.rfind('.'), file.name.size()));
    if (extension != ".yaml" && extension != ".yml" && extension != ".tpl" && extension != ".txt")
      lint.note("ERROR", file.name, "file extension '" + extension + "' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt");
  }
  std::vector<std::string> warnings;
  auto prepared = prepare(chart, values, flags.is_set("skip-schema-validation"), warnings);
  if (!prepared.ok()) return lint.note("ERROR", "values.yaml", prepared.error().message);
  RenderOptions options = helm_render_options(flags);
  options.release.name = "test-release";
  options.release.ns = flags.text("namespace", "default");
  options.engine.lint = true;
  if (const std::string version = flags.text("kube-version"); !version.empty()) {
    auto parsed = parse_kube_version(version);
    if (!parsed.ok()) return lint.note("ERROR", "templates/", parsed.error().message);
    options.capabilities.kube_version = std::move(parsed).value();
  }
  const auto rendered = render_prepared(*prepared, options, warnings);
  if (!rendered.ok()) return lint.note("ERROR", "templates/", rendered.error().message);
  for (const Manifest& manifest : rendered->manifests.resources) {
    if (manifest.object.is_null()) continue;
    if (manifest.object["apiVersion"].is_null() || manifest.kind().empty())
      lint.note("ERROR", manifest.source, "apiVersion and kind are required");
  }
}

Lint lint_chart(const std::string& path, const Value& values, const Flags& flags) {
  Lint lint;
  const auto chart = load_helm_chart(path, flags);
  if (!chart.ok()) {
    lint.note("ERROR", "templates/", chart.error().message);
    return lint;
  }
  lint_metadata(chart->metadata, lint);
  if (const auto there = check_dependencies(*chart); !there.ok())
    lint.note("WARNING", path, "chart directory is missing these dependencies: " +
                                   there.error().message.substr(there.error().message.rfind(": ") + 2));
  lint_templates(*chart, values, flags, lint);
  return lint;
}

// --- package

// --version and --app-version change Chart.yaml.
Result<void> set_versions(const Flags& flags, Metadata& metadata) {
  if (const std::string version = flags.text("version"); !version.empty()) {
    TRY(go_template::Version::parse(version));
    metadata.version = version;
    metadata.fields.set("version", version);
  }
  if (const std::string version = flags.text("app-version"); !version.empty()) metadata.fields.set("appVersion", version);
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
  if (flags.arguments().size() != 2)
    return Error{ErrorCode::bad_request, "\"helm show\" requires what (chart, values, readme, crds, all) and a chart"};
  const std::string& what = flags.arguments()[0];
  const bool all = what == "all";
  if (!all && what != "chart" && what != "values" && what != "readme" && what != "crds")
    return Error{ErrorCode::bad_request, "unknown command \"" + what + "\" for \"helm show\""};
  const std::vector<File> files = TRY(chart_files(TRY(locate_helm_chart(flags.arguments()[1], flags))));
  std::vector<std::string> warnings;
  const Chart chart = TRY(load_files(files, warnings));
  print_helm_warnings(warnings);
  std::string out;
  if (all || what == "chart") out += yaml::write(chart.metadata.fields, {.sort_keys = true, .line_width = 0}) + "\n";
  const std::string values = text_of(files, "values.yaml"), readme = text_of(files, "readme.md");
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
  std::vector<std::string> paths = flags.arguments();
  if (paths.empty()) paths.push_back(".");
  std::string out;
  std::size_t failed = 0;
  for (const std::string& path : paths) {
    const Lint lint = lint_chart(path, values, flags);
    const bool warned = std::any_of(lint.messages.begin(), lint.messages.end(),
                                    [](const std::string& message) { return message.starts_with("[WARNING]"); });
    failed += lint.failed || (flags.is_set("strict") && warned) ? 1 : 0;
    if (flags.is_set("quiet") && !lint.failed && !warned) continue;
    out += "==> Linting " + path + "\n";
    for (const std::string& message : lint.messages) {
      if (!flags.is_set("quiet") || !message.starts_with("[INFO]")) out += message + "\n";
    }
    out += "\n";
  }
  const std::string summary =
      std::to_string(paths.size()) + " chart(s) linted, " + std::to_string(failed) + " chart(s) failed";
  TRY(write_all(STDOUT_FILENO, failed > 0 || flags.is_set("quiet") ? out : out + summary + "\n"));
  if (failed > 0) return Error{ErrorCode::invalid, summary};
  return {};
}

Result<void> command_helm_package(const Flags& flags) {
  if (flags.arguments().empty()) return Error{ErrorCode::bad_request, "need at least one argument, the path to the chart"};
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
    const std::string folder = TRY(real_path(destination));
    const std::string target = path_join(folder, package_name(read.chart.metadata));
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
