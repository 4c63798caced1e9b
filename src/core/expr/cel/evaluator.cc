// SPDX-License-Identifier: Apache-2.0
// Walks the tree. Costs are charged where cel-go's tracker observes them (interpreter/runtimecost.go): 1 for a chain of
// selections, 1 for each of its steps, 10, 30 and 40 for lists, maps and messages that are no constants, a function's
// own cost for a call; the branches of ?: are not chains of their own.
#include <algorithm>
#include <cmath>

#include "core/expr/cel/environment.h"
#include "core/expr/cel/value_data.h"

namespace caisson::cel {
namespace {

constexpr std::uint64_t kListCost = 10, kMapCost = 30, kMessageCost = 40;
constexpr std::uint32_t kStepsBetweenChecks = 1000;
constexpr std::uint64_t kMadeBytesMax = 256u << 20;

// What a function made anew; a view of a document is not.
std::uint64_t made_bytes(const Value& value) {
  if (value.is(Kind::string)) return value.as_string().size();
  if (value.is(Kind::bytes)) return value.as_bytes().size();
  if ((value.is(Kind::list) || value.is(Kind::map)) && value.view() == nullptr) return value.size() * sizeof(Value);
  return 0;
}

std::string shown_key(const Value& key) {
  return key.is(Kind::string) ? std::string(key.as_string()) : key.debug_string();
}

// A whole number of any numeric type.
std::optional<std::int64_t> as_index(const Value& v) {
  if (v.is(Kind::integer)) return v.as_int();
  if (v.is(Kind::unsigned_integer) && v.as_uint() <= static_cast<std::uint64_t>(INT64_MAX))
    return static_cast<std::int64_t>(v.as_uint());
  if (v.is(Kind::floating) && v.as_double() == std::floor(v.as_double()) && std::abs(v.as_double()) < 9e15)
    return static_cast<std::int64_t>(v.as_double());
  return std::nullopt;
}

bool is_chain(const Node& node) {
  if (node.kind == NodeKind::identifier) return node.name_kind != NameKind::constant;
  if (node.kind == NodeKind::select) return !node.presence_test;
  return node.kind == NodeKind::call && (node.call == CallKind::index || node.call == CallKind::optional_index ||
                                         node.call == CallKind::optional_select);
}

class Evaluator {
 public:
  Evaluator(const Program::Impl& program, const Bindings& bindings, const Limits& limits)
      : program_(program), limits_(limits) {
    for (const std::string& name : program.variables) variables_.push_back(bindings.find(name));
    locals_.reserve(program.locals);
    for (std::uint32_t i = 0; i < program.locals; ++i) locals_.emplace_back(Value());
  }

  Outcome run() {
    Result<Value> value = eval(*program_.root);
    if (stopped_) return {*std::move(stopped_), cost_};
    return {std::move(value), cost_};
  }

 private:
  // After the last step that the limits allow, every evaluation fails and nothing absorbs it.
  bool charge(std::uint64_t cost) {
    cost_ += cost;
    if (limits_.cost_max == 0 || cost_ <= limits_.cost_max) return true;
    if (!stopped_) stopped_ = Error{ErrorCode::too_large, "operation cancelled: actual cost limit exceeded"};
    return false;
  }
  // Costs count a concatenation of lists as 1, however long they are; memory has a limit of its own.
  bool account(const Value& made) {
    made_bytes_ += made_bytes(made);
    if (made_bytes_ <= kMadeBytesMax) return true;
    if (!stopped_) stopped_ = Error{ErrorCode::too_large, "operation cancelled: it makes too much data"};
    return false;
  }
  Error stopped() const { return *stopped_; }

  Result<Value> eval(const Node& node) {
    if (node.is_constant) return node.value;
    if (stopped_) return stopped();
    switch (node.kind) {
      case NodeKind::literal:
        return node.value;
      case NodeKind::identifier:
        return chain(node, true);
      case NodeKind::select:
        return node.presence_test ? presence(node) : chain(node, true);
      case NodeKind::call:
        return call(node);
      case NodeKind::list:
        return list(node);
      case NodeKind::map:
        return map(node);
      case NodeKind::message:
        return message(node);
      case NodeKind::comprehension:
        return comprehension(node);
    }
    return bad("unexpected expression");
  }

