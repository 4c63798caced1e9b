// SPDX-License-Identifier: Apache-2.0
// JSON as Go's encoding/json reads and writes it, messages included. Pure functions; any thread.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/expr/go_template/datum.h"

namespace caisson::go_template {

enum class JsonStyle {
  escaped,  // json.Marshal: <, > and & as \u003c …
  raw,      // without that
  pretty,   // json.MarshalIndent with two blanks
};
// Errors: invalid, for what JSON can't hold ("json: unsupported value: NaN").
Result<std::string> json_text(const Datum& datum, JsonStyle style);

// json.Unmarshal into interface {}: every number a float. Errors: invalid, in Go's words ("unexpected end of JSON
// input", "invalid character '}' looking for beginning of value").
Result<Value> parse_json(std::string_view text);

}  // namespace caisson::go_template
