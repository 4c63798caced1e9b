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
  status.set("sync", Value{{"status", verdict.sync}, {"revision", rendered.commit}, {"comparedTo", compared_to(spec)}});
  if (const auto revisions = split(rendered.commit, ','); revisions.size() > 1)  // of several sources
    status.edit("sync").set("revisions", Value::list_of({revisions.begin(), revisions.end()}));
  set_health(status, verdict.health, now);
  Value resources = Value::list();
  for (const Resource& resource : observation.resources) resources.push_back(entry_of(resource));
  status.set("resources", std::move(resources));
  status.set("summary", summary(observation));
  status.set("sourceType", rendered.type);
}

void write_unknown(Value& status, const Value& spec, Time now) {
  Value sync{{"status", "Unknown"}, {"comparedTo", compared_to(spec)}};
  if (!status["sync"]["revision"].is_null()) sync.set("revision", status["sync"]["revision"]);
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

void write_history(Value& status, const Value& operation_state, const Value& source, std::size_t history_max,
                   Time now) {
  if (history_max == 0) {
    status.erase("history");
    return;
  }
  const Value before = status["history"];
  std::int64_t next = 0;
  for (const Value& entry : before.items()) next = std::max(next, entry["id"].as_int() + 1);
  Value entry{{"id", next},
              {"revision", operation_state["syncResult"]["revision"]},
              {"deployStartedAt", operation_state["startedAt"]},
              {"deployedAt", format_time(now)},
              {"source", source}};
  if (operation_state["operation"]["initiatedBy"].is_map())
    entry.set("initiatedBy", operation_state["operation"]["initiatedBy"]);
  Value history = Value::list();
  const std::size_t from = before.size() + 1 > history_max ? before.size() + 1 - history_max : 0;
  for (std::size_t i = from; i < before.size(); ++i) history.push_back(before[i]);
  history.push_back(std::move(entry));
  status.set("history", std::move(history));
}

}  // namespace caisson::gitops
