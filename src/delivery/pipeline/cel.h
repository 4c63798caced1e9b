// SPDX-License-Identifier: Apache-2.0
// The part of the Common Expression Language that trigger filters use: literals, lists, member access, ==, !=, <, <=,
// >, >=, in, &&, ||, !,
// ?:, +, and the functions startsWith, endsWith, contains, size, split, truncate, lowerAscii, upperAscii, has,
// header.match and header.canonical. Anything else is refused by its name. Pure; any thread. Source: cel-spec v0.24;
// tektoncd/triggers v0.30 docs/cel_expressions.md.
#pragma once
#include <string_view>

#include "core/base/result.h"
#include "core/document/value.h"
#include "core/http/message.h"

namespace caisson::pipeline {

struct CelInput {
  Value body, extensions;
  http::Headers headers;
};

// Errors: bad_request with the position, for syntax, unknown names and functions, absent fields and types that don't
// fit.
Result<Value> evaluate_cel(std::string_view expression, const CelInput& input);
// A filter: the expression must be a boolean.
Result<bool> cel_holds(std::string_view expression, const CelInput& input);

}  // namespace caisson::pipeline
