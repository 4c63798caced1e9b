// SPDX-License-Identifier: Apache-2.0
// What Environment and Program are made of; for the files of this folder.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/expr/cel/ast.h"
#include "core/expr/cel/cel.h"
#include "core/expr/cel/source.h"

namespace caisson::cel {

struct Overload {
  std::string function;  // "startsWith", "math.abs", "_+_"
  bool member = false;
  std::vector<Type> parameters;
  Type result;
  Function::Call call;
  Function::Cost cost = nullptr;
  bool cost_by_name = false;  // counts also where the overload is known only at run time (Kubernetes' estimator)
};

// A function of a library, as its table writes it.
struct Declaration {
  std::string_view signature;
  Result<Value> (*call)(std::span<const Value> arguments) = nullptr;
  Function::Cost cost = nullptr;
  bool cost_by_name = true;
};

// A parsed `Function::signature`; CHECKs its form.
Overload parse_signature(std::string_view signature);

using FunctionTable = std::map<std::string, std::vector<Overload>, std::less<>>;

struct Environment::Impl {
  EnvironmentOptions options;
  FunctionTable functions;

  const std::vector<Overload>* find_function(std::string_view name) const;
  // Names to try, the innermost container first; ".x" gives only "x".
  std::vector<std::string> candidates(std::string_view name) const;
};

struct Program::Impl {
  std::shared_ptr<const Environment::Impl> environment;
  std::string text;
  NodePtr root;
  Type result;
  std::vector<std::string> variables;  // that it reads, by slot
  std::uint32_t locals = 0;
};

// Settles names: variables, locals, constants, types, functions of namespaces; fills the slots of `program`.
void resolve(Program::Impl& program);
// Gives every node its type and every call its overloads. Needs resolve() before.
void check(Program::Impl& program, Findings& findings);
// Precomputes constant lists, maps and conversions, as cel-go's optimizer does.
void fold_constants(Node& node);

Outcome evaluate(const Program::Impl& program, const Bindings& bindings, const Limits& limits);

// True when the argument's kind is one that the parameter takes; parameters of lists are not looked into.
bool accepts(const Type& parameter, const Value& argument);

inline Error bad(std::string message) {
  return {ErrorCode::bad_request, std::move(message)};
}
inline Error no_such_overload() {
  return bad("no such overload");
}

// --- the libraries
std::span<const Declaration> standard_operators();
std::span<const Declaration> standard_functions();
std::span<const Declaration> time_functions();
std::span<const Declaration> optional_functions();
std::span<const Declaration> string_functions();
std::span<const Declaration> string_reverse_functions();
std::span<const Declaration> math_functions();
std::span<const Declaration> list_functions();
std::span<const Declaration> set_functions();
std::span<const Declaration> encoder_functions();
std::span<const Declaration> map_functions();
std::span<const Declaration> kubernetes_list_functions();
std::span<const Declaration> regex_functions();
std::span<const Declaration> url_functions();
std::span<const Declaration> quantity_functions();
std::span<const Declaration> ip_functions();
std::span<const Declaration> cidr_functions();
std::span<const Declaration> format_functions();
std::span<const Declaration> semver_functions();
std::span<const Declaration> authorizer_functions();
std::span<const Declaration> authorizer_selector_functions();
std::span<const Declaration> json_patch_functions();

// --- costs that several libraries share (cel-go, interpreter/runtimecost.go; Kubernetes, cel/library/cost.go)
std::uint64_t actual_size(const Value& value);                       // characters, bytes, items; else 1
std::uint64_t string_cost(std::uint64_t size, double factor = 0.1);  // rounded up
std::uint64_t traversal_cost(const Value& value);
std::uint64_t cost_of_first(std::span<const Value> arguments, const Value& result);  // 0.1 of the first's size
std::uint64_t cost_twice_first(std::span<const Value> arguments, const Value& result);
std::uint64_t cost_of_regex(std::span<const Value> arguments, const Value& result);

}  // namespace caisson::cel
