// SPDX-License-Identifier: Apache-2.0
// LogQL as text and as a tree. Follows Loki 3.7, its messages included; nesting is bounded. Pure functions.
#pragma once
#include "observe/logs/logql/ast.h"

namespace caisson::logs::logql {

// Errors: bad_request "parse error at line 1, col 5: syntax error: unexpected IDENTIFIER".
Result<ExprPtr> parse(std::string_view text);
// {app="shop"} |= "x": no metric. Errors: as parse.
Result<Selector> parse_log_selector(std::string_view text);
// {app="shop"} and nothing else: matchers of series, labels, deletions.
Result<std::vector<Matcher>> parse_matchers(std::string_view text);
// The label set that a push writes so: {app="shop", env="dev"}. Errors: bad_request.
Result<metrics::Labels> parse_stream_labels(std::string_view text);

// On one line; parses to the same tree.
std::string print(const Expr& expr);
std::string pretty(const Expr& expr);  // on several lines where one would be longer than 100 characters
std::string print(const Selector& selector);
std::string print(const LabelFilter& filter);

}  // namespace caisson::logs::logql
