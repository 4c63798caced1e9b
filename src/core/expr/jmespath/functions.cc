// SPDX-License-Identifier: Apache-2.0
#include "core/expr/jmespath/functions.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/expr/jmespath/interpreter.h"

namespace caisson::jmespath {
namespace {

constexpr std::pair<std::uint16_t, std::string_view> kTypeNames[] = {{kNumber, "number"},
                                                                     {kString, "string"},
                                                                     {kBoolean, "boolean"},
                                                                     {kArray, "array"},
                                                                     {kObject, "object"},
                                                                     {kReference, "expression"},
                                                                     {kArrayOfNumber, "array[number]"},
                                                                     {kArrayOfString, "array[string]"}};

std::array<std::span<const Function>, 6> tables() {
  return {text_functions(), number_functions(), data_functions(),
          time_functions(), digest_functions(), standard_functions()};
}

std::uint16_t bits_of(const Value& value) {
  switch (value.kind()) {
    case ValueKind::null:
      return kNull;
    case ValueKind::boolean:
      return kBoolean;
    case ValueKind::integer:
    case ValueKind::floating:
      return kNumber;
    case ValueKind::string:
      return kString;
    case ValueKind::map:
      return kObject;
    case ValueKind::list:
      break;
  }
  std::uint16_t bits = kArray | kArrayOfNumber | kArrayOfString;
  for (const Value& item : value.items()) {
    if (!item.is_number()) bits &= static_cast<std::uint16_t>(~kArrayOfNumber);
    if (!item.is_string()) bits &= static_cast<std::uint16_t>(~kArrayOfString);
  }
  return bits;
}

bool fits(std::uint16_t wanted, const Argument& argument) {
  if (argument.reference != nullptr) return (wanted & kReference) != 0;
  if ((wanted & kAny) == kAny) return true;
  return (wanted & bits_of(argument.value)) != 0;
}

}  // namespace

std::string type_names(std::uint16_t types) {
  if ((types & kAny) == kAny) return "any";
  std::string names;
  for (const auto& [bit, name] : kTypeNames) {
    if ((types & bit) != 0) names += (names.empty() ? "" : "|") + std::string(name);
  }
  return names;
}

Error Call::fail(std::string_view why) const {
  return {ErrorCode::bad_request,
          "runtime: JMESPath function '" + std::string(function.name) + "': " + std::string(why)};
}
Error Call::invalid_type(std::string_view why) const {
  return {ErrorCode::bad_request,
          "invalid-type: JMESPath function '" + std::string(function.name) + "': " + std::string(why)};
}
Result<Value> Call::apply(const Node& reference, const Value& to) const {
  return interpreter.apply(reference, to);
}

const Function* find_function(std::string_view name, Dialect dialect) {
  if (dialect == Dialect::standard) {
    for (const Function& function : standard_functions())
      if (function.name == name) return &function;
    return nullptr;
  }
  for (const auto& table : tables()) {
    for (const Function& function : table)
      if (function.name == name) return &function;
  }
  return nullptr;
}

Result<void> check_arity(const Function& function, std::size_t count) {
  if (function.variadic ? count >= function.arity : count == function.arity) return {};
  return Error{ErrorCode::bad_request, "invalid-arity: " + std::string(function.name) + "() takes " +
                                           (function.variadic ? "at least " : "") + std::to_string(function.arity) +
                                           " arguments, not " + std::to_string(count)};
}

Result<void> check_types(const Function& function, std::span<const Argument> arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::uint16_t wanted = function.types[std::min<std::size_t>(i, function.arity - 1u)];
    if (fits(wanted, arguments[i])) continue;
    return Error{ErrorCode::bad_request, "invalid-type: argument " + std::to_string(i + 1) + " of " +
                                             std::string(function.name) + "() must be " + type_names(wanted)};
  }
  return {};
}

Result<std::shared_ptr<const re2::RE2>> compile_regex(std::string_view function, std::string_view pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(4 << 20);
  auto regex = std::make_shared<const re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (regex->ok()) return std::shared_ptr<const re2::RE2>(std::move(regex));
  return Error{ErrorCode::bad_request,
               "invalid-value: JMESPath function '" + std::string(function) + "': " + regex->error()};
}

Value number_value(double number) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (std::nearbyint(number) == number && std::fabs(number) < kExact) return Value(static_cast<std::int64_t>(number));
  return Value(number);
}

std::vector<FunctionInfo> functions(Dialect dialect) {
  std::vector<FunctionInfo> all;
  const auto add = [&all](const Function& function) {
    for (const FunctionInfo& known : all)
      if (known.name == function.name) return;  // Kyverno's own comes first
    std::string signature = std::string(function.name) + "(";
    for (std::size_t i = 0; i < function.arity; ++i) signature += (i == 0 ? "" : ", ") + type_names(function.types[i]);
    signature += (function.variadic ? "...) -> " : ") -> ") + std::string(function.gives);
    all.push_back({function.name, std::move(signature), function.note});
  };
  if (dialect == Dialect::standard) {
    for (const Function& function : standard_functions()) add(function);
  } else {
    for (const auto& table : tables())
      for (const Function& function : table) add(function);
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return all;
}

}  // namespace caisson::jmespath
