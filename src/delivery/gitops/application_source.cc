// SPDX-License-Identifier: Apache-2.0
// spec.source and spec.sources. Follows Argo CD 3.0 pkg/apis/application/v1alpha1/types.go, ApplicationSource.
#include "core/base/text.h"
#include "core/document/json.h"
#include "delivery/gitops/application.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kSourcesMax = 32;

Error invalid(std::string field, std::string what) {
  return {ErrorCode::invalid, std::move(field) + ": " + std::move(what)};
}

Result<std::string> parse_path(const Value& from, const std::string& at) {
  std::string path = from.str();
  if (path == "." || path == "./") path.clear();
  while (!path.empty() && path.back() == '/') path.pop_back();
  if (path.starts_with("./")) path.erase(0, 2);
  if (path.starts_with('/'))
    return invalid(at + ".path", "must be relative to the repository's root, not \"" + path + "\"");
  for (const std::string_view part : split(path, '/')) {
    if (part == "..") return invalid(at + ".path", "must not contain \"..\"");
  }
  return path;
}

Result<Source> parse_one(const Value& from, const std::string& at) {
  if (!from.is_map()) return invalid(at, "required");
  if (from["repoURL"].as_string().empty()) return invalid(at + ".repoURL", "required");
  if (from["plugin"].is_map()) return invalid(at + ".plugin", "config management plugins are not supported");
  Source out{from["repoURL"].str(),
             {},
             from["targetRevision"].str(),
             from["kustomize"],
             from["directory"],
             from["helm"],
             {},
             {},
             from["chart"].str(),
             from["ref"].str(),
             {},
             {}};
  out.path = TRY(parse_path(from["path"], at));
  if (!out.chart.empty() && !out.path.empty()) return invalid(at, "chart and path exclude each other");
  if (!out.chart.empty() && !out.ref.empty()) return invalid(at + ".ref", "not for a chart of a repository");
  if (!out.chart.empty() && (!out.kustomize.empty() || !out.directory.empty()))
    return invalid(at, "a chart has no options of kustomize or directory");
  if ((out.kustomize.empty() ? 0 : 1) + (out.directory.empty() ? 0 : 1) + (out.helm.empty() ? 0 : 1) > 1)
    return invalid(at,
                   "multiple application sources defined: only one of kustomize, helm and directory may have options");
  if (out.target_revision.empty()) out.target_revision = out.chart.empty() ? "HEAD" : "*";
  if (out.directory["jsonnet"].is_map() && !out.directory["jsonnet"].empty())
    return invalid(at + ".directory.jsonnet", "Jsonnet is not supported");
  return out;
}

}  // namespace

Result<Source> parse_sources(const Value& spec) {
  const Value& several = spec["sources"];
  if (several.empty()) return parse_one(spec["source"], "spec.source");
  if (several.size() > kSourcesMax) return invalid("spec.sources", "too many");
  std::vector<Source> all;
  for (std::size_t i = 0; i < several.size(); ++i)
    all.push_back(TRY(parse_one(several[i], "spec.sources[" + std::to_string(i) + "]")));
  Source out = std::move(all[0]);
  out.more.assign(std::make_move_iterator(all.begin() + 1), std::make_move_iterator(all.end()));
  return out;
}

void name_sources(Source& source, const std::string& application, const std::string& destination_namespace,
                  const std::string& build_options) {
  source.application = application;
  source.destination_namespace = destination_namespace;
  source.build_options = build_options;
  for (Source& other : source.more) name_sources(other, application, destination_namespace, build_options);
}

std::string Source::key() const {
  std::string out = repo_url + "\n" + path + "\n" + target_revision + "\n" + options_key();
  for (const Source& other : more) out += "\n\n" + other.key();
  return out;
}

std::string Source::options_key() const {
  return json::write(kustomize) + "\n" + json::write(directory) + "\n" + json::write(helm) + "\n" + application + "\n" +
         destination_namespace + "\n" + chart + "\n" + ref + "\n" + build_options;
}

}  // namespace caisson::gitops
