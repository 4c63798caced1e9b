// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/application.h"

#include <fnmatch.h>

#include <algorithm>

#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::gitops {
namespace {

Error invalid(std::string field, std::string what) {
  return {ErrorCode::invalid, std::move(field) + ": " + std::move(what)};
}

Result<Duration> duration_or(const Value& value, Duration otherwise, const std::string& field) {
  if (value.as_string().empty()) return otherwise;
  auto parsed = parse_duration(value.as_string());
  if (!parsed.ok()) return invalid(field, "\"" + value.str() + "\" is no duration, such as 5s or 3m");
  return *parsed;
}

bool matches(const std::string& pattern, const std::string& text) {
  return fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

// A list of patterns of which those with '!' forbid.
bool permitted(const Value& patterns, const std::string& text) {
  bool any = false;
  for (const Value& pattern : patterns.items()) {
    const std::string one = pattern.str();
    if (one.starts_with('!')) {
      if (matches(one.substr(1), text)) return false;
    } else {
      any = any || matches(one, text);
    }
  }
  return any;
}

bool kind_listed(const Value& list, std::string_view group, std::string_view kind) {
  for (const Value& entry : list.items()) {
    if (matches(entry["group"].str(), std::string(group)) && matches(entry["kind"].str(), std::string(kind)))
      return true;
  }
  return false;
}

}  // namespace

Duration Retry::delay(std::int64_t attempt) const {
  Duration out = first;
  for (std::int64_t i = 1; i < attempt && out < most; ++i) out *= factor;
  return std::min(out, most);
}

Result<std::optional<Retry>> parse_retry(const Value& value, const std::string& field) {
  if (!value.is_map()) return std::optional<Retry>();
  Retry out;
  out.limit = value["limit"].as_int();
  out.refresh = value["refresh"].as_bool();
  const Value& backoff = value["backoff"];
  out.first = TRY(duration_or(backoff["duration"], out.first, field + ".backoff.duration"));
  out.most = TRY(duration_or(backoff["maxDuration"], out.most, field + ".backoff.maxDuration"));
  out.factor = std::max<std::int64_t>(1, backoff["factor"].as_int(2));
  return std::optional<Retry>(out);
}

Result<Application> parse_application(const kube::Object& object, std::string_view home_namespace,
                                      SettingsPtr settings) {
  const Value& spec = object.spec();
  Application out;
  out.settings = settings ? std::move(settings) : std::make_shared<const Settings>();
  out.key = object.key();
  out.instance = out.key.ns == home_namespace ? out.key.name : out.key.ns + "_" + out.key.name;
  out.project = spec["project"].as_string().empty() ? "default" : spec["project"].str();
  out.source = TRY(parse_sources(spec));
  out.several_sources = !spec["sources"].empty();
  out.destination_server = spec["destination"]["server"].str();
  out.destination_name = spec["destination"]["name"].str();
  out.destination_namespace = spec["destination"]["namespace"].str();
  name_sources(out.source, out.key.name, out.destination_namespace, out.settings->kustomize_build_options);
  if (!out.destination_server.empty() && !out.destination_name.empty()) {
    return invalid("spec.destination",
                   "can't have both name and server defined: " + out.destination_name + " " + out.destination_server);
  }
  if (out.destination_server.empty() && out.destination_name.empty())
    return invalid("spec.destination", "destination server missing from app spec");
  // Other clusters are looked up by name or server later (clusters.h).
  if (out.destination_server == kInCluster || out.destination_name == "in-cluster") {
    out.destination_server = kInCluster;
    out.destination_name = "in-cluster";
  }
  const Value& policy = spec["syncPolicy"];
  const Value& automated = policy["automated"];
  out.policy.automated = automated.is_map() && automated["enabled"].as_bool(true);
  out.policy.prune = automated["prune"].as_bool();
  out.policy.self_heal = automated["selfHeal"].as_bool();
  out.policy.allow_empty = automated["allowEmpty"].as_bool();
  out.policy.retry = TRY(parse_retry(policy["retry"]));
  for (const Value& option : policy["syncOptions"].items()) out.policy.options.push_back(option.str());
  out.policy.namespace_metadata = policy["managedNamespaceMetadata"];
  for (const Value& rule : spec["ignoreDifferences"].items()) {
    IgnoreRule ignore{rule["group"].str(), rule["kind"].str(), rule["name"].str(), rule["namespace"].str(), {}, {}, {}};
    read_ignore_fields(rule, ignore);
    out.ignore.push_back(std::move(ignore));
  }
  if (spec["revisionHistoryLimit"].is_int())
    out.history_max = static_cast<std::size_t>(std::max<std::int64_t>(0, spec["revisionHistoryLimit"].as_int()));
  return out;
}

bool has_option(const std::vector<std::string>& options, std::string_view option) {
  return std::find(options.begin(), options.end(), option) != options.end();
}

bool has_option(const Value& object, std::string_view option) {
  for (std::string_view one : split(object["metadata"]["annotations"][kSyncOptionsAnnotation].as_string(), ',')) {
    if (trim(one) == option) return true;
  }
  return false;
}

std::string project_forbids(const Application& application, const kube::Object* project) {
  if (!project) {
    if (application.project == "default") return "";
    return "Application referencing project " + application.project + " which does not exist";
  }
  const Value& spec = project->spec();
  const auto permits_repository = [&](const Source& source) { return permitted(spec["sourceRepos"], source.repo_url); };
  const auto& more = application.source.more;
  const auto other = std::find_if_not(more.begin(), more.end(), permits_repository);
  if (!permits_repository(application.source) || other != more.end()) {
    const Source& source = permits_repository(application.source) ? *other : application.source;
    return "application repo " + source.repo_url + " is not permitted in project '" + application.project + "'";
  }
  if (spec["permitOnlyProjectScopedClusters"].as_bool() && application.destination_project != application.project) {
    return "application destination " + application.destination_name + " (" + application.destination_server +
           ") is no cluster of project '" + application.project + "', which permits only project-scoped clusters";
  }
  bool permitted_there = false, denied = false;
  for (const Value& destination : spec["destinations"].items()) {
    std::string server = destination["server"].str(), name = destination["name"].str(),
                ns = destination["namespace"].str();
    bool denies = false;  // '!' before any of the three
    for (std::string* one : {&server, &name, &ns}) {
      if (!one->starts_with('!')) continue;
      denies = true;
      one->erase(0, 1);
    }
    const bool at = (!server.empty() && matches(server, application.destination_server)) ||
                    (!name.empty() && matches(name, application.destination_name));
    if (!at || !matches(ns, application.destination_namespace)) continue;
    (denies ? denied : permitted_there) = true;
  }
  if (permitted_there && !denied) return "";
  return "application destination server '" + application.destination_server + "' and namespace '" +
         application.destination_namespace + "' do not match any of the allowed destinations in project '" +
         application.project + "'";
}

bool project_permits_kind(const kube::Object* project, std::string_view group, std::string_view kind, bool namespaced) {
  if (!project) return true;
  const Value& spec = project->spec();
  if (namespaced) {
    const Value* allowed = spec.find("namespaceResourceWhitelist");
    return (!allowed || kind_listed(*allowed, group, kind)) &&
           !kind_listed(spec["namespaceResourceBlacklist"], group, kind);
  }
  return kind_listed(spec["clusterResourceWhitelist"], group, kind) &&
         !kind_listed(spec["clusterResourceBlacklist"], group, kind);
}

}  // namespace caisson::gitops
