// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/health_rules.h"

#include <unordered_set>

#include "delivery/gitops/script.h"

namespace caisson::gitops {
namespace {

Result<LuaState> load_rules() {
  LuaState state = TRY(LuaState::open());
  for (const EmbeddedText& file : health_rule_texts()) TRY(state.run(file.text, file.name));
  return state;
}

struct Rules {
  Rules() {
    auto loaded = load_rules();
    if (loaded.ok())
      state = std::move(loaded).value();
    else
      error = loaded.error().message;
  }
  std::optional<LuaState> state;
  std::string error;                        // why there is none
  std::unordered_set<std::string> without;  // kinds that have no rule: most, and asked often
};

}  // namespace

std::optional<Health> health_by_rule(std::string_view name, const Value& object) {
  static thread_local Rules rules;
  const std::string key(name);
  if (rules.without.contains(key)) return std::nullopt;
  if (!rules.state) return Health{HealthCode::unknown, rules.error};
  auto answer = rules.state->call("evaluate", {Value(name), object}, 3);
  if (!answer.ok()) return Health{HealthCode::unknown, answer.error().message};
  if (!(*answer)[0].as_bool()) {
    rules.without.insert(key);
    return std::nullopt;
  }
  const auto code = parse_health((*answer)[1].as_string());
  return Health{code.value_or(HealthCode::unknown), (*answer)[2].scalar_text()};
}

}  // namespace caisson::gitops
