// SPDX-License-Identifier: Apache-2.0
// `caisson app create` and `set`: flags into a spec. Source: Argo CD 3.0 cmd/util/app.go.
#include <algorithm>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "main/cli/app_commands.h"

namespace caisson::cli {
namespace {

void put(Value& map, std::string_view key, const std::string& text) {
  if (!text.empty()) map.set(key, text);
}

// What is not given stays; false takes the field away, as it is the default.
void put(Value& map, std::string_view key, std::optional<bool> value) {
  if (!value) return;
  if (*value)
    map.set(key, true);
  else
    map.erase(key);
}

struct Pair {
  std::string name, value;
};
Result<Pair> pair_of(std::string_view flag, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos)
    return Error{ErrorCode::bad_request, std::string(flag) + " is NAME=VALUE, not " + text};
  return Pair{text.substr(0, equals), text.substr(equals + 1)};
}

Result<std::int64_t> number_of(std::string_view flag, const std::string& text) {
  const auto number = parse_int(text);
  if (number && *number >= -1) return *number;
  return Error{ErrorCode::bad_request, std::string(flag) + " needs a number, not " + text};
}

// In place of the entry of that name, or last.
void put_entry(Value& list, Value entry) {
  if (!list.is_list()) list = Value::list();
  Value out = Value::list();
  bool there = false;
  for (const Value& one : list.items()) {
    const bool same = one["name"] == entry["name"];
    out.push_back(same ? entry : one);
    there |= same;
  }
  if (!there) out.push_back(std::move(entry));
  list = std::move(out);
}

Result<void> put_helm(Value& source, const AppArguments& arguments) {
  Value helm = source["helm"].is_map() ? source["helm"] : Value::map();
  put(helm, "releaseName", arguments.release_name);
  if (!arguments.value_files.empty()) helm.set("valueFiles", Value::list_of(arguments.value_files));
  if (!arguments.values_file.empty()) helm.set("values", TRY(read_file(arguments.values_file)));
  put(helm, "namespace", arguments.helm_namespace);
  put(helm, "kubeVersion", arguments.helm_kube_version);
  if (!arguments.helm_api_versions.empty()) helm.set("apiVersions", Value::list_of(arguments.helm_api_versions));
  put(helm, "skipCrds", arguments.skip_crds);
  put(helm, "skipTests", arguments.skip_tests);
  put(helm, "skipSchemaValidation", arguments.skip_schema);
  put(helm, "passCredentials", arguments.pass_credentials);
  put(helm, "ignoreMissingValueFiles", arguments.ignore_missing_values);
  for (const std::string& text : arguments.helm_sets) {
    const Pair pair = TRY(pair_of("--helm-set", text));
    put_entry(helm.edit("parameters"), Value{{"name", pair.name}, {"value", pair.value}});
  }
  for (const std::string& text : arguments.helm_strings) {
    const Pair pair = TRY(pair_of("--helm-set-string", text));
    put_entry(helm.edit("parameters"), Value{{"name", pair.name}, {"value", pair.value}, {"forceString", true}});
  }
  for (const std::string& text : arguments.helm_files) {
    const Pair pair = TRY(pair_of("--helm-set-file", text));
    put_entry(helm.edit("fileParameters"), Value{{"name", pair.name}, {"path", pair.value}});
  }
  if (!helm.empty()) source.set("helm", std::move(helm));
  return {};
}

Result<void> put_pairs(Value& map, std::string_view field, std::string_view flag,
                       const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    const Pair pair = TRY(pair_of(flag, text));
    Value& entries = map.edit(field);
    if (!entries.is_map()) entries = Value::map();
    entries.set(pair.name, pair.value);
  }
  return {};
}

// What an entry of kustomize.images is about: "web" of "web=registry/web:2" and of "web:2".
std::string_view image_name(std::string_view text) {
  if (const std::size_t equals = text.find('='); equals != std::string_view::npos) return text.substr(0, equals);
  const std::size_t digest = text.find('@');
  const std::size_t slash = text.rfind('/');
  const std::size_t colon = text.find(':', slash == std::string_view::npos ? 0 : slash);
  return text.substr(0, std::min(digest, colon));
}

Result<void> put_kustomize(Value& source, const AppArguments& arguments) {
  Value kustomize = source["kustomize"].is_map() ? source["kustomize"] : Value::map();
  put(kustomize, "namePrefix", arguments.name_prefix);
  put(kustomize, "nameSuffix", arguments.name_suffix);
  put(kustomize, "namespace", arguments.kustomize_namespace);
  for (const std::string& image : arguments.images) {
    Value images = Value::list();
    for (const Value& one : kustomize["images"].items()) {
      if (image_name(one.as_string()) != image_name(image)) images.push_back(one);
    }
    images.push_back(image);
    kustomize.set("images", std::move(images));
  }
  for (const std::string& text : arguments.replicas) {
    const Pair pair = TRY(pair_of("--kustomize-replica", text));
    const auto count = TRY(number_of("--kustomize-replica", pair.value));
    put_entry(kustomize.edit("replicas"), Value{{"name", pair.name}, {"count", count}});
  }
  TRY(put_pairs(kustomize, "commonLabels", "--kustomize-common-label", arguments.kustomize_labels));
  TRY(put_pairs(kustomize, "commonAnnotations", "--kustomize-common-annotation", arguments.kustomize_annotations));
  put(kustomize, "kubeVersion", arguments.kustomize_kube_version);
  if (!arguments.kustomize_api_versions.empty())
    kustomize.set("apiVersions", Value::list_of(arguments.kustomize_api_versions));
  put(kustomize, "forceCommonLabels", arguments.force_labels);
  put(kustomize, "forceCommonAnnotations", arguments.force_annotations);
  put(kustomize, "labelWithoutSelector", arguments.labels_without_selector);
  put(kustomize, "labelIncludeTemplates", arguments.labels_in_templates);
  put(kustomize, "ignoreMissingComponents", arguments.ignore_missing_components);
  if (!kustomize.empty()) source.set("kustomize", std::move(kustomize));
  return {};
}

