// SPDX-License-Identifier: Apache-2.0
// What a plain scalar means. go: as go-yaml v3 resolves it; specification: YAML 1.2.2's core schema.
#pragma once
#include <string>
#include <string_view>

#include "core/document/value.h"
#include "core/document/yaml.h"

namespace caisson::yaml {

// Whether every reader takes the text, unquoted, for a string: quick, and false for some that are strings, too.
bool is_surely_text(std::string_view text);
Value resolve_plain(std::string_view text, Mode mode, bool old_booleans = false);
// A whole number without a sign that is above int64 and fits uint64, which a Value holds as a floating one, as digits;
// empty: `source` is none.
std::string unsigned_digits(std::string_view source);
// A plain date or time as RFC 3339 text; empty when it is none.
std::string expanded_timestamp(std::string_view text);
// Whether go-yaml v2, v3 or an older reader would take the text, unquoted, for something else than this string.
bool reads_as_other(std::string_view text);

}  // namespace caisson::yaml
