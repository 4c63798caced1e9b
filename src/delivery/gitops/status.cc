// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/status.h"

#include <functional>
#include <set>

#include "core/base/text.h"

namespace caisson::gitops {
namespace {

void set_health(Value& status, const Health& health, Time now) {
  const Value before = status["health"];
  Value next{{"status", health_name(health.code)}};
  if (!health.message.empty()) next.set("message", health.message);
  const bool same = before["status"] == next["status"];
  next.set("lastTransitionTime",
           same && !before["lastTransitionTime"].is_null() ? before["lastTransitionTime"] : Value(format_time(now)));
  status.set("health", std::move(next));
}

bool counts(const Resource& resource) {
  const Value& object = resource.desired ? *resource.desired : *resource.live;
  return object["metadata"]["annotations"]["argocd.argoproj.io/ignore-healthcheck"].as_string() != "true";
}

std::optional<Health> health(const Resource& resource) {
  return resource.live ? resource.health : Health{HealthCode::missing, ""};
}

void collect_images(const Value& value, std::set<std::string>& out) {
  for (std::string_view list : {"containers", "initContainers"}) {
    for (const Value& container : value[list].items()) {
      if (!container["image"].as_string().empty()) out.insert(container["image"].str());
    }
  }
}

Value summary(const Observation& observation) {
  std::set<std::string> images, urls;
  for (const Resource& resource : observation.resources) {
    const Value& object = resource.live ? *resource.live : *resource.desired;
    collect_images(object["spec"], images);
    collect_images(object["spec"]["template"]["spec"], images);
    collect_images(object["spec"]["jobTemplate"]["spec"]["template"]["spec"], images);
    if (resource.id.kind != "Ingress") continue;
    for (const Value& rule : object["spec"]["rules"].items()) {
      const bool tls = !object["spec"]["tls"].empty();
      for (const Value& path : rule["http"]["paths"].items()) {
        const std::string_view at = path["path"].as_string();
        if (!rule["host"].as_string().empty()) {
          urls.insert((tls ? "https://" : "http://") + rule["host"].str() + (at == "/" ? "/" : std::string(at)));
        }
      }
    }
  }
  Value out = Value::map();
  if (!images.empty()) out.set("images", Value::list_of({images.begin(), images.end()}));
  if (!urls.empty()) out.set("externalURLs", Value::list_of({urls.begin(), urls.end()}));
  return out;
}

Value entry_of(const Resource& resource) {
  Value entry = Value::map();
  if (!resource.id.group.empty()) entry.set("group", resource.id.group);
  entry.set("version", resource.version);
  entry.set("kind", resource.id.kind);
  if (!resource.id.ns.empty()) entry.set("namespace", resource.id.ns);
  entry.set("name", resource.id.name);
  entry.set("status", resource.synced() ? "Synced" : "OutOfSync");
  if (!resource.desired) entry.set("requiresPruning", true);
  if (const int wave = wave_of(resource.desired ? *resource.desired : *resource.live); wave != 0)
    entry.set("syncWave", wave);
  if (const auto state = health(resource)) {
    Value value{{"status", health_name(state->code)}};
    if (!state->message.empty()) value.set("message", state->message);
    entry.set("health", std::move(value));
  }
  return entry;
}

Value compared_to(const Value& spec) {
  Value out{{"destination", spec["destination"]}};
  if (spec["source"].is_map()) out.set("source", spec["source"]);
  if (!spec["sources"].is_null()) out.set("sources", spec["sources"]);
  return out;
}

}  // namespace

Verdict verdict_of(const Observation& observation) {
  Verdict out;
  out.sync = !observation.errors.empty() ? "Unknown" : observation.in_sync() ? "Synced" : "OutOfSync";
  for (const Resource& resource : observation.resources) {
    const auto state = health(resource);
    if (!state || !counts(resource)) continue;
    if (worse(out.health.code, state->code) != out.health.code) out.health.code = state->code;
  }
  return out;
}

void write_observation(Value& status, const Value& spec, const Rendered& rendered, const Observation& observation,
                       Time now) {
  const Verdict verdict = verdict_of(observation);
  Value sync{{"status", verdict.sync}, {"comparedTo", compared_to(spec)}};
  set_commits(sync, rendered.commit, !spec["sources"].empty());
  status.set("sync", std::move(sync));
  set_health(status, verdict.health, now);
  Value resources = Value::list();
  for (const Resource& resource : observation.resources) resources.push_back(entry_of(resource));
  status.set("resources", std::move(resources));
  status.set("summary", summary(observation));
  const bool several = !spec["sources"].empty();
  status.erase(several ? "sourceType" : "sourceTypes");
  if (several)
    status.set("sourceTypes", Value::list_of(rendered.types.empty() ? std::vector{rendered.type} : rendered.types));
  else
    status.set("sourceType", rendered.type);
}

void write_unknown(Value& status, const Value& spec, Time now) {
  Value sync{{"status", "Unknown"}, {"comparedTo", compared_to(spec)}};
  for (const std::string_view field : {"revision", "revisions"})
    if (!status["sync"][field].is_null()) sync.set(field, status["sync"][field]);
  status.set("sync", std::move(sync));
  if (status["health"].is_null()) set_health(status, {HealthCode::unknown, ""}, now);
}

void write_conditions(Value& status, const std::vector<Condition>& conditions, Time now) {
  Value out = Value::list();
  for (const Condition& condition : conditions) {
    Value entry{{"type", condition.type}, {"message", condition.message}};
    Value since(format_time(now));
    for (const Value& before : status["conditions"].items()) {
      if (before["type"].as_string() == condition.type && before["message"].as_string() == condition.message)
        since = before["lastTransitionTime"];
    }
    entry.set("lastTransitionTime", std::move(since));
    out.push_back(std::move(entry));
  }
  if (out.empty())
    status.erase("conditions");
  else
    status.set("conditions", std::move(out));
}

std::string commits_of(const Value& at) {
  std::vector<std::string> all;
  for (const Value& one : at["revisions"].items()) all.push_back(one.str());
  return all.empty() ? at["revision"].str() : join(all, ",");
}

void set_commits(Value& at, const std::string& commits, bool several) {
  at.erase(several ? "revision" : "revisions");
  if (!several) {
    at.set("revision", commits);
    return;
  }
  const auto all = split(commits, ',');
  at.set("revisions", commits.empty() ? Value::list() : Value::list_of({all.begin(), all.end()}));
}

Value begun_state(const Value& operation, const Value& spec, const std::string& commits, Time now) {
  // A rollback brings the sources of its time along.
  const Value& own =
      operation["sync"]["source"].is_map() || !operation["sync"]["sources"].empty() ? operation["sync"] : spec;
  const bool several = !own["sources"].empty();
  Value result = Value::map();
  set_commits(result, commits, several);
  if (several) {
    result.set("revision", "");  // the definition requires it
    result.set("sources", own["sources"]);
  } else {
    result.set("source", own["source"]);
  }
  result.set("resources", Value::list());
  return Value{{"operation", operation},
               {"phase", "Running"},
               {"startedAt", format_time(now)},
               {"syncResult", std::move(result)}};
}

void write_history(Value& status, const Value& operation_state, std::size_t history_max, Time now) {
  if (history_max == 0) {
    status.erase("history");
    return;
  }
  const Value before = status["history"];
  std::int64_t next = 0;
  for (const Value& entry : before.items()) next = std::max(next, entry["id"].as_int() + 1);
  Value entry{{"id", next}, {"deployStartedAt", operation_state["startedAt"]}, {"deployedAt", format_time(now)}};
  const Value& result = operation_state["syncResult"];
  const bool several = !result["sources"].empty();
  set_commits(entry, commits_of(result), several);
  const char* const field = several ? "sources" : "source";
  entry.set(field, result[field]);
  if (operation_state["operation"]["initiatedBy"].is_map())
    entry.set("initiatedBy", operation_state["operation"]["initiatedBy"]);
  Value history = Value::list();
  const std::size_t from = before.size() + 1 > history_max ? before.size() + 1 - history_max : 0;
  for (std::size_t i = from; i < before.size(); ++i) history.push_back(before[i]);
  history.push_back(std::move(entry));
  status.set("history", std::move(history));
}

}  // namespace caisson::gitops
