// SPDX-License-Identifier: Apache-2.0
// Why a rule speaks of an object or does not, and how it came to its result: each filter, each context entry, each
// condition with the values that it saw, each element of a loop, where a pattern failed. For people
// (`caisson policy explain`); what decides is the engine itself, asked at the end. One thread.
#pragma once
#include <string>
#include <vector>

#include "security/policy/cel_policy.h"
#include "security/policy/engine.h"

namespace caisson::policy {

struct ExplainedLine {
  int depth = 0;
  enum class Mark { none, good, bad } mark = Mark::none;
  std::string text;
};
using Explanation = std::vector<ExplainedLine>;

// Of every rule; `only_rule` not empty: of that one.
Explanation explain(const Engine& engine, const Policy& policy, const Request& request, const Lookups& lookups,
                    const Engine::Exceptions& exceptions, const std::string& only_rule);
Explanation explain(const CelPolicy& policy, const Request& request, const Value& namespace_object,
                    const Lookups& lookups);

}  // namespace caisson::policy
