// SPDX-License-Identifier: Apache-2.0
// The table of functions and what one is handed when it is called. Internal to this folder.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/document/value.h"
#include "core/expr/jmespath/ast.h"
#include "core/expr/jmespath/jmespath.h"

namespace caisson::jmespath {

// What an argument may be; bits are joined.
enum ArgumentType : std::uint16_t {
  kNumber = 1,
  kString = 2,
  kBoolean = 4,
  kArray = 8,
  kObject = 16,
  kNull = 32,
  kReference = 64,
  kArrayOfNumber = 128,
  kArrayOfString = 256,
  kAny = 63,
};
std::string type_names(std::uint16_t types);  // "string|number"

class Interpreter;

struct Argument {
  Value value;
  const Node* reference = nullptr;  // of `&expression`
};

struct Call {
  const Function& function;
  const Node& node;
  std::span<const Argument> arguments;
  Interpreter& interpreter;
  const Environment& environment;

  const Value& value(std::size_t i) const { return arguments[i].value; }
  std::string_view text(std::size_t i) const { return arguments[i].value.as_string(); }
  double number(std::size_t i) const { return arguments[i].value.as_double(); }
  Error fail(std::string_view why) const;          // runtime
  Error invalid_type(std::string_view why) const;  // invalid-type
  Result<Value> apply(const Node& reference, const Value& to) const;
};

inline constexpr std::size_t kArgumentsMax = 4;
struct Function {
  std::string_view name;
  std::uint8_t arity;
  bool variadic;  // the last argument may be repeated, and must be there once
  std::uint16_t types[kArgumentsMax];
  std::string_view gives;
  Result<Value> (*run)(const Call&);
  std::string_view note;
};

const Function* find_function(std::string_view name, Dialect dialect);
Result<void> check_arity(const Function& function, std::size_t count);
Result<void> check_types(const Function& function, std::span<const Argument> arguments);
Result<std::shared_ptr<const re2::RE2>> compile_regex(std::string_view function, std::string_view pattern);

// A double as the integer it is, when it is one.
Value number_value(double number);

// The tables, one for each functions_*.cc.
std::span<const Function> standard_functions();
std::span<const Function> text_functions();
std::span<const Function> number_functions();
std::span<const Function> data_functions();
std::span<const Function> time_functions();
std::span<const Function> digest_functions();

}  // namespace caisson::jmespath
