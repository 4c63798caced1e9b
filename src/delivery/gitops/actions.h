// SPDX-License-Identifier: Apache-2.0
// Actions on a live object: restart, scale, pause, resume, promote …, and those that argocd-cm brings in Lua. Follows
// Argo CD 3.0 docs/operator-manual/resource_actions.md and resource_actions_builtin.md. Pure; any thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"
#include "delivery/gitops/settings.h"

namespace caisson::gitops {

struct Action {
  std::string name;
  bool disabled = false;
};
std::vector<Action> actions_of(const Value& object, const Settings& settings);

struct ActionResult {
  enum class Verb { create, patch } verb = Verb::patch;
  Value object;  // as it is to be
};
// `parameters` such as {"replicas": "3"}. Errors: not_found for an action that the kind does not have; invalid in the
// script's words.
Result<std::vector<ActionResult>> run_action(const Value& object, const Settings& settings, const std::string& name,
                                             const Value& parameters, Time now);

}  // namespace caisson::gitops
