// SPDX-License-Identifier: Apache-2.0
#include "security/policy/autogen.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "core/base/text.h"
#include "security/policy/match.h"

namespace caisson::policy {
namespace {

constexpr std::array<std::string_view, 7> kControllers = {
    "CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"};
constexpr std::size_t kNameMax = 63;

bool is_controller(std::string_view kind) {
  return std::find(kControllers.begin(), kControllers.end(), kind) != kControllers.end();
}

std::string kind_path(std::string_view kind) {
  if (kind == "Job" || kind == "CronJob") return "batch/v1/" + std::string(kind);
  if (kind == "ReplicationController") return "v1/ReplicationController";
  return "apps/v1/" + std::string(kind);
}
Value kind_paths(const std::vector<std::string>& kinds) {
  Value list = Value::list();
  for (const std::string& kind : kinds) list.push_back(kind_path(kind));
  return list;
}

bool names_pods(const Value& kinds) {
  return std::any_of(kinds.items().begin(), kinds.items().end(),
                     [](const Value& kind) { return KindSelector::parse(kind.as_string()).kind == "Pod"; });
}

// Names, selectors and annotations speak of Pods only; a mixture of kinds says that the author thought of controllers.
bool is_transferable(const Value& resources, bool& speaks_of_pods) {
  const Value& kinds = resources["kinds"];
  if (!resources["name"].as_string().empty() || !resources["names"].empty() || resources["selector"].is_map() ||
      resources["annotations"].is_map())
    return false;
  if (kinds.size() > 1 && names_pods(kinds)) return false;
  for (const Value& kind : kinds.items())
    speaks_of_pods = speaks_of_pods || kind.as_string() == "Pod" || is_controller(kind.as_string());
  return true;
}

bool blocks_transferable(const Value& rule, bool& speaks_of_pods) {
  for (const char* block : {"match", "exclude"}) {
    if (!is_transferable(rule[block]["resources"], speaks_of_pods)) return false;
    for (const char* list : {"any", "all"})
      for (const Value& filter : rule[block][list].items())
        if (!is_transferable(filter["resources"], speaks_of_pods)) return false;
  }
  return true;
}

bool is_possible(const Value& spec) {
  bool speaks_of_pods = false;
  for (const Value& rule : spec["rules"].items()) {
    if (rule.contains("generate")) return false;
    if (!rule["mutate"]["patchesJson6902"].is_null()) return false;
    for (const Value& loop : rule["mutate"]["foreach"].items())
      if (!loop["patchesJson6902"].is_null()) return false;
    if (!blocks_transferable(rule, speaks_of_pods)) return false;
  }
  return speaks_of_pods;
}

void replace_kinds(Value& block, const std::vector<std::string>& kinds, bool only_pods, bool always) {
  for (const char* list : {"any", "all"}) {
    if (block[list].empty()) continue;
    Value& filters = block.edit(list);
    for (std::size_t i = 0; i < filters.size(); ++i) {
      if (only_pods && !names_pods(filters[i]["resources"]["kinds"])) continue;
      filters.edit(i).edit("resources").set("kinds", kind_paths(kinds));
    }
    return;
  }
  if (always || !block["resources"]["kinds"].empty()) block.edit("resources").set("kinds", kind_paths(kinds));
}

Value wrapped(const char* key, const Value& inner) {
  return Value{{"spec", Value{{key, inner}}}};
}

// $(/validate/pattern/spec) of a message leads to the same place of the longer pattern.
std::string shifted(std::string message, std::string_view shift, std::string_view pivot) {
  for (std::size_t at = message.find("$("); at != std::string::npos; at = message.find("$(", at + 2)) {
    const std::size_t end = message.find(')', at), found = message.find(pivot, at);
    if (found == std::string::npos || end == std::string::npos || found > end) continue;
    message.insert(found + pivot.size(), "/" + std::string(shift));
  }
  return message;
}

Value shifted_validate(const Value& validate, const char* key, std::string_view shift) {
  Value out = Value::map();
  for (const auto& entry : validate.entries()) {
    const bool general =
        entry.key == "message" || entry.key.starts_with("failureAction") || entry.key == "allowExistingViolations";
    if (general) out.set(entry.key, entry.value);
  }
  const auto take = [&](const char* name, Value value) {
    if (validate.contains("message")) out.set("message", shifted(validate["message"].str(), shift, name));
    out.set(name, std::move(value));
    return out;
  };
  if (!validate["pattern"].is_null()) return take("pattern", wrapped(key, validate["pattern"]));
  if (validate["deny"].is_map()) return take("deny", validate["deny"]);
  if (validate["podSecurity"].is_map()) return take("podSecurity", validate["podSecurity"]);
  if (validate["anyPattern"].is_list()) {
    Value patterns = Value::list();
    for (const Value& pattern : validate["anyPattern"].items()) patterns.push_back(wrapped(key, pattern));
    return take("anyPattern", patterns);
  }
  if (!validate["foreach"].empty()) return take("foreach", validate["foreach"]);
  return validate["cel"].is_map() ? validate : Value();
}

Value shifted_mutate(const Value& mutate, const char* key) {
  if (!mutate["patchStrategicMerge"].is_null())
    return Value{{"patchStrategicMerge", wrapped(key, mutate["patchStrategicMerge"])}};
  Value loops = Value::list();
  for (const Value& loop : mutate["foreach"].items()) {
    Value out = Value::map();
    for (const char* name : {"list", "context", "preconditions"})
      if (loop.contains(name)) out.set(name, loop[name]);
    out.set("patchStrategicMerge", wrapped(key, loop["patchStrategicMerge"]));
    loops.push_back(out);
  }
  return loops.empty() ? Value() : Value{{"foreach", loops}};
}

struct Shift {
  std::string prefix;
  const char* key;   // the member of spec that holds the template
  std::string path;  // from the controller to the template
  bool only_pods;    // replace kinds only where Pods were named
};

// Null when the rule can't be said of controllers.
Value shifted_rule(const Value& rule, const Shift& shift, const std::vector<std::string>& kinds) {
  Value out = rule;
  out.set("name", (shift.prefix + "-" + rule["name"].str()).substr(0, kNameMax));
  replace_kinds(out.edit("match"), kinds, shift.only_pods, true);
  if (out["exclude"].is_map()) replace_kinds(out.edit("exclude"), kinds, shift.only_pods, false);
  if (rule["mutate"].is_map()) {
    const Value mutate = shifted_mutate(rule["mutate"], shift.key);
    if (mutate.is_null()) return {};
    out.set("mutate", mutate);
    return out;
  }
  if (rule["validate"].is_map()) {
    const Value validate = shifted_validate(rule["validate"], shift.key, shift.path);
    if (validate.is_null()) return {};
    out.set("validate", validate);
    return out;
  }
  return rule.contains("verifyImages") ? out : Value();
}

std::string moved_text(std::string text, std::string_view at, bool cel) {
  for (const char* base : {"object", "oldObject"}) {
    for (const char* member : {"spec", "metadata"}) {
      const std::string from = (cel ? "" : "request.") + std::string(base) + "." + member;
      const std::string to = (cel ? "" : "request.") + std::string(base) + "." + std::string(at) + "." + member;
      if (cel && base[1] == 'l')
        continue;  // "oldObject.spec" holds no "object.spec"; it is replaced by its own name below
      text = replace_all(std::move(text), from, to);
    }
  }
  if (!cel) return text;
  for (const char* member : {"spec", "metadata"})
    text =
        replace_all(std::move(text), "oldObject." + std::string(member), "oldObject." + std::string(at) + "." + member);
  return text;
}

// Every text of a rule that speaks of the Pod's own fields speaks of the template's.
Value moved(const Value& value, std::string_view at, bool cel) {
  if (value.is_string()) return Value(moved_text(value.str(), at, cel));
  if (value.is_list()) {
    Value out = Value::list();
    for (const Value& item : value.items()) out.push_back(moved(item, at, cel));
    return out;
  }
  if (!value.is_map()) return value;
  Value out = Value::map();
  for (const auto& entry : value.entries())
    out.set(moved_text(std::string(entry.key), at, cel), moved(entry.value, at, cel));
  return out;
}

bool applies_to(const Value& rule) {
  const auto kinds_of = [](const Value& block) {
    Value kinds = Value::list();
    const auto take = [&](const Value& filter) {
      for (const Value& kind : filter["resources"]["kinds"].items()) kinds.push_back(kind);
    };
    take(block);
    for (const char* list : {"any", "all"})
      for (const Value& filter : block[list].items()) take(filter);
    return kinds;
  };
  const Value excluded = kinds_of(rule["exclude"]);
  return names_pods(kinds_of(rule["match"])) && (excluded.empty() || names_pods(excluded));
}

}  // namespace

std::vector<Value> generated_rules(const Value& spec, const Value& annotations) {
  std::vector<Value> out;
  if (!is_possible(spec)) return out;
  std::vector<std::string> controllers;
  bool cron_jobs = true;
  if (const Value* chosen = annotations.find("pod-policies.kyverno.io/autogen-controllers"); chosen != nullptr) {
    if (chosen->as_string() == "none") return out;
    const bool all = chosen->as_string() == "all";
    cron_jobs = all || chosen->as_string().find("CronJob") != std::string_view::npos;
    for (const std::string_view name : split(chosen->as_string(), ','))
      if (is_controller(name) && name != "CronJob") controllers.emplace_back(name);
    if (all) controllers.assign(kControllers.begin() + 1, kControllers.end());
  } else {
    controllers.assign(kControllers.begin() + 1, kControllers.end());
  }
  for (const Value& rule : spec["rules"].items()) {
    if (rule["name"].as_string().starts_with("autogen-") || !applies_to(rule)) continue;
    const bool cel = rule["validate"]["cel"].is_map();
    if (!controllers.empty()) {
      const Value one = shifted_rule(rule, {"autogen", "template", "spec/template", true}, controllers);
      if (!one.is_null()) out.push_back(moved(one, "spec.template", cel));
    }
    if (!cron_jobs) continue;
    const Value inner = shifted_rule(rule, {"autogen", "template", "spec/template", true}, {"CronJob"});
    if (inner.is_null()) continue;
    Value cron =
        shifted_rule(inner, {"autogen-cronjob", "jobTemplate", "spec/jobTemplate/spec/template", false}, {"CronJob"});
    if (cron.is_null()) continue;
    cron.set("name", ("autogen-cronjob-" + rule["name"].str()).substr(0, kNameMax));
    out.push_back(moved(cron, "spec.jobTemplate.spec.template", cel));
  }
  return out;
}

}  // namespace caisson::policy
