// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/actions.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/document/yaml.h"
#include "delivery/gitops/script.h"

namespace caisson::gitops {
namespace {

std::string kind_of(const Value& object) {
  const std::string_view api_version = object["apiVersion"].as_string();
  const std::size_t slash = api_version.find('/');
  const std::string kind = object["kind"].str();
  return slash == std::string_view::npos ? kind : std::string(api_version.substr(0, slash)) + "/" + kind;
}

bool one_of(const std::string& text, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

std::vector<Action> built_in(const Value& object) {
  const std::string kind = kind_of(object);
  const bool paused = object["spec"]["paused"].as_bool();
  std::vector<Action> out;
  if (one_of(kind, {"apps/Deployment", "apps/StatefulSet", "apps/DaemonSet"})) out.push_back({"restart", false});
  if (one_of(kind, {"apps/Deployment", "apps/StatefulSet"})) out.push_back({"scale", false});
  if (kind == "apps/Deployment" || kind == "argoproj.io/Rollout") {
    out.push_back({"pause", paused});
    out.push_back({"resume", !paused});
  }
  if (kind == "argoproj.io/Rollout") {
    out.push_back({"restart", false});
    const bool fully = object["status"]["currentPodHash"] == object["status"]["stableRS"];
    out.push_back({"promote-full", fully});
    out.push_back({"abort", fully || object["status"]["abort"].as_bool()});
    out.push_back({"retry", !object["status"]["abort"].as_bool()});
  }
  if (kind == "batch/CronJob") {
    out.push_back({"create-job", false});
    out.push_back({"suspend", object["spec"]["suspend"].as_bool()});
    out.push_back({"resume", !object["spec"]["suspend"].as_bool()});
  }
  if (kind == "batch/Job") {
    out.push_back({"suspend", object["spec"]["suspend"].as_bool()});
    out.push_back({"resume", !object["spec"]["suspend"].as_bool()});
    out.push_back({"terminate", false});
  }
  return out;
}

Value job_of(const Value& cron, Time now) {
  const Value& job = cron["spec"]["jobTemplate"];
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  Value metadata = job["metadata"].is_map() ? job["metadata"] : Value::map();
  metadata.set("name", cron["metadata"]["name"].str() + "-" + std::to_string(seconds));
  metadata.set("namespace", cron["metadata"]["namespace"]);
  metadata.edit({"annotations"}).set("cronjob.kubernetes.io/instantiate", "manual");
  return Value{{"apiVersion", "batch/v1"}, {"kind", "Job"}, {"metadata", std::move(metadata)}, {"spec", job["spec"]}};
}

Result<std::vector<ActionResult>> run_built_in(Value object, const std::string& name, const Value& parameters,
                                               Time now) {
  const std::string kind = kind_of(object);
  if (name == "restart" && kind == "argoproj.io/Rollout") {
    object.edit("spec").set("restartAt", format_time(now));
  } else if (name == "restart") {
    object.edit({"spec", "template", "metadata", "annotations"})
        .set("kubectl.kubernetes.io/restartedAt", format_time(now));
  } else if (name == "scale") {
    const auto replicas = parse_int(parameters["replicas"].scalar_text());
    if (!replicas || *replicas < 0)
      return Error{ErrorCode::invalid, "scale needs the parameter replicas, a whole number of at least 0"};
    object.edit("spec").set("replicas", *replicas);
  } else if (name == "pause" || (name == "resume" && !kind.starts_with("batch/"))) {
    object.edit("spec").set("paused", name == "pause");
  } else if (name == "suspend" || name == "resume") {
    object.edit("spec").set("suspend", name == "suspend");
  } else if (name == "terminate") {
    object.edit("spec").set("activeDeadlineSeconds", 1);
  } else if (name == "promote-full") {
    object.edit("status").set("promoteFull", true);
  } else if (name == "abort" || name == "retry") {
    object.edit("status").set("abort", name == "abort");
  } else if (name == "create-job") {
    return std::vector<ActionResult>{{ActionResult::Verb::create, job_of(object, now)}};
  } else {
    return Error{ErrorCode::not_found, kind + " has no action \"" + name + "\""};
  }
  return std::vector<ActionResult>{{ActionResult::Verb::patch, std::move(object)}};
}

// {discovery.lua, definitions: [{name, action.lua}], mergeBuiltinActions}
Value own_actions(const Value& object, const Settings& settings) {
  const auto found = settings.actions.find(kind_of(object));
  if (found == settings.actions.end()) return Value();
  auto parsed = yaml::read(found->second, {.name = "resource.customizations.actions." + found->first});
  return parsed.ok() ? *parsed : Value();
}

}  // namespace

std::vector<Action> actions_of(const Value& object, const Settings& settings) {
  const Value own = own_actions(object, settings);
  if (own.is_null()) return built_in(object);
  std::vector<Action> out = own["mergeBuiltinActions"].as_bool() ? built_in(object) : std::vector<Action>{};
  const auto found = run_script(own["discovery.lua"].as_string(), "discovery of " + kind_of(object), object);
  if (!found.ok()) return out;
  for (const auto& [name, action] : found->entries()) out.push_back({std::string(name), action["disabled"].as_bool()});
  return out;
}

Result<std::vector<ActionResult>> run_action(const Value& object, const Settings& settings, const std::string& name,
                                             const Value& parameters, Time now) {
  const Value own = own_actions(object, settings);
  for (const Value& one : own["definitions"].items()) {
    if (one["name"].as_string() != name) continue;
    const Value answer =
        TRY(run_script(one["action.lua"].as_string(), "action " + name + " of " + kind_of(object), object));
    if (answer.is_map()) return std::vector<ActionResult>{{ActionResult::Verb::patch, answer}};
    // The newer form: a list of {operation, resource}.
    std::vector<ActionResult> out;
    for (const Value& step : answer.items()) {
      const bool creates = step["operation"].as_string() == "create";
      out.push_back({creates ? ActionResult::Verb::create : ActionResult::Verb::patch, step["resource"]});
    }
    return out;
  }
  if (!own.is_null() && !own["mergeBuiltinActions"].as_bool())
    return Error{ErrorCode::not_found, kind_of(object) + " has no action \"" + name + "\""};
  const auto known = built_in(object);
  if (std::none_of(known.begin(), known.end(), [&](const Action& one) { return one.name == name; }))
    return Error{ErrorCode::not_found, kind_of(object) + " has no action \"" + name + "\""};
  return run_built_in(object, name, parameters, now);
}

}  // namespace caisson::gitops