  Result<Value> identifier(const Node& node) {
    if (node.name_kind == NameKind::constant) return node.value;
    if (node.name_kind == NameKind::local) return locals_[node.slot];
    if (node.name_kind == NameKind::variable && variables_[node.slot] != nullptr) return *variables_[node.slot];
    return bad("no such attribute(s): " + node.name);
  }

  // A chain of selections; its first link costs 1 unless `whole` is false.
  Result<Value> chain(const Node& node, bool whole) {
    if (node.kind == NodeKind::identifier) {
      if (whole && node.name_kind != NameKind::constant && !charge(1)) return stopped();
      return identifier(node);
    }
    const Node& operand = *node.children[0];
    Value on;
    if (is_chain(operand)) {
      on = TRY(chain(operand, whole));
    } else {
      on = TRY(eval(operand));
      const bool conditional = operand.kind == NodeKind::call && operand.call == CallKind::conditional;
      if (whole && !conditional && !charge(1)) return stopped();
    }
    if (on.is(Kind::unknown)) return on;
    if (node.kind == NodeKind::select) {
      if (!charge(1)) return stopped();
      return step(on, Value::string(node.name), false, true);
    }
    const Node& key_node = *node.children[1];
    const bool optional = node.call != CallKind::index;
    if (!key_node.is_constant) {
      const Value key = TRY(eval(key_node));
      if (key.is(Kind::unknown)) return key;
      if (!is_chain(key_node) && !charge(1)) return stopped();
      return step(on, key, optional, false);
    }
    Result<Value> found = step(on, key_node.value, optional, node.call == CallKind::optional_select);
    const bool absent = optional && found.ok() && found->is(Kind::optional) && found->as_optional() == nullptr;
    if (!absent && !charge(1)) return stopped();
    return found;
  }

  // One selection. On an optional, or asked for with '?', what is absent is optional.none().
  Result<Value> step(const Value& on, const Value& key, bool optional, bool is_field) {
    const auto is_null = [](const Value* value) { return value != nullptr && value->is(Kind::null); };
    if (optional && (is_null(&on) || (on.is(Kind::optional) && is_null(on.as_optional()))))
      return Value::optional(std::nullopt);  // cel-go: asked with '?', null has nothing
    if (on.is(Kind::optional)) {
      if (on.as_optional() == nullptr) return on;
      return Value::optional(TRY(find(*on.as_optional(), key, is_field, false)));
    }
    std::optional<Value> found = TRY(find(on, key, is_field, !optional));
    if (optional) return Value::optional(std::move(found));
    if (found) return *std::move(found);
    if (on.is(Kind::list)) return bad("index out of bounds: " + shown_key(key));
    return bad("no such key: " + shown_key(key));
  }

  // Nothing when absent; an error when `on` can have no such thing. A field that is not set reads as its default where
  // no optional is wanted.
  static Result<std::optional<Value>> find(const Value& on, const Value& key, bool is_field, bool defaults) {
    if (on.is(Kind::map)) return on.find(key);
    if (on.is(Kind::object) && key.is(Kind::string)) {
      if (!defaults && !TRY(on.as_object().has_field(key.as_string()))) return std::optional<Value>();
      return std::optional<Value>(TRY(on.as_object().field(key.as_string())));
    }
    if (!on.is(Kind::list)) return is_field ? bad("no such key: " + shown_key(key)) : no_such_overload();
    const auto index = as_index(key);
    if (!index) return bad("unsupported index type '" + key.type().str() + "' in list");
    if (*index < 0 || static_cast<std::size_t>(*index) >= on.size()) return std::optional<Value>();
    return std::optional<Value>(on.item(static_cast<std::size_t>(*index)));
  }

  Result<Value> presence(const Node& node) {
    const Node& operand = *node.children[0];
    Value on = TRY(is_chain(operand) ? chain(operand, false) : eval(operand));
    if (on.is(Kind::unknown)) return on;
    if (!charge(program_.environment->options.presence_test_has_cost ? 2 : 1)) return stopped();
    if (on.is(Kind::optional)) {
      if (on.as_optional() == nullptr) return Value(false);
      on = Value(*on.as_optional());
    }
    if (on.is(Kind::object)) return Value(TRY(on.as_object().has_field(node.name)));
    if (on.is(Kind::map)) return Value(on.find(Value::string(node.name)).has_value());
    return bad("no such key: " + node.name);
  }

