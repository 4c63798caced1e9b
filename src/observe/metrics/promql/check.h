// SPDX-License-Identifier: Apache-2.0
// Types and rules that the grammar does not express. Changes the tree where a default depends on types (set operators
// match many to many).
#pragma once
#include <string_view>

#include "core/base/result.h"
#include "observe/metrics/promql/ast.h"

namespace caisson::metrics::promql {

// Errors: bad_request, the first violation, with its place in `query`.
Result<void> check(Expr& expr, std::string_view query);

}  // namespace caisson::metrics::promql
