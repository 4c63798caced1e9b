// SPDX-License-Identifier: Apache-2.0
// The paths that a jq expression names in a document: ".spec.template.spec.containers[] | select(.name == \"web\")
// .image". libjq 1.6, opened on first use. Expressions that could run without end (def, recurse with arguments, repeat,
// while, until, range, limit …) and those that read the environment are refused, so that every one ends. Threads: any;
// each keeps its own compiled expressions.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::gitops {

// Each path is a list of map keys (strings) and list positions (whole numbers). Errors: invalid with jq's words;
// unavailable where libjq.so.1 is not installed.
Result<std::vector<std::vector<Value>>> jq_paths(const std::string& expression, const Value& document);

}  // namespace caisson::gitops
