// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/lint.h"

#include <re2/re2.h>

#include <algorithm>
#include <climits>
#include <set>

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/expr/go_template/semver.h"
#include "delivery/render/helm/deprecated_apis.h"
#include "delivery/render/helm/go_text.h"
#include "delivery/render/helm/json_schema.h"
#include "delivery/render/helm/render_chart.h"
#include "delivery/render/helm/repository/package.h"
#include "delivery/render/helm/values.h"

namespace caisson::render::helm {
namespace {

using enum Severity;
using go_template::Version;

constexpr std::string_view kSubdomain = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
constexpr std::string_view kLabel1123 = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
constexpr std::string_view kLabel1035 = "[a-z]([-a-z0-9]*[a-z0-9])?";

struct Lint {
  std::vector<LintMessage> messages;
  // Gives whether there was nothing to say.
  bool check(Severity severity, const std::string& path, const std::string& wrong) {
    if (!wrong.empty()) messages.push_back({severity, path, wrong});
    return wrong.empty();
  }
};

const File* find_file(const std::vector<File>& files, std::string_view name) {
  const auto found = std::find_if(files.begin(), files.end(), [&](const File& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

// --- Chart.yaml

bool is_request_url(std::string_view text) {
  static const re2::RE2 kUrl("[a-zA-Z][a-zA-Z0-9+.-]*:(//)?[^\\s\\x00-\\x1f]+");
  return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), kUrl);
}

bool is_email(std::string_view text) {
  static const re2::RE2 kEmail("[^\\s@\"(),:;<>\\[\\]\\\\]+@[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?\\.[a-zA-Z]{2,}");
  return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), kEmail);
}

bool is_url(std::string_view text) {
  static const re2::RE2 kUrl(
      "([a-zA-Z][a-zA-Z0-9+.-]*://)?([^\\s/@]+@)?(localhost|[\\w-]+(\\.[\\w-]+)+)(:\\d+)?([/?#]\\S*)?");
  return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), kUrl);
}

std::string not_a_string(const Value& document, const std::string& field) {
  const Value& value = document[field];
  if (value.is_null() || value.is_string()) return "";
  const std::string type = value.is_bool() ? "bool" : value.is_number() ? "float64" : "map[string]interface {}";
  return field + " should be of type string but it's of type " + (value.is_list() ? "[]interface {}" : type);
}

std::string version_trouble(const std::string& text) {
  if (text.empty()) return "version is required";
  const auto version = Version::parse(text);
  if (!version.ok()) return "version '" + text + "' is not a valid SemVer";
  const auto least = Version::parse("0.0.0-0");
  if (version->compare(*least) <= 0) return "version " + text + " is less than or equal to 0.0.0-0";
  return "";
}

std::string maintainer_trouble(const Value& maintainers) {
  for (const Value& one : maintainers.items()) {
    const std::string name = one["name"].str(), email = one["email"].str(), url = one["url"].str();
    if (name.empty()) return "each maintainer requires a name";
    if (!email.empty() && !is_email(email)) return "invalid email '" + email + "' for maintainer '" + name + "'";
    if (!url.empty() && !is_url(url)) return "invalid url '" + url + "' for maintainer '" + name + "'";
  }
  return "";
}

