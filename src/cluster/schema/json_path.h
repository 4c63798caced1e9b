// SPDX-License-Identifier: Apache-2.0
// The part of JSONPath that printer columns use (k8s.io/client-go/util/jsonpath): ".a.b", ".a[0]", ".a[*]",
// ".a['x.y']",
// ".a[?(@.type==\"Ready\")].status". Pure; any thread. Internal to the room.
#pragma once
#include <string_view>
#include <vector>

#include "core/document/value.h"

namespace caisson::schema {

// What the path leads to, in order; empty when nothing, or when the path is malformed.
std::vector<Value> json_path(const Value& object, std::string_view path);

}  // namespace caisson::schema
