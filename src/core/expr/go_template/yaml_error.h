// SPDX-License-Identifier: Apache-2.0
// Errors of the YAML reader in go-yaml's words, which templates print (`fromYaml`) and people search for. Pure; any
// thread.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::go_template {

// "yaml: line 4: did not find expected key". What go-yaml has no words for keeps ours, with its line. `document`: what
// was read; without it, lines of what ends too early may be named otherwise.
std::string go_yaml_error(const Error& error, std::string_view document = {});

}  // namespace caisson::go_template
