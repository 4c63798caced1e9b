// SPDX-License-Identifier: Apache-2.0
// Pipelines, commands, fields and calls.
#include <algorithm>
#include <array>
#include <iterator>

#include "core/expr/go_template/complex.h"
#include "core/expr/go_template/evaluator.h"
#include "core/expr/go_template/go_functions.h"
#include "core/expr/go_template/stack.h"

namespace caisson::go_template {
namespace {

// A value leaves the interface {} it was held in when it leaves a pipeline.
Datum unboxed(Datum datum) {
  return datum.kind() == Kind::interface ? Datum() : datum;
}

std::string count_text(std::size_t count) {
  return std::to_string(count);
}

const Method* find_method(const Datum& datum, std::string_view name) {
  for (const Method& method : datum.type()->methods) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

// Fields of Go's structs that templates may not read: told from those that there are not.
bool is_unexported(std::string_view type, std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> kUnexported[] = {{"*semver.Version", "major"},
                                                                           {"*semver.Version", "minor"},
                                                                           {"*semver.Version", "patch"},
                                                                           {"*semver.Version", "pre"},
                                                                           {"*semver.Version", "metadata"},
                                                                           {"*semver.Version", "original"},
                                                                           {"time.Time", "wall"},
                                                                           {"time.Time", "ext"},
                                                                           {"time.Time", "loc"}};
  return std::find(std::begin(kUnexported), std::end(kUnexported), std::pair(type, name)) != std::end(kUnexported);
}

}  // namespace

Result<Datum> Evaluator::pipeline(const Slot& dot, const PipeNode* pipe) {
  if (!pipe) return Datum();
  if (!stack_is_short()) [[likely]]
    return pipeline_here(dot, *pipe);
  Result<Datum> result = Datum();
  on_fresh_stack([&] { result = pipeline_here(dot, *pipe); });
  return result;
}

Result<Datum> Evaluator::pipeline_here(const Slot& dot, const PipeNode& pipe) {
  at(pipe);
  Datum value;
  const Datum* final = nullptr;
  for (const NodePtr stage : pipe.commands) {
    Slot result = TRY(command(dot, static_cast<const CommandNode&>(*stage), final));
    value = unboxed(std::move(result.datum));
    final = &value;
  }
  for (const std::string_view name : pipe.variables) {
    if (pipe.is_assign) {
      TRY(set_variable(name, {value}));
    } else {
      variables_.push_back({name, {value}});
    }
  }
  return value;
}

Result<void> Evaluator::not_a_function(Args args, const Datum* final) const {
  if (args.size() > 1 || final) return fail("can't give argument to non-function " + to_text(*args[0]));
  return {};
}

Result<Slot> Evaluator::command(const Slot& dot, const CommandNode& command, const Datum* final) {
  const TreeNode& first = *command.args[0];
  const Args args = command.args;
  switch (first.type) {
    case NodeType::field:
      at(first);
      return fields(dot, dot, first, static_cast<const PathNode&>(first).names, args, final);
    case NodeType::chain:
      return chain(dot, static_cast<const ChainNode&>(first), args, final);
    case NodeType::identifier:
      return call_identifier(dot, static_cast<const IdentifierNode&>(first), command, args, final);
    case NodeType::pipe:
      TRY(not_a_function(args, final));
      return Slot{TRY(pipeline(dot, static_cast<const PipeNode*>(&first)))};
    case NodeType::variable:
      return variable(dot, static_cast<const PathNode&>(first), args, final);
    default:
      break;
  }
  at(first);
  TRY(not_a_function(args, final));
  if (first.type == NodeType::dot) return dot;
  if (first.type == NodeType::nil) return fail("nil is not a command");
  return Slot{TRY(literal_of_any(first))};
}

Result<Datum> Evaluator::literal_of_any(const TreeNode& node) {
  at(node);
  switch (node.type) {
    case NodeType::boolean:
      return Datum(static_cast<const BoolNode&>(node).value);
    case NodeType::number:
      return constant(static_cast<const NumberNode&>(node));
    case NodeType::string:
      return Datum::scalar(kString, *static_cast<const StringNode&>(node).text);
    default:
      return fail("can't handle assignment of " + to_text(node) + " to empty interface argument");
  }
}

// The type of a constant where none is asked for: its writing says it.
Result<Datum> Evaluator::constant(const NumberNode& number) {
  at(number);
  if (number.is_complex) return Complex::datum(number.float_value, number.imaginary);
  const std::string_view text = number.text;
  const bool is_hex = text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == 'x' &&
                      text.find_first_of("pP") == std::string_view::npos;
  const bool looks_float = text[0] != '\'' && !is_hex && text.find_first_of(".eEpP") != std::string_view::npos;
  if (number.is_float && looks_float) return Datum(number.float_value);
  if (number.is_int) return Datum::integer(number.int_value);
  return fail(std::string(number.text) + " overflows int");
}

Result<Slot> Evaluator::chain(const Slot& dot, const ChainNode& node, Args args, const Datum* final) {
  at(node);
  if (node.node->type == NodeType::nil) return fail("indirection through explicit nil in " + to_text(node));
  Slot start{TRY(argument(dot, 'v', *node.node))};
  // What a function gives is still in the interface {} that it was returned in; what a pipeline gives is not.
  const bool is_call = node.node->type == NodeType::identifier;
  if (is_call && !start.datum.is_valid()) start.datum = Datum::nil_interface();
  return fields(dot, start, node, node.fields, args, final);
}

Result<Slot> Evaluator::variable(const Slot& dot, const PathNode& node, Args args, const Datum* final) {
  at(node);
  const Slot* found = find_variable(node.names[0]);
  if (!found) return fail("undefined variable: " + std::string(node.names[0]));
  if (node.names.size() == 1) {
    if (!args.empty()) TRY(not_a_function(args, final));
    return *found;
  }
  const Slot start = *found;
  return fields(dot, start, node, node.names.subspan(1), args, final);
}

Result<Slot> Evaluator::fields(const Slot& dot, const Slot& start, const TreeNode& node, Names names, Args args,
                               const Datum* final) {
  Slot receiver = start;
  for (std::size_t i = 0; i + 1 < names.size(); ++i) {
    receiver = TRY(field(dot, names[i], node, {}, nullptr, receiver));
  }
  return field(dot, names.back(), node, args, final, receiver);
}

Result<Slot> Evaluator::missing_key(const Datum& map, std::string_view name) const {
  const bool boxed = map.type()->element == &kAny;
  switch (execution_.options().missing_key) {
    case MissingKey::invalid:
      return Slot{};
    case MissingKey::zero:
      if (boxed) return Slot{Datum::nil_interface(), true};
      if (map.type()->element == &kString) return Slot{Datum("")};
      return Slot{Datum::nil_of(*map.type()->element)};
    case MissingKey::error:
      break;
  }
  return fail("map has no entry for key \"" + std::string(name) + "\"");
}

Result<Slot> Evaluator::field(const Slot& dot, std::string_view name, const TreeNode& node, Args args,
                              const Datum* final, const Slot& receiver) {
  const Datum& datum = receiver.datum;
  if (!datum.is_valid()) {
    if (execution_.options().missing_key != MissingKey::error) return Slot{};
    return fail("nil data; no entry for key \"" + std::string(name) + "\"");
  }
  const auto type_name = [&] { return std::string(receiver.boxed ? kAny.name : datum.type_name()); };
  if (datum.kind() == Kind::interface) return fail("nil pointer evaluating " + type_name() + "." + std::string(name));
  if (const Method* method = find_method(datum, name)) {
    return call(dot, {name, signature(method->parameters), method->call, &datum}, node, args, final);
  }
  const bool has_args = args.size() > 1 || final;
  if (datum.kind() == Kind::map) {
    if (has_args) return fail(std::string(name) + " is not a method but has arguments");
    const Map* map = datum.as_map();
    auto found = map ? map->find(name) : std::nullopt;
    if (!found) return missing_key(datum, name);
    return Slot{*std::move(found), datum.type()->element == &kAny};
  }
  if (const Object* object = datum.as_object()) {
    auto found = object->field(name);
    if (found) {
      if (has_args) return fail(std::string(name) + " has arguments but cannot be invoked as function");
      return Slot{*std::move(found)};
    }
  } else if (datum.kind() == Kind::pointer) {
    return fail("nil pointer evaluating " + type_name() + "." + std::string(name));
  }
  if (is_unexported(datum.type_name(), name))
    return fail(std::string(name) + " is an unexported field of struct type " + type_name());
  return fail("can't evaluate field " + std::string(name) + " in type " + type_name());
}

Result<Slot> Evaluator::call_identifier(const Slot& dot, const IdentifierNode& node, const TreeNode& whole, Args args,
                                        const Datum* final) {
  at(node);
  return call(dot, {node.name, signature(node.function->parameters), node.function->call, nullptr}, whole, args, final);
}

Result<Slot> Evaluator::call(const Slot& dot, const Callee& callee, const TreeNode& node, Args args,
                             const Datum* final) {
  if (!args.empty()) args = args.subspan(1);
  const Signature& parameters = callee.parameters;
  const std::size_t count = args.size() + (final ? 1 : 0);
  if (parameters.variadic ? count < parameters.fixed() : count != parameters.size()) {
    const std::string want =
        parameters.variadic ? ": want at least " + count_text(parameters.fixed()) + " got " + count_text(args.size())
                            : ": want " + count_text(parameters.size()) + " got " + count_text(count);
    return fail("wrong number of args for " + std::string(callee.name) + want);
  }
  const auto spent = execution_.spend(1);
  if (!spent.ok()) return fail(spent.error().message, spent.error().code);
  if (!callee.call) return Slot{TRY(call_special(dot, callee, node, args, final))};

  constexpr std::size_t kInPlace = 4;
  std::array<Datum, kInPlace> in_place;
  std::vector<Datum> many(count > kInPlace ? count : 0);
  const std::span<Datum> values = count > kInPlace ? std::span<Datum>(many) : std::span(in_place).first(count);
  for (std::size_t i = 0; i < args.size(); ++i) values[i] = TRY(argument(dot, parameters.letter(i), *args[i]));
  if (final) values[count - 1] = TRY(fit(*final, parameters.letter(count - 1)));

  Call invocation{execution_, callee.name, values, callee.receiver};
  auto result = callee.call(invocation);
  if (!result.ok()) {
    at(node);
    return fail("error calling " + std::string(callee.name) + ": " + result.error().message, result.error().code);
  }
  Datum value = std::move(result).value();
  TRY(pay_for_text(value));
  return Slot{std::move(value)};
}

Result<void> Evaluator::pay_for_text(const Datum& datum) {
  constexpr std::size_t kBytesOfStep = 64;
  const std::size_t size = datum.scalar_value().as_string().size();
  if (size < kBytesOfStep) return {};
  const auto paid = execution_.spend(size / kBytesOfStep, size);
  if (!paid.ok()) return fail(paid.error().message, paid.error().code);
  return {};
}

// and, or, call: they are evaluated like no function is.
Result<Datum> Evaluator::call_special(const Slot& dot, const Callee& callee, const TreeNode& node, Args args,
                                      const Datum* final) {
  if (callee.name == "and") return and_or(dot, false, args, final);
  if (callee.name == "or") return and_or(dot, true, args, final);
  std::vector<Datum> values;
  for (const NodePtr arg : args) values.push_back(TRY(argument(dot, 'v', *arg)));
  if (final) values.push_back(*final);
  const std::string shown = args.empty() ? "<" + std::string(final->type_name()) + " Value>" : to_text(*args[0]);
  auto result = call_value(execution_, shown, values);
  if (result.ok()) return result;
  at(node);
  return fail("error calling call: " + result.error().message, result.error().code);
}

Result<Datum> Evaluator::and_or(const Slot& dot, bool is_or, Args args, const Datum* final) {
  Datum value;
  for (const NodePtr arg : args) {
    value = TRY(argument(dot, 'v', *arg));
    if (is_true(value) == is_or) return value;
  }
  return final ? *final : value;
}

Result<Datum> Evaluator::fit(const Datum& datum, char letter) const {
  if (!datum.is_valid()) {
    if (can_be_nil(letter)) return zero_of(letter);
    return fail("invalid value; expected " + std::string(parameter_name(letter)));
  }
  if (is_assignable(datum, letter)) return datum;
  return fail("wrong type for value; expected " + std::string(parameter_name(letter)) + "; got " +
              std::string(datum.type_name()));
}

Result<Datum> Evaluator::argument(const Slot& dot, char letter, const TreeNode& node) {
  at(node);
  switch (node.type) {
    case NodeType::dot:
      return fit(dot.datum, letter);
    case NodeType::nil:
      if (can_be_nil(letter)) return zero_of(letter);
      return fail("cannot assign nil to " + std::string(parameter_name(letter)));
    case NodeType::field:
      return fit(TRY(fields(dot, dot, node, static_cast<const PathNode&>(node).names, {}, nullptr)).datum, letter);
    case NodeType::variable:
      return fit(TRY(variable(dot, static_cast<const PathNode&>(node), {}, nullptr)).datum, letter);
    case NodeType::pipe:
      return fit(TRY(pipeline(dot, static_cast<const PipeNode*>(&node))), letter);
    case NodeType::identifier:
      return fit(TRY(call_identifier(dot, static_cast<const IdentifierNode&>(node), node, {}, nullptr)).datum, letter);
    case NodeType::chain:
      return fit(TRY(chain(dot, static_cast<const ChainNode&>(node), {}, nullptr)).datum, letter);
    default:
      return literal(letter, node);
  }
}

Result<Datum> Evaluator::literal(char letter, const TreeNode& node) {
  switch (letter) {
    case 'a':
    case 'v':
      return literal_of_any(node);
    case 's':
      if (node.type == NodeType::string) return Datum::scalar(kString, *static_cast<const StringNode&>(node).text);
      return fail("expected string; found " + to_text(node));
    case 'b':
      if (node.type == NodeType::boolean) return Datum(static_cast<const BoolNode&>(node).value);
      return fail("expected bool; found " + to_text(node));
    case 'i':
    case 'I':
    case 'u':
    case 'f':
      return literal_number(letter, node);
    default:
      return fail("can't handle " + to_text(node) + " for arg of type " + std::string(parameter_name(letter)));
  }
}

Result<Datum> Evaluator::literal_number(char letter, const TreeNode& node) {
  const auto* number = node.type == NodeType::number ? static_cast<const NumberNode*>(&node) : nullptr;
  if (letter == 'f') {
    if (number && number->is_float) return Datum(number->float_value);
    return fail("expected float; found " + to_text(node));
  }
  if (letter == 'u') {
    if (!number || !number->is_uint) return fail("expected unsigned integer; found " + to_text(node));
    return Datum::scalar(kUint32, Value(static_cast<long long>(number->uint_value & 0xFFFFFFFF)));
  }
  if (!number || !number->is_int) return fail("expected integer; found " + to_text(node));
  return letter == 'i' ? Datum::integer(number->int_value) : Datum(number->int_value);
}

}  // namespace caisson::go_template
