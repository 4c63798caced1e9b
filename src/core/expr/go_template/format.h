// SPDX-License-Identifier: Apache-2.0
// Go's package fmt over Datum: every verb and flag of Go 1.26, and its complaints ("%!d(string=x)"). Pure functions;
// any thread.
//
// Errors of all: invalid, for data deeper than kFormatDepthMax levels (a dict that holds itself).
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/expr/go_template/datum.h"

namespace caisson::go_template {

inline constexpr int kFormatDepthMax = 500;

Result<std::string> sprintf(std::string_view format, std::span<const Datum> arguments);
Result<std::string> sprint(std::span<const Datum> arguments);    // a space between two that are no strings
Result<std::string> sprintln(std::span<const Datum> arguments);  // a space between all, and a newline
// As %v. A nil is "<nil>".
Result<std::string> to_text(const Datum& datum);
// Appends what the action {{x}} prints: as %v, but "<no value>" for an untyped nil.
Result<void> append_printed(std::string& out, const Datum& datum);

}  // namespace caisson::go_template