void lint_metadata(const std::vector<File>& files, Lint& lint) {
  const std::string path = "Chart.yaml";
  const auto document = read_yaml(find_file(files, path)->data, false);
  Metadata metadata;
  auto read = document.ok() ? read_metadata(*document, metadata) : Result<void>(document.error());
  if (!lint.check(error, path, read.ok() ? "" : "unable to parse YAML\n\t" + read.error().message)) return;
  const Value& fields = metadata.fields;
  const std::string& api = metadata.api_version;
  const std::string& name = metadata.name;
  lint.check(error, path,
             name.empty()              ? "name is required"
             : path_base(name) != name ? "chart name " + go_quote(name) + " is invalid"
                                       : "");
  const std::string values = "The value must be either \"v1\" or \"v2\"";
  lint.check(error, path,
             api.empty()                  ? "apiVersion is required. " + values
             : api != "v1" && api != "v2" ? "apiVersion '" + api + "' is not valid. " + values
                                          : "");
  lint.check(error, path, not_a_string(*document, "version"));
  lint.check(error, path, version_trouble(metadata.version));
  lint.check(error, path, not_a_string(*document, "appVersion"));
  lint.check(error, path, maintainer_trouble(fields["maintainers"]));
  for (const Value& source : fields["sources"].items()) {
    if (!lint.check(error, path, is_request_url(source.as_string()) ? "" : "invalid source URL '" + source.str() + "'"))
      break;
  }
  const std::string icon = fields["icon"].str();
  lint.check(info, path, icon.empty() ? "icon is recommended" : "");
  lint.check(error, path, icon.empty() || is_request_url(icon) ? "" : "invalid icon URL '" + icon + "'");
  lint.check(error, path,
             metadata.type.empty() || api == "v2"
                 ? ""
                 : "chart type is not valid in apiVersion '" + api + "'. It is valid in apiVersion 'v2'");
  lint.check(error, path,
             metadata.dependencies.empty() || api == "v2"
                 ? ""
                 : "dependencies are not valid in the Chart file with apiVersion '" + api +
                       "'. They are valid in apiVersion 'v2'");
}

// --- values.yaml: against the chart's own schema; its subcharts' are left to the templates

std::string values_trouble(const std::vector<File>& files, const Value& overrides) {
  const auto own = read_yaml(find_file(files, "values.yaml")->data);
  if (!own.ok()) return "unable to parse YAML: " + own.error().message;
  const File* schema = find_file(files, "values.schema.json");
  if (schema == nullptr || schema->data.empty()) return "";
  std::vector<std::string> warnings;
  const Value given = overrides.is_map() ? overrides : Value::map();
  const Value values = coalesce_tables(given, own->is_map() ? *own : Value::map(), Nulls::removed, warnings);
  const auto wrong = schema_violations(schema->data, values);
  if (!wrong.ok()) return wrong.error().message;
  return wrong->empty() ? "" : *wrong + "\n";
}

void lint_values(const std::vector<File>& files, const Value& overrides, Lint& lint) {
  const std::string path = "values.yaml";
  if (lint.check(info, path, find_file(files, path) == nullptr ? "file does not exist" : ""))
    lint.check(error, path, values_trouble(files, overrides));
}

// --- templates

struct NameRule {
  std::string_view pattern, text, example;
  std::size_t length_max;
};

NameRule name_rule(const std::string& kind) {
  constexpr NameRule kSubdomainRule{
      kSubdomain,
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
      "start and end with an alphanumeric character",
      "'example.com'", 253};
  constexpr NameRule kLabelRule{
      kLabel1123,
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
      "end with an alphanumeric character",
      "'my-name',  or '123-abc'", 63};
  constexpr NameRule kServiceRule{
      kLabel1035,
      "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
      "character, and end with an alphanumeric character",
      "'my-name',  or 'abc-123'", 63};
  return kind == "service" ? kServiceRule : kind == "namespace" ? kLabelRule : kSubdomainRule;
}

std::string name_trouble(const Value& object) {
  const std::string kind = to_lower(object["kind"].scalar_text()), name = object["metadata"]["name"].scalar_text();
  if (kind == "certificatesigningrequest") return "";
  std::vector<std::string> wrong;
  if (kind == "role" || kind == "clusterrole" || kind == "rolebinding" || kind == "clusterrolebinding") {
    if (name == "." || name == "..") wrong.push_back("may not be '" + name + "'");
    for (const char* part : {"/", "%"}) {
      if (name.find(part) != std::string::npos) wrong.push_back("may not contain '" + std::string(part) + "'");
    }
  } else {
    const NameRule rule = name_rule(kind);
    if (name.size() > rule.length_max)
      wrong.push_back("must be no more than " + std::to_string(rule.length_max) +
                      (rule.length_max > 63 ? " characters" : " bytes"));
    if (!re2::RE2::FullMatch(name, std::string(rule.pattern))) {
      const bool dotted = rule.pattern == kLabel1123 && re2::RE2::FullMatch(name, std::string(kSubdomain));
      wrong.push_back(dotted ? "must not contain dots"
                             : std::string(rule.text) + " (e.g. " + std::string(rule.example) +
                                   ", regex used for validation is '" + std::string(rule.pattern) + "')");
    }
  }
  if (wrong.empty()) return "";
  for (std::string& one : wrong) one = "metadata.name: Invalid value: " + go_quote(name) + ": " + one;
  const std::string all = wrong.size() == 1 ? wrong[0] : "[" + join(wrong, ", ") + "]";
  return "object name does not conform to Kubernetes naming requirements: " + go_quote(name) + ": " + all;
}

