// SPDX-License-Identifier: Apache-2.0
// The matrix of a pipeline task: one run for each combination of values. Pure; any thread. Internal to the room.
// Source: tektoncd/pipeline v1, docs/matrix.md.
#pragma once
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::pipeline {

// The params (a list of {name, value}) that each run gets beside the task's own, in upstream's order: the first param
// of the matrix changes fastest; then what `include` adds. `matrix` has its variables replaced. None when a param's
// list is empty. Errors: invalid for values that are no list, and for more than 256 combinations (upstream's default
// limit).
Result<std::vector<Value>> matrix_combinations(const Value& matrix);

}  // namespace caisson::pipeline
