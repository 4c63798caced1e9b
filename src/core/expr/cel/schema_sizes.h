// SPDX-License-Identifier: Apache-2.0
// How much a place of a structural schema can hold in a request of at most 3 MiB, for estimates of costs. Follows
// Kubernetes 1.33, pkg/cel/common/schemas.go. Pure; any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/document/value.h"

namespace caisson::cel {

inline constexpr std::uint64_t kRequestBytesMax = 3u << 20;

// Characters, items or entries; 0 for what has none, as numbers.
std::uint64_t elements_max(const document::Value& schema);
// The least that a value of the schema takes in JSON.
std::uint64_t bytes_min(const document::Value& schema);
// elements_max of the place below `schema`: names as expressions write them, "@items", "@keys", "@values". Nothing when
// there is none.
std::optional<std::uint64_t> elements_max_at(const document::Value& schema, std::span<const std::string> path);

}  // namespace caisson::cel
