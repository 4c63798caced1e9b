// SPDX-License-Identifier: Apache-2.0
// Defaults that depend on other fields of the same object, by type. Follows Kubernetes 1.33's
// pkg/apis/*/v1/defaults.go. Internal.
#pragma once
#include <optional>
#include <string_view>

#include "core/document/value.h"

namespace caisson::schema {

// `before` is the object as it came, `out` (when set) the one with the plain defaults filled.
using Derive = void (*)(const Value& before, std::optional<Value>& out);
Derive find_derive(std::string_view type);  // "core.v1.Container"; nullptr: none

}  // namespace caisson::schema