  Result<Value> call(const Node& node) {
    switch (node.call) {
      case CallKind::logical_or:
        return logical(node, true);
      case CallKind::logical_and:
        return logical(node, false);
      case CallKind::conditional:
        return conditional(node);
      case CallKind::index:
      case CallKind::optional_index:
      case CallKind::optional_select:
        return chain(node, true);
      case CallKind::equal:
      case CallKind::not_equal:
        return equality(node);
      case CallKind::not_strictly_false:
        return not_strictly_false(node);
      case CallKind::optional_or:
      case CallKind::optional_or_value:
        return optional_or(node);
      case CallKind::append:
        return append(node);
      case CallKind::map_insert:
        return map_insert(node);
      case CallKind::function:
        return function(node);
    }
    return no_such_overload();
  }

  // cel-spec, "Logical Operators": one side that decides makes errors and unknowns of the other irrelevant.
  Result<Value> logical(const Node& node, bool deciding) {
    std::optional<Error> error;
    std::optional<Value> unknown;
    for (const NodePtr& term : node.children) {
      Result<Value> value = eval(*term);
      if (stopped_) return stopped();
      if (!value.ok()) {
        if (!error) error = std::move(value).error();
      } else if (value->is(Kind::unknown)) {
        if (!unknown) unknown = *value;
      } else if (!value->is(Kind::boolean)) {
        if (!error) error = no_such_overload();
      } else if (value->as_bool() == deciding) {
        return Value(deciding);
      }
    }
    if (unknown) return *std::move(unknown);
    if (error) return *std::move(error);
    return Value(!deciding);
  }

  Result<Value> conditional(const Node& node) {
    const Value condition = TRY(eval(*node.children[0]));
    if (condition.is(Kind::unknown)) return condition;
    if (!condition.is(Kind::boolean)) return no_such_overload();
    const Node& branch = *node.children[condition.as_bool() ? 1 : 2];
    if (stopped_) return stopped();
    return is_chain(branch) && !branch.is_constant ? chain(branch, false) : eval(branch);
  }

  Result<Value> equality(const Node& node) {
    const Result<Value> left = eval(*node.children[0]);
    const Result<Value> right = eval(*node.children[1]);
    if (stopped_) return stopped();
    const bool both = left.ok() && right.ok() && !left->is(Kind::object);
    if (!charge(both ? string_cost(std::min(actual_size(*left), actual_size(*right))) : 1)) return stopped();
    if (!left.ok() || left->is(Kind::unknown)) return left;
    if (!right.ok() || right->is(Kind::unknown)) return right;
    return Value(equals(*left, *right) == (node.call == CallKind::equal));
  }

  Result<Value> not_strictly_false(const Node& node) {
    const Result<Value> value = eval(*node.children[0]);
    if (stopped_ || !charge(1)) return stopped();
    return Value(!value.ok() || !value->is(Kind::boolean) || value->as_bool());
  }

  Result<Value> optional_or(const Node& node) {
    const Value left = TRY(eval(*node.children[0]));
    if (left.is(Kind::unknown)) return left;
    if (!left.is(Kind::optional)) return left;  // cel-go: what is no optional is what it is
    const bool unwraps = node.call == CallKind::optional_or_value;
    if (left.as_optional() != nullptr) return unwraps ? Value(*left.as_optional()) : left;
    const Value right = TRY(eval(*node.children[1]));
    if (!unwraps && !right.is(Kind::optional) && !right.is(Kind::unknown)) return no_such_overload();
    return right;
  }

  Result<Value> function(const Node& node) {
    std::vector<Value> arguments;
    arguments.reserve(node.children.size());
    for (const NodePtr& child : node.children) {
      Result<Value> argument = eval(*child);
      if (!argument.ok()) return failed_argument(node, arguments.size(), std::move(argument).error());
      arguments.push_back(std::move(argument).value());
      if (arguments.back().is(Kind::unknown)) return arguments.back();
    }
    for (const Overload* overload : node.overloads) {
      if (overload->member != node.member || !overload->call || !all_accepted(*overload, arguments)) continue;
      Result<Value> result = overload->call(arguments);
      if (node.is_free) return result;
      const bool known = overload->cost != nullptr && (overload->cost_by_name || node.overloads.size() == 1);
      const std::uint64_t cost = known ? overload->cost(arguments, result.ok() ? *result : Value()) : 1;
      if (!charge(cost) || (result.ok() && !account(*result))) return stopped();
      return result;
    }
    return no_such_overload();
  }

