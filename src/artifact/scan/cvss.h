// SPDX-License-Identifier: Apache-2.0
// How bad a vulnerability is. Sources: CVSS v3.1 specification, sections 5 (ratings) and 7.1 (base score), which v3.0
// shares but for rounding; CVSS v2.0 section 3.2.1. Temporal and environmental metrics are read over. Pure functions;
// any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/result.h"

namespace caisson::scan {

enum class Severity : std::uint8_t { unknown, none, low, medium, high, critical };
std::string_view severity_name(Severity severity);              // "CRITICAL"
std::optional<Severity> parse_severity(std::string_view text);  // any case; "moderate" is medium, "important" is high
Severity severity_of_score(double score);                       // 9.0 and above: critical

// "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" is 9.8; without a prefix the vector is one of version 2.
// Errors: invalid, which names the metric that is missing or wrong; version 4 is refused by name.
Result<double> cvss_base_score(std::string_view vector);

}  // namespace caisson::scan
