// SPDX-License-Identifier: Apache-2.0
// Number, character and complex constants of a template. Any thread.
#pragma once
#include "core/base/result.h"
#include "core/expr/go_template/lexer.h"
#include "core/expr/go_template/tree.h"

namespace caisson::go_template {

// Fills `node` with every form the constant has. Errors: bad_request with Go's words ("illegal number syntax: \"1_\"").
Result<void> read_number(const Token& token, NumberNode& node);

}  // namespace caisson::go_template