  // Calls of one or two arguments cost something even when one fails, and both are evaluated.
  Result<Value> failed_argument(const Node& node, std::size_t which, Error error) {
    if (node.is_free || node.children.size() > 2) return error;
    if (which + 1 < node.children.size()) {
      const Result<Value> other = eval(*node.children[which + 1]);
      if (other.ok() && other->is(Kind::unknown)) return other;
    }
    if (stopped_ || !charge(1)) return stopped();
    return error;
  }

  static bool all_accepted(const Overload& overload, const std::vector<Value>& arguments) {
    if (overload.parameters.size() != arguments.size()) return false;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      if (!accepts(overload.parameters[i], arguments[i])) return false;
    }
    return true;
  }

  // The element of a list, map or message marked with '?': nothing when there is none.
  Result<std::optional<Value>> optional_entry(const Value& value) {
    if (!value.is(Kind::optional)) return bad("cannot initialize optional entry from non-optional value");
    if (value.as_optional() == nullptr) return std::optional<Value>();
    return std::optional<Value>(*value.as_optional());
  }

  Result<Value> list(const Node& node) {
    std::vector<Value> items;
    items.reserve(node.children.size());
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      Value item = TRY(eval(*node.children[i]));
      if (item.is(Kind::unknown)) return item;
      if (!node.optional[i]) {
        items.push_back(std::move(item));
      } else if (auto inner = TRY(optional_entry(item))) {
        items.push_back(*std::move(inner));
      }
    }
    if (!charge(kListCost)) return stopped();
    return Value::list(std::move(items));
  }

  Result<Value> map(const Node& node) {
    std::vector<std::pair<Value, Value>> entries;
    for (std::size_t i = 0; i < node.optional.size(); ++i) {
      Value key = TRY(eval(*node.children[2 * i]));
      Value value = TRY(eval(*node.children[2 * i + 1]));
      if (key.is(Kind::unknown)) return key;
      if (value.is(Kind::unknown)) return value;
      if (!node.optional[i]) {
        entries.emplace_back(std::move(key), std::move(value));
      } else if (auto inner = TRY(optional_entry(value))) {
        entries.emplace_back(std::move(key), *std::move(inner));
      }
    }
    if (!charge(kMapCost)) return stopped();
    return Value::map(std::move(entries));
  }