std::string indent_trouble(std::string_view content) {
  for (const std::string_view line : split(content, '\n')) {
    if (trim(line).empty()) continue;
    if (line[0] != ' ' && line[0] != '\t') return "";
    return "document starts with an illegal indent: " + go_quote(line) + ", which may cause parsing problems";
  }
  return "";
}

std::string selector_trouble(const Value& object, const std::string& content) {
  const std::string_view kind = object["kind"].as_string();
  if (kind != "Deployment" && kind != "ReplicaSet" && kind != "DaemonSet" && kind != "StatefulSet") return "";
  if (content.find("matchLabels") != std::string::npos || content.find("matchExpressions") != std::string::npos)
    return "";
  return "a " + std::string(kind) + " must contain matchLabels or matchExpressions, and " +
         go_quote(object["metadata"]["name"].scalar_text()) + " does not";
}

std::string list_trouble(const Value& object) {
  if (object["kind"].as_string() != "List") return "";
  for (const Value& item : object["items"].items()) {
    if (item["metadata"]["annotations"].contains("helm.sh/resource-policy"))
      return "Annotation 'helm.sh/resource-policy' within List objects are ignored";
  }
  return "";
}

// Documents as they are written, blanks at their beginning included.
std::vector<std::string> documents_of(std::string_view content) {
  std::vector<std::string> out(1);
  for (const std::string_view line : split(content, '\n')) {
    if (line.starts_with("---"))
      out.emplace_back();
    else
      out.back() += std::string(line) + "\n";
  }
  return out;
}

// False when nothing more can be said of this chart's templates.
bool lint_content(const std::string& path, const std::string& content, int kube_minor, Lint& lint) {
  if (trim(content).empty()) return true;
  lint.check(warning, path, indent_trouble(content));
  for (const std::string& document : documents_of(content)) {
    const auto object = read_yaml(document, false);
    if (!lint.check(error, path, object.ok() ? "" : "unable to parse YAML: " + object.error().message)) return false;
    if (object->is_null()) continue;
    lint.check(warning, path, name_trouble(*object));
    lint.check(warning, path,
               deprecation((*object)["apiVersion"].as_string(), (*object)["kind"].as_string(), kube_minor));
    lint.check(error, path, selector_trouble(*object, content));
    lint.check(error, path, list_trouble(*object));
  }
  return true;
}

std::string extension_trouble(const std::string& name) {
  const std::string base = path_base(name);
  const std::string extension = base.substr(std::min(base.rfind('.'), base.size()));
  if (extension == ".yaml" || extension == ".yml" || extension == ".tpl" || extension == ".txt") return "";
  return "file extension '" + extension + "' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt";
}

