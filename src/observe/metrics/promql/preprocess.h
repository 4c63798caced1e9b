// SPDX-License-Identifier: Apache-2.0
// Between parsing and evaluation: start(), end(), range() and step() become numbers, duration expressions become
// durations, @ start() and @ end() become timestamps, and what gives the same at every step is wrapped to be evaluated
// once.
#pragma once
#include "core/base/result.h"
#include "observe/metrics/promql/ast.h"

namespace caisson::metrics::promql {

// Errors: bad_request for a duration that is not positive or out of range.
Result<void> preprocess(ExprPtr& expr, std::int64_t start, std::int64_t end, std::int64_t step);

// The time that the selectors of `expr` are about, when all agree: what info() looks its series up at.
struct TimeReference {
  std::optional<std::int64_t> timestamp;
  std::int64_t offset_ms = 0;
  bool uniform = false;
};
TimeReference time_reference(Expr& expr);

}  // namespace caisson::metrics::promql