  Result<Value> message(const Node& node) {
    std::vector<std::pair<std::string, Value>> fields;
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      Value value = TRY(eval(*node.children[i]));
      if (value.is(Kind::unknown)) return value;
      if (!node.optional[i]) {
        fields.emplace_back(node.fields[i], std::move(value));
      } else if (auto inner = TRY(optional_entry(value))) {
        fields.emplace_back(node.fields[i], *std::move(inner));
      }
    }
    if (!charge(kMessageCost)) return stopped();
    if (node.name_kind == NameKind::unresolved) return bad("unknown type: " + node.name);
    return program_.environment->options.types->make(node.name, fields);
  }

  // accumulator + [element]: grows in place, as nobody else holds the accumulator.
  Result<Value> append(const Node& node) {
    if (!charge(1)) return stopped();
    const Node& list_node = *node.children[1];
    const bool constant = list_node.is_constant;
    Value element;
    if (!constant) {
      element = TRY(eval(*list_node.children[0]));
      if (!charge(kListCost)) return stopped();
    }
    if (!charge(1)) return stopped();
    Result<Value>& slot = locals_[node.children[0]->slot];
    if (!slot.ok()) return slot.error();
    if (element.is(Kind::unknown)) return element;
    Value accumulator = *slot;
    slot = Value();  // so that `accumulator` is the only one
    if (constant) element = list_node.value.item(0);
    if (ListData* own = ValueAccess::own_list(accumulator)) {
      own->items.push_back(std::move(element));
      return accumulator;
    }
    if (!accumulator.is(Kind::list)) return no_such_overload();
    std::vector<Value> items;
    for (std::size_t i = 0; i < accumulator.size(); ++i) items.push_back(accumulator.item(i));
    items.push_back(std::move(element));
    return Value::list(std::move(items));
  }

  Result<Value> map_insert(const Node& node) {
    if (!charge(2)) return stopped();
    std::vector<Value> arguments;
    for (std::size_t i = 1; i < node.children.size(); ++i) arguments.push_back(TRY(eval(*node.children[i])));
    Result<Value>& slot = locals_[node.children[0]->slot];
    if (!slot.ok()) return slot.error();
    Value accumulator = *slot;
    slot = Value();
    std::vector<std::pair<Value, Value>> added;
    if (arguments.size() == 2) {
      added.emplace_back(arguments[0], arguments[1]);
    } else if (!arguments[0].is(Kind::map)) {
      return no_such_overload();
    } else {
      for (std::size_t i = 0; i < arguments[0].size(); ++i) added.push_back(arguments[0].entry(i));
    }
    return insert_all(std::move(accumulator), std::move(added));
  }

  static Result<Value> insert_all(Value accumulator, std::vector<std::pair<Value, Value>> added) {
    if (!accumulator.is(Kind::map)) return no_such_overload();
    MapData* own = ValueAccess::own_map(accumulator);
    if (own == nullptr) {
      std::vector<std::pair<Value, Value>> entries;
      for (std::size_t i = 0; i < accumulator.size(); ++i) entries.push_back(accumulator.entry(i));
      accumulator = TRY(Value::map(std::move(entries)));
      own = ValueAccess::own_map(accumulator);
    }
    for (auto& [key, value] : added) {
      if (!is_key(key)) return bad("unsupported key type: " + key.type().str());
      if (own->find(key) != nullptr) return bad("insert failed: key " + shown_key(key) + " already exists");
      own->entries.emplace_back(std::move(key), std::move(value));
      // Rebuilt only when it must grow: amortized constant.
      if (own->index.size() < own->entries.size() * 2)  // also while the map is small and has none
        own->make_index();
      else
        own->add_last_to_index();
    }
    return accumulator;
  }

  Result<Value> comprehension(const Node& node) {
    const Value range = TRY(eval(*node.children[0]));
    if (range.is(Kind::unknown)) return range;
    const bool is_map = range.is(Kind::map);
    if (!is_map && !range.is(Kind::list)) return bad("got '" + range.type().str() + "', expected iterable type");
    Result<Value> start = eval(*node.children[1]);
    if (stopped_) return stopped();
    locals_[node.accumulator_slot] = std::move(start);
    const bool endless =
        node.children[2]->is_constant && node.children[2]->value.is(Kind::boolean) && node.children[2]->value.as_bool();
    for (std::size_t i = 0, n = range.size(); i < n; ++i) {
      if (!endless) {
        const Value more = TRY(eval(*node.children[2]));
        if (!more.is(Kind::boolean)) return no_such_overload();
        if (!more.as_bool()) break;
      } else if (!locals_[node.accumulator_slot].ok()) {
        break;  // nothing absorbs it any more
      }
      bind_iteration(node, range, is_map, i);
      Result<Value> next = eval(*node.children[3]);
      if (stopped_ || !may_go_on()) return stopped();
      locals_[node.accumulator_slot] = std::move(next);
    }
    const Node& result = *node.children[4];
    return eval(result);
  }

  void bind_iteration(const Node& node, const Value& range, bool is_map, std::size_t i) {
    const bool two = !node.iteration_variable2.empty();
    if (is_map) {
      auto [key, value] = range.entry(i);
      locals_[node.iteration_slot] = std::move(key);
      if (two) locals_[node.iteration_slot2] = std::move(value);
    } else if (two) {
      locals_[node.iteration_slot] = Value(static_cast<std::int64_t>(i));
      locals_[node.iteration_slot2] = range.item(i);
    } else {
      locals_[node.iteration_slot] = range.item(i);
    }
  }

  bool may_go_on() {
    if (limits_.cancelled == nullptr || ++steps_ % kStepsBetweenChecks != 0 || !(*limits_.cancelled)()) return true;
    stopped_ = Error{ErrorCode::timeout, "operation interrupted"};
    return false;
  }

  const Program::Impl& program_;
  const Limits& limits_;
  std::vector<const Value*> variables_;
  std::vector<Result<Value>> locals_;
  std::uint64_t cost_ = 0;
  std::uint64_t made_bytes_ = 0;
  std::uint32_t steps_ = 0;
  std::optional<Error> stopped_;
};

}  // namespace

Outcome evaluate(const Program::Impl& program, const Bindings& bindings, const Limits& limits) {
  return Evaluator(program, bindings, limits).run();
}

}  // namespace caisson::cel
