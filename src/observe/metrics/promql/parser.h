// SPDX-License-Identifier: Apache-2.0
// From text to tree and back. Language: PromQL of Prometheus 3.16 with the experimental functions, fill modifiers,
// duration expressions and the anchored and smoothed modifiers. Pure functions; any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "observe/metrics/promql/ast.h"

namespace caisson::metrics::promql {

struct ParseOptions {
  std::size_t size_bytes_max = 1 << 20;
  int depth_max = 200;
};

// Errors: bad_request with upstream's text: 1:5: parse error: unexpected "," in aggregation.
Result<ExprPtr> parse(std::string_view query, const ParseOptions& options = {});
// A selector alone, as in match[]=; it may match everything. Errors as above.
Result<std::vector<Matcher>> parse_selector(std::string_view text);
// up{job="x"}: labels, not matchers. What follows the series stays in `rest`.
Result<Labels> parse_metric(std::string_view text, std::string_view* rest = nullptr);

std::string print(const Expr& expr);   // on one line
std::string pretty(const Expr& expr);  // split into lines where it is longer than 100 characters

struct Function {
  std::string_view name;
  ValueType result;
  ValueType args[5];
  std::uint8_t arg_count;  // of `args` that count
  std::int8_t variadic;    // 0: exactly arg_count; n: the last may be absent or come up to n times; -1: any number
  bool experimental;
};
const Function* find_function(std::string_view name);

}  // namespace caisson::metrics::promql
