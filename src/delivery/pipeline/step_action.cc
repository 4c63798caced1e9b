// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/step_action.h"

#include <algorithm>

#include "delivery/pipeline/params.h"
#include "delivery/pipeline/substitute.h"
#include "delivery/pipeline/task_spec.h"

namespace caisson::pipeline {
namespace {

constexpr std::string_view kOfTheAction[] = {"image",   "command",         "args",        "script", "env",
                                             "results", "securityContext", "volumeMounts"};

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

// What a param refers to when its value is the result of an earlier step, which only the node will know:
// "steps.a.results.b".
std::string deferred(const Value& value) {
  std::string_view text = value.as_string();
  if (step_result_reference(text).step.empty() || text.find("$(", 2) != std::string_view::npos || !text.ends_with(")"))
    return {};
  text = text.substr(2, text.size() - 3);
  if (text.ends_with("[*]")) text.remove_suffix(3);
  return std::string(text);
}

// An object param that is given something else takes its default, as upstream does.
bool is_no_object(const Value& given, const Value& declared) {
  return std::any_of(declared.items().begin(), declared.items().end(), [&](const Value& one) {
    return one["name"] == given["name"] && one["type"].as_string() == "object" && !one["default"].is_null() &&
           !given["value"].is_map();
  });
}

Result<Value> action_of(const Value& step, const Value& action) {
  Value body = action, declared = Value::list(), given = Value::list();
  for (const Value& param : action["params"].items()) {
    const std::string name = param["name"].str();
    std::string later;
    for (const Value& one : step["params"].items()) {
      if (one["name"].as_string() == name) later = deferred(one["value"]);
    }
    if (later.empty())
      declared.push_back(param);
    else
      body = rename_references(body, "params." + name, later);
  }
  for (const Value& param : step["params"].items()) {
    const bool known = std::any_of(action["params"].items().begin(), action["params"].items().end(),
                                   [&](const Value& one) { return one["name"] == param["name"]; });
    if (!known) return invalid("the StepAction has no param \"" + param["name"].str() + "\"");
    if (deferred(param["value"]).empty() && !is_no_object(param, action["params"])) given.push_back(param);
  }
  Scope scope;
  TRY(add_params(scope, declared, given));
  body.erase("params");
  body.erase("description");
  TRY(check_references(body, scope, "params.", "StepAction " + step["ref"]["name"].str()));
  return substitute(body, scope);
}

Result<Value> follow_reference(const Value& step, const FindStepAction& find) {
  const Value& reference = step["ref"];
  for (const std::string_view field : kOfTheAction) {
    if (step.contains(field)) return invalid(std::string(field) + " cannot be used with ref: the StepAction says it");
  }
  const Value action = TRY(find(reference));
  const Value body = TRY(action_of(step, action).in("StepAction " + reference["name"].str()));
  Value out = step;
  out.erase("ref");
  out.erase("params");
  for (const auto& entry : body.entries()) {
    if (!out.contains(entry.key)) out.set(entry.key, entry.value);  // the step's own workingDir wins
  }
  return out;
}

Scope paths_of(const Value& step, const std::string& container) {
  const std::string directory = std::string(kStepsDirectory) + "/" + container;
  Scope scope;
  scope.set("step.exitCode.path", directory + "/exitCode");
  for (const Value& result : step["results"].items())
    scope.set("step.results." + result["name"].str() + ".path", directory + "/results/" + result["name"].str());
  return scope;
}

// A step's results may be used by those after it.
Result<void> check_results_used(const Value& steps, std::size_t index) {
  for (const std::string& reference : references(steps[index])) {
    const StepResultReference used = step_result_reference("$(" + reference + ")");
    if (used.step.empty()) continue;
    bool found = false;
    for (std::size_t before = 0; before < index && !found; ++before) {
      const Value& step = steps[before];
      found = step_container(step, before) == "step-" + used.step &&
              std::any_of(step["results"].items().begin(), step["results"].items().end(),
                          [&](const Value& result) { return result["name"].as_string() == used.result; });
    }
    if (!found)
      return invalid("$(" + reference + "): no step before it is called " + used.step + " and has a result " +
                     used.result);
  }
  return {};
}

}  // namespace

StepResultReference step_result_reference(std::string_view text) {
  constexpr std::string_view kBegin = "$(steps.", kMiddle = ".results.";
  if (!text.starts_with(kBegin)) return {};
  text.remove_prefix(kBegin.size());
  const auto middle = text.find(kMiddle), end = text.find_first_of(".[)", middle + kMiddle.size());
  if (middle == std::string_view::npos || end == std::string_view::npos) return {};
  return {std::string(text.substr(0, middle)),
          std::string(text.substr(middle + kMiddle.size(), end - middle - kMiddle.size()))};
}

Result<Value> resolve_steps(const Value& spec, const FindStepAction& find) {
  Value steps = spec["steps"];
  Scope exit_codes;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const std::string container = step_container(steps[i], i), where = container.substr(5);
    exit_codes.set("steps." + where + ".exitCode.path", std::string(kStepsDirectory) + "/" + container + "/exitCode");
    exit_codes.set("steps." + container + ".exitCode.path",
                   std::string(kStepsDirectory) + "/" + container + "/exitCode");
  }
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const std::string container = step_container(steps[i], i), where = "step " + container.substr(5);
    Value step = steps[i];
    if (step.contains("ref")) step = TRY(follow_reference(step, find).in(where));
    step = TRY(substitute(step, paths_of(step, container)));
    steps.edit(i) = TRY(substitute(step, exit_codes));
    TRY(check_results_used(steps, i).in(where));
  }
  Value out = spec;
  out.set("steps", steps);
  return out;
}

}  // namespace caisson::pipeline
