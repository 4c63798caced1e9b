// SPDX-License-Identifier: Apache-2.0
// Tokens to a tree, by binding powers. Internal to this folder.
#pragma once
#include <string_view>

#include "core/base/result.h"
#include "core/expr/jmespath/ast.h"
#include "core/expr/jmespath/jmespath.h"

namespace caisson::jmespath {

inline constexpr std::size_t kExpressionBytesMax = 64u << 10;
inline constexpr std::uint32_t kDepthMax = 500;

// Errors: syntax, unknown-function, invalid-arity.
Result<Tree> parse(std::string_view text, Dialect dialect);

}  // namespace caisson::jmespath
