// SPDX-License-Identifier: Apache-2.0
// What parser and evaluator share: arithmetic, and whether the texts inside a query are well formed. Pure functions.
#pragma once
#include "observe/logs/logql/ast.h"

namespace caisson::logs::logql {

bool is_comparison(Tok op);
// A comparison gives 1 or 0. Division by zero gives NaN, as in Loki.
double fold(Tok op, double a, double b);

// Errors: bad_request with what is wrong.
Result<void> check_line_filter(const LineFilter& filter);
Result<void> check_parser(const Parser& parser);
Result<void> check_template(std::string_view name, std::string_view text);  // name: in messages
Result<void> check_ip(std::string_view text);

}  // namespace caisson::logs::logql
