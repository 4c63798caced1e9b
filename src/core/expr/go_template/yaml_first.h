// SPDX-License-Identifier: Apache-2.0
// YAML as sigs.k8s.io/yaml unmarshals it, for templates and charts. Pure; any thread.
#pragma once
#include <string_view>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::go_template {

// The first document of a stream; null when there is none. YAML 1.1's booleans, the last of duplicate keys. Nothing
// behind the document is looked at, not even whether it is YAML. Errors in go-yaml's words: "yaml: line 4: …".
Result<Value> read_first_yaml(std::string_view text);

}  // namespace caisson::go_template
