// SPDX-License-Identifier: Apache-2.0
// Functions that templates call: how they are declared, and the tables of those that are built in.
//
// A table is a constexpr array sorted by name, so that the program's start pays nothing for it. A function is a pure
// function of its arguments and of what its Execution holds (clock, host); several threads may call one at once.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/expr/go_template/datum.h"

namespace caisson::go_template {

class Execution;
class Host;

// One call. The arguments already have the types that `parameters` asks for.
struct Call {
  Execution& execution;
  std::string_view name;  // of the function or method
  std::span<const Datum> arguments;
  const Datum* receiver = nullptr;  // of a method

  std::size_t size() const { return arguments.size(); }
  const Datum& operator[](std::size_t index) const { return arguments[index]; }
  std::string_view text(std::size_t index) const { return arguments[index].as_string(); }
  Host* host() const;  // what the Execution was given
};

// `parameters` has a letter for each parameter, and ends with '*' when the last one is variadic:
//   a interface {}   s string   b bool   i int   I int64   u uint32   f float64   m map[string]interface {}   l
//   []interface {} S []string   V *semver.Version   t time.Time   c a certificate of genCA   v reflect.Value (takes
//   anything; a nil interface stays one)
// An argument of another type is refused with Go's words before the call ("wrong type for value; expected string; got
// float64"), and so is a wrong number ("wrong number of args for trunc: want 2 got 1").
// An Error that `call` returns is shown as `error calling NAME: MESSAGE`; what it returns as Datum() is an untyped nil.
struct Function {
  std::string_view name;
  std::string_view parameters;
  Result<Datum> (*call)(Call&);
};
using FunctionTable = std::span<const Function>;

// Of one table, by binary search; nullptr when absent.
const Function* find_function(FunctionTable table, std::string_view name);

FunctionTable go_functions();  // text/template: and, or, not, eq …, index, slice, len, call, print*, html, js, urlquery
FunctionTable sprig_functions();  // Sprig 3.3.0's TxtFuncMap without env and expandenv, and without getHostByName
// Helm 3.22's that need nothing but values: toYaml, toYamlPretty, fromYaml, fromYamlArray, toJson, fromJson,
// fromJsonArray, toToml, fromToml, required, fail. (include, tpl, lookup and getHostByName are their caller's: see
// Execution::include and Execution::expand.)
FunctionTable helm_functions();

// `required` and `fail` put the chart author's message between these, as Helm does, so that the caller can find it in
// an error text of many levels and show only it.
inline constexpr std::string_view kAuthorMessageStart = "HELM_ERR_START";
inline constexpr std::string_view kAuthorMessageEnd = "HELM_ERR_END";

}  // namespace caisson::go_template
