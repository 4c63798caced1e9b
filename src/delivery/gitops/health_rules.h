// SPDX-License-Identifier: Apache-2.0
// Health of the kinds that other projects bring: rules in Lua, health/*.lua, built into the program. One rule for a
// kind, or for a pattern of kinds. Threads: any; each thread that asks keeps its own Lua state (some 300 kB).
#pragma once
#include <optional>
#include <span>
#include <string_view>

#include "core/base/result.h"
#include "delivery/gitops/health.h"

namespace caisson::gitops {

struct EmbeddedText {
  std::string_view name, text;
};
std::span<const EmbeddedText> health_rule_texts();

// nullopt: no rule for "group/Kind". A rule that fails gives Unknown with what went wrong.
std::optional<Health> health_by_rule(std::string_view name, const Value& object);

}  // namespace caisson::gitops
