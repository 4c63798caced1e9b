// SPDX-License-Identifier: Apache-2.0
// Errors of the YAML reader in go-yaml's words, which templates print (`fromYaml`) and people search for. Pure; any
// thread.
#pragma once
#include <string>

#include "core/base/result.h"

namespace caisson::go_template {

// "yaml: line 4: did not find expected key". What go-yaml has no words for keeps ours, with its line.
std::string go_yaml_error(const Error& error);

}  // namespace caisson::go_template
