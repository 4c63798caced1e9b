// SPDX-License-Identifier: Apache-2.0
// Numbers, durations and strings as Prometheus (that is, Go) writes and reads them. Pure functions; any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::metrics {

std::string quote(std::string_view text);                 // strconv.Quote
Result<std::string> unquote(std::string_view text);       // "…", '…' or `…`, with Go's escapes
std::string format_fixed(double value);                   // 'f', shortest: 0.1, 1000000, +Inf, NaN
std::string format_general(double value);                 // %g, shortest: 0.1, 1e+06
std::string format_general(double value, int precision);  // %.3g
std::string format_scientific(double value);              // 'e', shortest: 1e+00, 1.5e-01
std::string format_sample(double value);                  // a value in the HTTP API: fixed between 1e-6 and 1e21
std::string format_open_metrics(double value);            // 1.0, 0.5, +Inf: values of le and quantile labels

// Whole text. Accepts what Go's ParseFloat does: Inf, NaN, hexadecimal, underscores between digits.
std::optional<double> parse_float(std::string_view text);
// As in a query: 0x1F, 0b1, 0o7, 1_000 and floats.
std::optional<double> parse_number(std::string_view text);

// 1h30m: units y, w, d, h, m, s, ms in this order. In milliseconds; years and weeks only where they are whole.
std::string format_duration(std::int64_t milliseconds);
// Errors: bad_request.
Result<std::int64_t> parse_duration(std::string_view text);

std::string format_rfc3339(std::int64_t milliseconds);  // UTC, whole seconds

}  // namespace caisson::metrics
