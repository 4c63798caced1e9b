// SPDX-License-Identifier: Apache-2.0
// Lua, sandboxed: what argocd-cm's resource.customizations bring (health, actions), and this room's own health rules.
// A script sees base, string, table and math, os.time/date/difftime/clock, and what it is given; it can't load code,
// open files or end the process. Follows Argo CD's embedding (Lua 5.1 there, 5.4 here, with `unpack` and `math.pow`
// kept), docs/operator-manual/health.md and resource_actions.md of Argo CD 3.0.
// Limits: memory, instructions and time; a pattern match is one instruction, so its cost is bounded by the size of the
// object alone. Threads: run_script from any; a LuaState by one at a time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::gitops {

struct ScriptLimits {
  std::size_t memory_bytes_max = 32u << 20;
  std::uint64_t instructions_max = 20'000'000;
  Duration time_max = std::chrono::seconds(1);
};

// Runs `source` with the global `obj` and gives what it returns. Empty tables come back as the kind (list or map) that
// the same place of `object` has, otherwise as a map. Errors: invalid with Lua's message and line, timeout,
// too_large.
Result<Value> run_script(std::string_view source, std::string_view name, const Value& object, ScriptLimits limits = {});

// A state that keeps what its chunks defined. After an error it may go on being used.
class LuaState {
 public:
  static Result<LuaState> open(ScriptLimits limits = {});
  LuaState(LuaState&&) noexcept;
  LuaState& operator=(LuaState&&) noexcept;
  ~LuaState();

  Result<void> run(std::string_view source, std::string_view name);
  // Calls the global function and gives its results, `count` of them (nil reads as null).
  Result<std::vector<Value>> call(const char* function, const std::vector<Value>& arguments, int count);

 private:
  friend Result<Value> run_script(std::string_view, std::string_view, const Value&, ScriptLimits);
  struct Impl;  // lua_State and its accounting: script.cc
  explicit LuaState(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::gitops