void lint_templates(const Result<Chart>& loaded, const Value& values, const LintOptions& options, Lint& lint) {
  static const re2::RE2 kCrdHook(R"re("?helm\.sh/hook"?:\s+crd-install)re");
  const std::string path = "templates/";
  if (!lint.check(error, path, loaded.ok() ? "" : loaded.error().message)) return;
  std::vector<std::string> warnings;
  auto prepared = prepare(*loaded, values, true, warnings);
  if (!prepared.ok()) return;  // as Helm: the rules of values and dependencies have said it
  if (!options.skip_schema_validation) {
    const auto checked = prepare(*loaded, values, false, warnings);
    if (!lint.check(error, path, checked.ok() ? "" : checked.error().message)) return;
  }
  const auto set = parse_templates(templates_of(prepared->chart));
  if (!lint.check(error, path, set.ok() ? "" : set.error().message)) return;
  Capabilities capabilities = default_capabilities();
  if (options.kube_version) capabilities.kube_version = *options.kube_version;
  const KubeVersion& kube = capabilities.kube_version;
  const int kube_minor = kube.major == "1" ? static_cast<int>(parse_int(kube.minor).value_or(0)) : INT_MAX;
  ReleaseInfo release;
  release.name = "test-release";
  release.ns = options.ns;
  EngineOptions engine;
  engine.lint = true;
  const auto rendered = run_templates(**set, prepared->chart, prepared->values, release, capabilities, engine);
  if (!lint.check(error, path, rendered.ok() ? "" : rendered.error().message)) return;
  for (const File& file : loaded->files->templates) {
    lint.check(error, file.name, extension_trouble(file.name));
    lint.check(warning, file.name,
               re2::RE2::PartialMatch(file.data, kCrdHook)
                   ? "manifest is a crd-install hook. This hook is no longer supported in v3 and all CRDs should also "
                     "exist the crds/ directory at the top level of the chart"
                   : "");
    lint.check(error, file.name,
               file.data.find(".Release.Time") != std::string::npos
                   ? ".Release.Time has been removed in v3, please replace with the `now` function in your templates"
                   : "");
    if (!file.name.ends_with(".yaml")) continue;
    const auto content = rendered->find(loaded->name() + "/" + file.name);
    if (content != rendered->end() && !lint_content(file.name, content->second, kube_minor, lint)) return;
  }
}

// --- dependencies

void lint_dependencies(const std::string& folder, const Result<Chart>& loaded, Lint& lint) {
  if (!lint.check(error, "", loaded.ok() ? "" : "unable to load chart\n\t" + loaded.error().message)) return;
  std::set<std::string> named, there;
  std::vector<std::string> unnamed, twice, missing;
  for (const Dependency& one : loaded->metadata.dependencies) named.insert(one.name);
  for (const Chart& child : loaded->dependencies) {
    there.insert(child.name());
    if (!named.contains(child.name())) unnamed.push_back(child.name());
  }
  std::set<std::string> keys;
  for (const Dependency& one : loaded->metadata.dependencies) {
    if (!keys.insert(one.key()).second) twice.push_back(one.key());
    if (!there.contains(one.name)) missing.push_back(one.name);
  }
  const auto say = [](const std::string& what, const std::vector<std::string>& names) {
    return names.empty() ? "" : what + ": " + join(names, ",");
  };
  lint.check(error, folder, say("chart metadata is missing these dependencies", unnamed));
  lint.check(error, folder, say("multiple dependencies with name or alias", twice));
  lint.check(warning, folder, say("chart directory is missing these dependencies", missing));
}

}  // namespace

std::string LintMessage::str() const {
  const char* name = severity == error ? "ERROR" : severity == warning ? "WARNING" : "INFO";
  return "[" + std::string(name) + "] " + path + ": " + text;
}

Result<std::vector<LintMessage>> lint_chart(const std::string& path, const Value& values, const LintOptions& options) {
  const bool archive = path.ends_with(".tgz") || path.ends_with(".tar.gz");
  const std::string described = path_join(path, "Chart.yaml");
  if (!archive && !exists(described)) {
    return Error{ErrorCode::not_found, "unable to check Chart.yaml file in chart: stat " + path_clean(described) +
                                           ": no such file or directory"};
  }
  const std::string folder = TRY(real_path(path));
  const auto source = disk_source("/");
  const std::vector<File> files =
      TRY(read_chart_files(*source, folder.substr(1)).in(archive ? "unable to extract tarball" : path));
  if (find_file(files, "Chart.yaml") == nullptr)
    return Error{ErrorCode::not_found, "unable to check Chart.yaml file in chart: Chart.yaml file is missing"};
  std::vector<std::string> warnings;
  const Result<Chart> loaded = load_files(files, warnings);
  Lint lint;
  lint_metadata(files, lint);
  lint_values(files, values, lint);
  lint_templates(loaded, values, options, lint);
  lint_dependencies(folder, loaded, lint);
  return std::move(lint.messages);
}

}  // namespace caisson::render::helm
