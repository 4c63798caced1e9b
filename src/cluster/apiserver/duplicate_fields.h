// SPDX-License-Identifier: Apache-2.0
// Members that a body has twice. Parsers keep the last; fieldValidation Warn and Strict tell of them, in the words of
// sigs.k8s.io/json and sigs.k8s.io/yaml. Pure; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/document/value.h"

namespace caisson::apiserver {

// 'duplicate field "spec.containers[0].name"', each once, in order. Of a body that is no JSON: what stands before the
// mistake. `parsed`: what the parser made of it, or null; it has as many members as a text without duplicates.
std::vector<std::string> duplicate_json_fields(std::string_view text, const Value& parsed = {});
// 'line 4: key "a" already set in map'.
std::vector<std::string> duplicate_yaml_keys(std::string_view text);

}  // namespace caisson::apiserver
