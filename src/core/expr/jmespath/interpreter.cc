// SPDX-License-Identifier: Apache-2.0
#include "core/expr/jmespath/interpreter.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/expr/jmespath/functions.h"

namespace caisson::jmespath {
namespace {

// Bounds of a slice by the specification's rules (those of Python).
struct Bounds {
  std::int64_t from, to, step;
};
Bounds bounds_of(const Node& node, std::int64_t size) {
  const std::int64_t step = node.step.value_or(1);
  const auto cap = [&](std::int64_t at) {
    if (at < 0) {
      at += size;
      if (at < 0) at = step < 0 ? -1 : 0;
    } else if (at >= size) {
      at = step < 0 ? size - 1 : size;
    }
    return at;
  };
  const std::int64_t from = node.from ? cap(*node.from) : (step < 0 ? size - 1 : 0);
  const std::int64_t to = node.to ? cap(*node.to) : (step < 0 ? -1 : size);
  return {from, to, step};
}

Error invalid_value(std::string_view why) {
  return {ErrorCode::bad_request, "invalid-value: " + std::string(why)};
}

}  // namespace

bool is_true(const Value& value) {
  switch (value.kind()) {
    case ValueKind::null:
      return false;
    case ValueKind::boolean:
      return value.as_bool();
    case ValueKind::string:
      return !value.as_string().empty();
    case ValueKind::list:
    case ValueKind::map:
      return !value.empty();
    default:
      return true;
  }
}

Result<Found> Interpreter::run(const Value& input) {
  input_ = &input;
  Value value = TRY(eval(tree_.root, input));
  Found found{std::move(value), {}};
  if (missing_ != nullptr) found.missing_key = *missing_;
  return found;
}

Result<Value> Interpreter::apply(const Node& reference, const Value& to) {
  return settled(reference.a, to);
}

Result<Value> Interpreter::settled(std::uint32_t index, const Value& current) {
  Value value = TRY(eval(index, current));
  missing_ = nullptr;
  return value;
}

Result<Value> Interpreter::eval(std::uint32_t index, const Value& current) {
  if (++steps_ > environment_.steps_max) return Error{ErrorCode::too_large, "runtime: the search takes too many steps"};
  const Node& node = tree_.nodes[index];
  missing_ = nullptr;
  switch (node.kind) {
    case NodeKind::identity:
      return current;
    case NodeKind::field:
      return field(node, current);
    case NodeKind::literal:
      return node.value;
    case NodeKind::subexpression: {
      if (const Value* found = place(index, current)) return *found;
      const Value left = TRY(eval(node.a, current));
      if (missing_ != nullptr) return left;
      return eval(node.b, left);
    }
    case NodeKind::index: {
      if (!current.is_list()) return Value();
      const auto size = static_cast<std::int64_t>(current.size());
      const std::int64_t at = node.number < 0 ? node.number + size : node.number;
      return at < 0 || at >= size ? Value() : current[static_cast<std::size_t>(at)];
    }
    case NodeKind::slice:
      return slice(node, current);
    case NodeKind::projection:
      return project(node, current);
    case NodeKind::value_projection:
      return project_values(node, current);
    case NodeKind::filter_projection:
      return filter(node, current);
    case NodeKind::flatten:
      return flatten(node, current);
    case NodeKind::comparison:
      return compare(node, current);
    case NodeKind::either: {
      Value left = TRY(settled(node.a, current));
      return is_true(left) ? Result<Value>(std::move(left)) : settled(node.b, current);
    }
    case NodeKind::both: {
      Value left = TRY(settled(node.a, current));
      return is_true(left) ? eval(node.b, current) : Result<Value>(std::move(left));
    }
    case NodeKind::negation: {
      const Value inner = TRY(settled(node.a, current));
      return Value(!is_true(inner));
    }
    case NodeKind::pipe: {
      const Value left = TRY(settled(node.a, current));
      return settled(node.b, left);
    }
    case NodeKind::multi_list:
      return multi_list(node, current);
    case NodeKind::multi_hash:
      return multi_hash(node, current);
    case NodeKind::call:
      return call(node, current);
    case NodeKind::root:
      return *input_;
    case NodeKind::variable:
      return variable(node);
    case NodeKind::let:
      return let(node, current);
    case NodeKind::arithmetic:
      return arithmetic(node, current);
    case NodeKind::reference:
      return Value();  // an argument: call() hands on the node itself
  }
  return Value();
}

const Value* Interpreter::place(std::uint32_t index, const Value& current) {
  const Node& node = tree_.nodes[index];
  if (node.kind == NodeKind::field) {
    ++steps_;
    return current.find(node.key);
  }
  if (node.kind != NodeKind::subexpression) return nullptr;
  const Value* left = place(node.a, current);
  return left == nullptr ? nullptr : place(node.b, *left);
}

Result<Value> Interpreter::field(const Node& node, const Value& current) {
  if (!current.is_map()) return Value();
  const Value* found = current.find(node.key);
  if (found != nullptr) return *found;
  missing_ = &node.text;
  return Value();
}

Result<Value> Interpreter::compare(const Node& node, const Value& current) {
  const Value left = TRY(settled(node.a, current));
  const Value right = TRY(settled(node.b, current));
  if (node.comparator == Comparator::equal) return Value(left == right);
  if (node.comparator == Comparator::not_equal) return Value(!(left == right));
  if (!left.is_number() || !right.is_number()) return Value();
  const double a = left.as_double(), b = right.as_double();
  switch (node.comparator) {
    case Comparator::less:
      return Value(a < b);
    case Comparator::less_equal:
      return Value(a <= b);
    case Comparator::greater:
      return Value(a > b);
    default:
      return Value(a >= b);
  }
}

Result<Value> Interpreter::project(const Node& node, const Value& current) {
  const Value left = TRY(settled(node.a, current));
  if (!left.is_list()) return Value();
  std::vector<Value> kept;
  for (const Value& item : left.items()) {
    Value result = TRY(settled(node.b, item));
    if (!result.is_null()) kept.push_back(std::move(result));
  }
  return Value(std::move(kept));
}

Result<Value> Interpreter::project_values(const Node& node, const Value& current) {
  const Value left = TRY(settled(node.a, current));
  if (!left.is_map()) return Value();
  std::vector<Value> kept;
  for (const auto& entry : left.entries()) {
    Value result = TRY(settled(node.b, entry.value));
    if (!result.is_null()) kept.push_back(std::move(result));
  }
  return Value(std::move(kept));
}

Result<Value> Interpreter::filter(const Node& node, const Value& current) {
  const Value left = TRY(settled(node.a, current));
  if (!left.is_list()) return Value();
  std::vector<Value> kept;
  for (const Value& item : left.items()) {
    const Value holds = TRY(settled(node.c, item));
    if (!is_true(holds)) continue;
    Value result = TRY(settled(node.b, item));
    if (!result.is_null()) kept.push_back(std::move(result));
  }
  return Value(std::move(kept));
}

Result<Value> Interpreter::flatten(const Node& node, const Value& current) {
  const Value left = TRY(settled(node.a, current));
  if (!left.is_list()) return Value();
  const auto is_list = [](const Value& item) { return item.is_list(); };
  if (std::none_of(left.items().begin(), left.items().end(), is_list)) return left;
  std::vector<Value> flat;
  for (const Value& item : left.items()) {
    if (item.is_list())
      flat.insert(flat.end(), item.items().begin(), item.items().end());
    else
      flat.push_back(item);
  }
  return Value(std::move(flat));
}

Result<Value> Interpreter::slice(const Node& node, const Value& current) {
  if (node.step == 0) return invalid_value("the step of a slice is 0");
  if (!current.is_list()) return Value();
  const auto [from, to, step] = bounds_of(node, static_cast<std::int64_t>(current.size()));
  std::vector<Value> kept;
  for (std::int64_t at = from; step > 0 ? at < to : at > to;) {
    kept.push_back(current[static_cast<std::size_t>(at)]);
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return Value(std::move(kept));
}

Result<Value> Interpreter::multi_list(const Node& node, const Value& current) {
  if (current.is_null()) return Value();
  std::vector<Value> items;
  for (const std::uint32_t child : node.children) items.push_back(TRY(settled(child, current)));
  return Value(std::move(items));
}

Result<Value> Interpreter::multi_hash(const Node& node, const Value& current) {
  if (current.is_null()) return Value();
  Value map = Value::map();
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    Value member = TRY(settled(node.children[i], current));
    map.set(node.keys[i], std::move(member));
  }
  return map;
}

Result<Value> Interpreter::variable(const Node& node) const {
  if (const Value* bound = bindings_.find(node.text)) return *bound;
  return Error{ErrorCode::bad_request, "runtime: there is no variable $" + node.text};
}

Result<Value> Interpreter::let(const Node& node, const Value& current) {
  Value inner = bindings_.is_null() ? Value::map() : bindings_;
  for (std::size_t i = 0; i < node.keys.size(); ++i) inner.set(node.keys[i], TRY(settled(node.children[i], current)));
  const Value outer = std::exchange(bindings_, std::move(inner));
  auto result = settled(node.children.back(), current);
  bindings_ = outer;
  return result;
}

Result<Value> Interpreter::arithmetic(const Node& node, const Value& current) {
  const Value left = TRY(settled(node.a, current));
  const Value right = TRY(settled(node.b, current));
  if (!left.is_number() || !right.is_number())
    return Error{ErrorCode::bad_request, "invalid-type: arithmetic is for numbers"};
  const double a = left.as_double(), b = right.as_double();
  const bool divides = node.arithmetic != Arithmetic::plus && node.arithmetic != Arithmetic::minus &&
                       node.arithmetic != Arithmetic::times;
  if (divides && b == 0) return Error{ErrorCode::bad_request, "runtime: division by zero"};
  switch (node.arithmetic) {
    case Arithmetic::plus:
      return number_value(a + b);
    case Arithmetic::minus:
      return number_value(a - b);
    case Arithmetic::times:
      return number_value(a * b);
    case Arithmetic::divided:
      return number_value(a / b);
    case Arithmetic::whole_divided:
      return number_value(std::floor(a / b));
    case Arithmetic::modulo:
      return number_value(std::fmod(a, b));
  }
  return Value();
}

Result<Value> Interpreter::call(const Node& node, const Value& current) {
  std::vector<Argument> arguments;
  arguments.reserve(node.children.size());
  for (const std::uint32_t child : node.children) {
    const Node& argument = tree_.nodes[child];
    if (argument.kind == NodeKind::reference) {
      arguments.push_back({Value(), &argument});
      continue;
    }
    Value value = TRY(settled(child, current));
    arguments.push_back({std::move(value), nullptr});
  }
  TRY(check_types(*node.function, arguments));
  Value result = TRY(node.function->run({*node.function, node, arguments, *this, environment_}));
  missing_ = nullptr;
  return result;
}

}  // namespace caisson::jmespath
