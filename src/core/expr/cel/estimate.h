// SPDX-License-Identifier: Apache-2.0
// What a program may cost, before it runs: cel-go 0.23's checker/cost.go with Kubernetes' costs of its libraries
// (pkg/cel/library/cost.go). Saturates at 2^64-1. Pure; any thread.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "core/expr/cel/cel.h"

namespace caisson::cel {

// From the least to the most.
struct Estimate {
  std::uint64_t min = 0, max = 0;
  bool operator==(const Estimate&) const = default;
};

// The most that a place may hold: characters, bytes, items or entries; 0 for what has none. `path` begins with a
// variable's name; "@items", "@keys" and "@values" are what lists and maps hold. Nothing: not known.
using SizeOf = std::function<std::optional<std::uint64_t>(std::span<const std::string> path)>;

// REQUIRES a program that was compiled with types.
Estimate estimate_cost(const Program& program, const SizeOf& size_of);

}  // namespace caisson::cel
