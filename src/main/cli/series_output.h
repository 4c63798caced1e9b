// SPDX-License-Identifier: Apache-2.0
// Series in a terminal: what `promql` and `logs -q` have in common.
#pragma once
#include <cstdint>
#include <string>

#include "main/cli/session.h"

namespace caisson::cli {

std::string series_text(const Value& metric);  // up{job="x"}
// The data of an instant query's answer, as a table.
void print_instant(const Value& data);
// How many points a graph has in this terminal.
std::size_t graph_points();
// The data of a range query's answer, as a graph. Times are milliseconds.
void print_graph(const Value& data, std::int64_t start, std::int64_t step, std::size_t points);
// A time, or how long ago ("1h"), in milliseconds. Errors: bad_request.
Result<std::int64_t> time_of(const std::string& text, std::int64_t now);

}  // namespace caisson::cli
