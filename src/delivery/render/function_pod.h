// SPDX-License-Identifier: Apache-2.0
// A KRM function's container as a Pod: the objects that its caller creates, attaches to and removes. Pure. What Docker
// is told for one by kyaml v0.21 (fn/runtime/container) in the words of a Pod: standard input open for one attachment,
// user nobody, no new privileges, no network unless it was allowed, nothing of the machine but the mounts named.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/document/value.h"
#include "delivery/render/functions.h"

namespace caisson::render {

inline constexpr std::string_view kFunctionContainer = "function";
inline constexpr std::string_view kFunctionLabel = "caisson.dev/krm-function";  // its value: the Pod's name

// "type=bind,src=/data,dst=/in,rw=true"; also source, and destination or target. Read-only unless rw=true. `bind` is a
// path of the machine that the platform runs on, `tmpfs` a memory of its own, `volume` a PersistentVolumeClaim's name.
// Errors: bad_request.
Result<FunctionMount> parse_function_mount(std::string_view text);

struct FunctionPodOptions {
  std::string name;  // of the objects
  bool network_allowed = false;
  std::vector<FunctionMount> mounts;                            // that the caller allows; all of them are mounted
  std::vector<std::pair<std::string, std::string>> env;         // the function's own and the caller's
  std::optional<std::pair<std::uint32_t, std::uint32_t>> user;  // uid and gid; nobody's when not set
  int seconds_max = 300;
};

struct FunctionPod {
  Value pod;
  Value network_policy;  // lets nothing in or out, to be created first; null: the network is allowed
};

// Errors: forbidden when the function wants the network, or a mount, that the caller did not allow.
Result<FunctionPod> function_pod(const FunctionCall& call, const FunctionPodOptions& options);

}  // namespace caisson::render