void put_directory(Value& source, const AppArguments& arguments) {
  Value directory = source["directory"].is_map() ? source["directory"] : Value::map();
  put(directory, "recurse", arguments.recurse);
  put(directory, "include", arguments.directory_include);
  put(directory, "exclude", arguments.directory_exclude);
  if (!directory.empty()) source.set("directory", std::move(directory));
}

Result<void> put_policy(Value& spec, const AppArguments& arguments) {
  if (arguments.manual && spec["syncPolicy"].is_map()) spec.edit("syncPolicy").erase("automated");
  if (arguments.automated && !spec["syncPolicy"]["automated"].is_map())
    spec.edit({"syncPolicy", "automated"}) = Value::map();
  const auto needs_automated = [&](std::optional<bool> wanted, const char* flag, const char* field) -> Result<void> {
    if (!wanted) return {};
    if (!spec["syncPolicy"]["automated"].is_map())
      return Error{ErrorCode::bad_request, std::string(flag) + " needs --sync-policy automated"};
    spec.edit({"syncPolicy", "automated"}).set(field, *wanted);
    return {};
  };
  TRY(needs_automated(arguments.auto_prune, "--auto-prune", "prune"));
  TRY(needs_automated(arguments.self_heal, "--self-heal", "selfHeal"));
  TRY(needs_automated(arguments.allow_empty, "--allow-empty", "allowEmpty"));
  if (!arguments.sync_options.empty())
    spec.edit({"syncPolicy", "syncOptions"}) = Value::list_of(arguments.sync_options);
  if (Value retry = TRY(retry_of(arguments, spec["syncPolicy"]["retry"])); !retry.is_null())
    spec.edit({"syncPolicy", "retry"}) = std::move(retry);
  if (!arguments.history_limit.empty())
    spec.set("revisionHistoryLimit", TRY(number_of("--revision-history-limit", arguments.history_limit)));
  return {};
}

}  // namespace

Result<Value> retry_of(const AppArguments& arguments, const Value& before) {
  Value out = before;
  if (!arguments.retry_limit.empty()) out.set("limit", TRY(number_of("--sync-retry-limit", arguments.retry_limit)));
  const auto put_duration = [&](const char* flag, const char* field, const std::string& text) -> Result<void> {
    if (text.empty()) return {};
    TRY(parse_duration(text).in(flag));
    out.edit("backoff").set(field, text);
    return {};
  };
  TRY(put_duration("--sync-retry-backoff-duration", "duration", arguments.backoff_first));
  TRY(put_duration("--sync-retry-backoff-max-duration", "maxDuration", arguments.backoff_most));
  if (!arguments.backoff_factor.empty())
    out.edit("backoff").set("factor", TRY(number_of("--sync-retry-backoff-factor", arguments.backoff_factor)));
  put(out, "refresh", arguments.retry_refresh);
  return out;
}

Result<std::optional<std::size_t>> source_index(const Value& spec, const AppArguments& arguments) {
  const Value& sources = spec["sources"];
  if (!arguments.source_name.empty()) {
    for (std::size_t i = 0; i < sources.size(); ++i)
      if (sources[i]["name"].as_string() == arguments.source_name) return std::optional(i);
    return Error{ErrorCode::bad_request, "no source of the Application is named " + arguments.source_name};
  }
  if (arguments.source_position.empty()) return std::optional<std::size_t>();
  const auto position = parse_int(arguments.source_position);
  if (!position || *position < 1 || static_cast<std::size_t>(*position) > sources.size())
    return Error{ErrorCode::bad_request, "--source-position is from 1 to " + std::to_string(sources.size()) + ", not " +
                                             arguments.source_position};
  return std::optional(static_cast<std::size_t>(*position - 1));
}

Result<void> put_flags(Value& spec, const AppArguments& arguments) {
  const auto index = TRY(source_index(spec, arguments));
  Value source = index ? spec["sources"][*index] : spec["source"].is_map() ? spec["source"] : Value::map();
  put(source, "repoURL", arguments.repo);
  put(source, "path", arguments.path);
  put(source, "chart", arguments.chart);
  put(source, "ref", arguments.ref);
  put(source, "targetRevision", arguments.revision);
  TRY(put_helm(source, arguments));
  TRY(put_kustomize(source, arguments));
  put_directory(source, arguments);
  if (!source.empty() && !index && !spec["sources"].empty())
    return Error{ErrorCode::bad_request,
                 "the Application has several sources: --source-position or --source-name says which"};
  if (index)
    spec.edit("sources").edit(*index) = std::move(source);
  else if (!source.empty())
    spec.set("source", std::move(source));
  put(spec, "project", arguments.project);
  Value destination = spec["destination"].is_map() ? spec["destination"] : Value::map();
  put(destination, "namespace", arguments.dest_namespace);
  // One of the two says which cluster.
  if (!arguments.dest_server.empty() || !arguments.dest_name.empty()) {
    destination.erase("server");
    destination.erase("name");
  }
  put(destination, "server", arguments.dest_server);
  put(destination, "name", arguments.dest_name);
  spec.set("destination", std::move(destination));
  return put_policy(spec, arguments);
}

}  // namespace caisson::cli
