// SPDX-License-Identifier: Apache-2.0
// Params: what a spec declares, what a run gives, and the scope that follows. Pure; any thread.
// Source: tektoncd/pipeline v1, docs/tasks.md and docs/pipelines.md, "Specifying Parameters".
#pragma once
#include <string_view>

#include "core/base/result.h"
#include "delivery/pipeline/substitute.h"

namespace caisson::pipeline {

// Adds "params.NAME" to `scope` for each declared param (its default, or what `given` says) and, unless `strict`, for
// what is given beyond. Errors: invalid for a missing value, a value of another type, a missing key of an object, a
// value outside `enum`.
Result<void> add_params(Scope& scope, const Value& declared, const Value& given, bool extra_allowed = true);

// Every reference to params in `document` that neither `scope` nor `declared_elsewhere` knows. Errors: invalid, naming
// the first.
Result<void> check_references(const Value& document, const Scope& scope, std::string_view prefix,
                              std::string_view what);

// One when expression with its variables replaced: input, operator in or notin, values. Errors: invalid for another
// operator, or `cel`.
Result<bool> when_holds(const Value& when);

// A result as its file says it: text, or JSON for lists and objects. Errors: bad_request.
Result<Value> parse_result(std::string_view type, const std::string& text);

}  // namespace caisson::pipeline
