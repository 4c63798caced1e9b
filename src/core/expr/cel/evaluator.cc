// SPDX-License-Identifier: Apache-2.0
// Walks the tree. Costs are charged where cel-go's tracker observes them (interpreter/runtimecost.go): 1 for a chain of
// selections, 1 for each of its steps, 10, 30 and 40 for lists, maps and messages that are no constants, a function's
// own cost for a call; the branches of ?: are not chains of their own.
#include <algorithm>
#include <memory>
#include <optional>

#include "core/expr/cel/environment.h"
#include "core/expr/cel/link.h"
#include "core/expr/cel/selection.h"
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
  if ((value.is(Kind::list) || value.is(Kind::map)) && value.viewed() == nullptr) return value.size() * sizeof(Value);
  return 0;
}

bool is_chain(const Node& node) {
  if (node.kind == NodeKind::identifier) return node.name_kind != NameKind::constant;
  if (node.kind == NodeKind::select) return !node.presence_test;
  return node.kind == NodeKind::call && (node.call == CallKind::index || node.call == CallKind::optional_index ||
                                         node.call == CallKind::optional_select);
}

// Every step says whether there is a value; where there is none, `error_` says why. So an error costs nothing until
// there is one.
class Evaluator {
 public:
  Evaluator(const Program::Impl& program, const Bindings& bindings, const Limits& limits)
      : program_(program), limits_(limits), variables_(program.variables.size()), locals_(program.locals) {
    for (std::size_t i = 0; i < variables_.size(); ++i) variables_[i] = bindings.find(program.variables[i]);
  }

  Outcome run() {
    Value value;
    if (!eval(*program_.root, value) || stopped_) return {std::move(error_), cost_};
    return {std::move(value), cost_};
  }

 private:
  // The variable of a comprehension: its accumulator may hold an error that a later step absorbs.
  struct Local {
    const document::Value* place = nullptr;
    Value value;
    std::unique_ptr<Error> error;

    void set(Value next) {
      place = nullptr;
      value = std::move(next);
      error.reset();
    }
    void set_place(const document::Value* next) {
      place = next;
      error.reset();
    }
  };

  bool fail(Error error) {
    if (!stopped_) error_ = std::move(error);
    return false;
  }
  // After the last step that the limits allow, every evaluation fails and nothing absorbs it.
  bool stop(ErrorCode code, const char* message) {
    if (!stopped_) error_ = {code, message};
    stopped_ = true;
    return false;
  }
  bool charge(std::uint64_t cost) {
    cost_ += cost;
    if (limits_.cost_max == 0 || cost_ <= limits_.cost_max) return true;
    return stop(ErrorCode::too_large, "operation cancelled: actual cost limit exceeded");
  }
  // Costs count a concatenation of lists as 1, however long they are; memory has a limit of its own.
  bool account(const Value& made) {
    made_bytes_ += made_bytes(made);
    if (made_bytes_ <= kMadeBytesMax) return true;
    return stop(ErrorCode::too_large, "operation cancelled: it makes too much data");
  }
  static bool give(Value value, Value& out) {
    out = std::move(value);
    return true;
  }
  bool take(Result<Value> result, Value& out) {
    if (!result.ok()) return fail(std::move(result).error());
    out = std::move(result).value();
    return true;
  }

  bool eval(const Node& node, Value& out) {
    if (node.is_constant) {
      out = node.value;
      return true;
    }
    if (stopped_) return false;
    switch (node.kind) {
      case NodeKind::literal:
        return give(node.value, out);
      case NodeKind::identifier:
        return chain_value(node, true, out);
      case NodeKind::select:
        return node.presence_test ? presence(node, out) : chain_value(node, true, out);
      case NodeKind::call:
        return call(node, out);
      case NodeKind::list:
        return list(node, out);
      case NodeKind::map:
        return map(node, out);
      case NodeKind::message:
        return message(node, out);
      case NodeKind::comprehension:
        return comprehension(node, out);
    }
    return fail(bad("unexpected expression"));
  }

  bool chain_value(const Node& node, bool whole, Value& out) {
    Link link;
    if (!chain(node, whole, link)) return false;
    out = std::move(link).value();
    return true;
  }
  // The same of an operand that may be no chain.
  bool operand(const Node& node, Link& out) {
    return is_chain(node) && !node.is_constant ? !stopped_ && chain(node, true, out) : eval(node, out.own);
  }

  bool identifier(const Node& node, Link& out) {
    if (node.name_kind == NameKind::constant) {
      out.held = &node.value;
    } else if (node.name_kind == NameKind::local) {
      const Local& local = locals_[node.slot];
      if (local.error != nullptr) return fail(*local.error);
      out.place = local.place;
      if (out.place == nullptr) out.held = &local.value;
    } else if (node.name_kind == NameKind::variable && variables_[node.slot] != nullptr) {
      out.held = variables_[node.slot];
    } else {
      return fail(bad("no such attribute(s): " + node.name));
    }
    return true;
  }

  // A chain of selections; its first link costs 1 unless `whole` is false.
  bool chain(const Node& node, bool whole, Link& out) {
    if (node.kind == NodeKind::identifier) {
      if (whole && node.name_kind != NameKind::constant && !charge(1)) return false;
      return identifier(node, out);
    }
    const Node& before = *node.children[0];
    if (is_chain(before)) {
      if (!chain(before, whole, out)) return false;
    } else {
      if (!eval(before, out.own)) return false;
      const bool conditional = before.kind == NodeKind::call && before.call == CallKind::conditional;
      if (whole && !conditional && !charge(1)) return false;
    }
    if (out.is(Kind::unknown)) return true;
    if (node.kind == NodeKind::select) return charge(1) && field(node, out);
    const Node& key_node = *node.children[1];
    const bool optional = node.call != CallKind::index;
    if (!key_node.is_constant) {
      Value key;
      if (!eval(key_node, key)) return false;
      if (key.is(Kind::unknown)) return lead_to(std::move(key), out);
      if (!is_chain(key_node) && !charge(1)) return false;
      return step(out, key, optional, false);
    }
    const bool found = step(out, key_node.value, optional, node.call == CallKind::optional_select);
    const bool absent = optional && found && out.is(Kind::optional) && out.own.as_optional() == nullptr;
    return (absent || charge(1)) && found;
  }

  static bool lead_to(Value value, Link& out) {
    out.place = nullptr;
    out.held = nullptr;
    out.own = std::move(value);
    return true;
  }

  bool field(const Node& node, Link& at) {
    const document::Value* document = at.document();
    if (document == nullptr || !document->is_map()) return step(at, node.value, false, true);
    at.place = document->find(node.key);
    return at.place != nullptr || fail(bad("no such key: " + node.name));
  }

  // One selection, from what `at` leads to. On an optional, or asked for with '?', what is absent is optional.none().
  bool step(Link& at, const Value& key, bool optional, bool is_field) {
    const document::Value* document = optional ? nullptr : at.document();
    if (document != nullptr && document->is_map() && key.is(Kind::string)) {
      const document::Value* found = document->find(key.as_string());
      if (found == nullptr) return fail(bad("no such key: " + shown_key(key)));
      at.place = found;
      return true;
    }
    if (document != nullptr && document->is_list() && key.is(Kind::integer) && key.as_int() >= 0 &&
        static_cast<std::uint64_t>(key.as_int()) < document->size()) {
      at.place = &document->items()[static_cast<std::size_t>(key.as_int())];
      return true;
    }
    const Value on = std::move(at).value();
    at = Link();
    return take(selected(on, key, optional, is_field), at.own);
  }

  bool presence(const Node& node, Value& out) {
    const Node& before = *node.children[0];
    Link link;
    if (!(is_chain(before) ? chain(before, false, link) : eval(before, link.own))) return false;
    if (link.is(Kind::unknown)) return give(std::move(link).value(), out);
    if (!charge(program_.environment->options.presence_test_has_cost ? 2 : 1)) return false;
    const document::Value* document = link.document();
    if (document != nullptr && document->is_map()) return give(Value(document->contains(node.key)), out);
    return take(has_selected(std::move(link).value(), node.value), out);
  }

  bool call(const Node& node, Value& out) {
    switch (node.call) {
      case CallKind::logical_or:
        return logical(node, true, out);
      case CallKind::logical_and:
        return logical(node, false, out);
      case CallKind::conditional:
        return conditional(node, out);
      case CallKind::index:
      case CallKind::optional_index:
      case CallKind::optional_select:
        return chain_value(node, true, out);
      case CallKind::equal:
      case CallKind::not_equal:
        return equality(node, out);
      case CallKind::not_strictly_false:
        return not_strictly_false(node, out);
      case CallKind::optional_or:
      case CallKind::optional_or_value:
        return optional_or(node, out);
      case CallKind::append:
        return append(node, out);
      case CallKind::map_insert:
        return map_insert(node, out);
      case CallKind::function:
        return function(node, out);
    }
    return fail(no_such_overload());
  }

  // cel-spec, "Logical Operators": one side that decides makes errors and unknowns of the other irrelevant.
  bool logical(const Node& node, bool deciding, Value& out) {
    std::unique_ptr<Error> error;
    Value unknown;
    for (const NodePtr& term : node.children) {
      if (const Value* held = held_boolean(*term)) {
        if (!charge(1)) return false;
        if (held->as_bool() == deciding) return give(Value(deciding), out);
        continue;
      }
      Value value;
      const bool ok = eval(*term, value);
      if (stopped_) return false;
      if (!ok) {
        if (error == nullptr) error = std::make_unique<Error>(std::move(error_));
      } else if (value.is(Kind::unknown)) {
        if (!unknown.is(Kind::unknown)) unknown = std::move(value);
      } else if (!value.is(Kind::boolean)) {
        if (error == nullptr) error = std::make_unique<Error>(no_such_overload());
      } else if (value.as_bool() == deciding) {
        return give(Value(deciding), out);
      }
    }
    if (unknown.is(Kind::unknown)) return give(std::move(unknown), out);
    if (error != nullptr) return fail(std::move(*error));
    return give(Value(!deciding), out);
  }

  bool conditional(const Node& node, Value& out) {
    Value condition;
    if (!eval(*node.children[0], condition)) return false;
    if (condition.is(Kind::unknown)) return give(std::move(condition), out);
    if (!condition.is(Kind::boolean)) return fail(no_such_overload());
    const Node& branch = *node.children[condition.as_bool() ? 1 : 2];
    if (stopped_) return false;
    return is_chain(branch) && !branch.is_constant ? chain_value(branch, false, out) : eval(branch, out);
  }

  // Both sides are evaluated, and the comparison costs something even when one fails.
  bool equality(const Node& node, Value& out) {
    Value left, right;
    const bool left_ok = eval(*node.children[0], left);
    if (stopped_) return false;
    Error left_error = left_ok ? Error{} : std::move(error_);
    const bool right_ok = eval(*node.children[1], right);
    if (stopped_) return false;
    const bool both = left_ok && right_ok && !left.is(Kind::object);
    if (!charge(both ? string_cost(std::min(actual_size(left), actual_size(right))) : 1)) return false;
    if (!left_ok) return fail(std::move(left_error));
    if (left.is(Kind::unknown)) return give(std::move(left), out);
    if (!right_ok) return false;
    if (right.is(Kind::unknown)) return give(std::move(right), out);
    return give(Value(equals(left, right) == (node.call == CallKind::equal)), out);
  }

  // The value of a variable of a comprehension that is true or false, which is what most accumulators are. Reading it
  // costs 1, which is the caller's to charge.
  const Value* held_boolean(const Node& node) {
    if (node.kind != NodeKind::identifier || node.name_kind != NameKind::local || stopped_) return nullptr;
    const Local& local = locals_[node.slot];
    return local.error == nullptr && local.place == nullptr && local.value.is(Kind::boolean) ? &local.value : nullptr;
  }

  bool not_strictly_false(const Node& node, Value& out) {
    if (const Value* held = held_boolean(*node.children[0])) return charge(1) && charge(1) && give(*held, out);
    Value value;
    const bool ok = eval(*node.children[0], value);
    if (stopped_ || !charge(1)) return false;
    return give(Value(!ok || !value.is(Kind::boolean) || value.as_bool()), out);
  }

  bool optional_or(const Node& node, Value& out) {
    Value left;
    if (!eval(*node.children[0], left)) return false;
    if (left.is(Kind::unknown)) return give(std::move(left), out);
    if (!left.is(Kind::optional)) return give(std::move(left), out);  // cel-go: what is no optional is what it is
    const bool unwraps = node.call == CallKind::optional_or_value;
    if (left.as_optional() != nullptr) return give(unwraps ? Value(*left.as_optional()) : left, out);
    Value right;
    if (!eval(*node.children[1], right)) return false;
    if (!unwraps && !right.is(Kind::optional) && !right.is(Kind::unknown)) return fail(no_such_overload());
    return give(std::move(right), out);
  }

  bool negation(const Node& node, Value& out) {
    if (!eval(*node.children[0], out)) return failed_argument(node, 0, out);
    if (out.is(Kind::unknown)) return true;
    if (!out.is(Kind::boolean)) return fail(no_such_overload());
    return (node.is_free || charge(1)) && give(Value(!out.as_bool()), out);
  }

  bool function(const Node& node, Value& out) {
    if (node.name.starts_with('!')) return negation(node, out);
    Slots<Value, 3> arguments(node.children.size());
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      if (!eval(*node.children[i], arguments[i])) return failed_argument(node, i, out);
      if (arguments[i].is(Kind::unknown)) return give(std::move(arguments[i]), out);
    }
    const std::span<const Value> given = arguments.first(arguments.size());
    for (const Overload* overload : node.overloads) {
      if (overload->member != node.member || !overload->call || !all_accepted(*overload, given)) continue;
      Result<Value> result = overload->call(given);
      if (!node.is_free && !account_for(node, *overload, given, result)) return false;
      return take(std::move(result), out);
    }
    return fail(no_such_overload());
  }

  bool account_for(const Node& node, const Overload& overload, std::span<const Value> given,
                   const Result<Value>& result) {
    const bool known = overload.cost != nullptr && (overload.cost_by_name || node.overloads.size() == 1);
    const Value none;
    const std::uint64_t cost = known ? overload.cost(given, result.ok() ? *result : none) : 1;
    return charge(cost) && (!result.ok() || account(*result));
  }

  // Calls of one or two arguments cost something even when one fails, and both are evaluated.
  bool failed_argument(const Node& node, std::size_t which, Value& out) {
    if (stopped_ || node.is_free || node.children.size() > 2) return false;
    if (which + 1 < node.children.size()) {
      Error error = std::move(error_);
      Value other;
      if (eval(*node.children[which + 1], other) && other.is(Kind::unknown)) return give(std::move(other), out);
      fail(std::move(error));
    }
    if (!stopped_) charge(1);
    return false;
  }

  static bool all_accepted(const Overload& overload, std::span<const Value> arguments) {
    if (overload.parameters.size() != arguments.size()) return false;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      if (!accepts(overload.parameters[i], arguments[i])) return false;
    }
    return true;
  }

  // An element of a list, map or message. `optional`: it is marked with '?', and may be nothing.
  bool entry_of(Value value, bool optional, std::optional<Value>& out) {
    if (!optional) {
      out = std::move(value);
      return true;
    }
    if (!value.is(Kind::optional)) return fail(bad("cannot initialize optional entry from non-optional value"));
    if (value.as_optional() != nullptr) out = *value.as_optional();
    return true;
  }

  bool list(const Node& node, Value& out) {
    std::vector<Value> items;
    items.reserve(node.children.size());
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      Value item;
      if (!eval(*node.children[i], item)) return false;
      if (item.is(Kind::unknown)) return give(std::move(item), out);
      std::optional<Value> inner;
      if (!entry_of(std::move(item), node.optional[i], inner)) return false;
      if (inner) items.push_back(*std::move(inner));
    }
    return charge(kListCost) && give(Value::list(std::move(items)), out);
  }

  bool map(const Node& node, Value& out) {
    std::vector<std::pair<Value, Value>> entries;
    for (std::size_t i = 0; i < node.optional.size(); ++i) {
      Value key, value;
      if (!eval(*node.children[2 * i], key) || !eval(*node.children[2 * i + 1], value)) return false;
      if (key.is(Kind::unknown)) return give(std::move(key), out);
      if (value.is(Kind::unknown)) return give(std::move(value), out);
      std::optional<Value> inner;
      if (!entry_of(std::move(value), node.optional[i], inner)) return false;
      if (inner) entries.emplace_back(std::move(key), *std::move(inner));
    }
    return charge(kMapCost) && take(Value::map(std::move(entries)), out);
  }

  bool message(const Node& node, Value& out) {
    std::vector<std::pair<std::string, Value>> fields;
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      Value value;
      if (!eval(*node.children[i], value)) return false;
      if (value.is(Kind::unknown)) return give(std::move(value), out);
      std::optional<Value> inner;
      if (!entry_of(std::move(value), node.optional[i], inner)) return false;
      if (inner) fields.emplace_back(node.fields[i], *std::move(inner));
    }
    if (!charge(kMessageCost)) return false;
    if (node.name_kind == NameKind::unresolved) return fail(bad("unknown type: " + node.name));
    return take(program_.environment->options.types->make(node.name, fields), out);
  }

  // The accumulator itself, so that nobody else holds it and it may grow in place.
  bool take_accumulator(const Node& node, Value& out) {
    Local& local = locals_[node.slot];
    if (local.error != nullptr) return fail(*local.error);
    out = local.place != nullptr ? Value::from(*local.place) : std::move(local.value);
    local.set(Value());
    return true;
  }

  // accumulator + [element]: grows in place, as nobody else holds the accumulator.
  bool append(const Node& node, Value& out) {
    if (!charge(1)) return false;
    const Node& list_node = *node.children[1];
    Value element;
    if (list_node.is_constant)
      element = list_node.value.item(0);
    else if (!eval(*list_node.children[0], element) || !charge(kListCost))
      return false;
    if (!charge(1)) return false;
    const Local& local = locals_[node.children[0]->slot];
    if (local.error == nullptr && element.is(Kind::unknown)) return give(std::move(element), out);
    Value accumulator;
    if (!take_accumulator(*node.children[0], accumulator)) return false;
    if (ListData* own = ValueAccess::own_list(accumulator)) {
      own->items.push_back(std::move(element));
      return give(std::move(accumulator), out);
    }
    if (!accumulator.is(Kind::list)) return fail(no_such_overload());
    std::vector<Value> items;
    for (std::size_t i = 0; i < accumulator.size(); ++i) items.push_back(accumulator.item(i));
    items.push_back(std::move(element));
    return give(Value::list(std::move(items)), out);
  }

  bool map_insert(const Node& node, Value& out) {
    if (!charge(2)) return false;
    const std::size_t count = node.children.size() - 1;
    Value arguments[2];
    for (std::size_t i = 0; i < count && i < 2; ++i)
      if (!eval(*node.children[i + 1], arguments[i])) return false;
    Value accumulator;
    if (!take_accumulator(*node.children[0], accumulator)) return false;
    std::vector<std::pair<Value, Value>> added;
    if (count == 2) {
      added.emplace_back(std::move(arguments[0]), std::move(arguments[1]));
    } else if (!arguments[0].is(Kind::map)) {
      return fail(no_such_overload());
    } else {
      for (std::size_t i = 0; i < arguments[0].size(); ++i) added.push_back(arguments[0].entry(i));
    }
    return take(insert_all(std::move(accumulator), std::move(added)), out);
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

  bool comprehension(const Node& node, Value& out) {
    Link range;
    if (!operand(*node.children[0], range)) return false;
    if (range.is(Kind::unknown)) return give(std::move(range).value(), out);
    const document::Value* document = range.document();
    const bool in_document = document != nullptr && document->is_list();
    const Value values = in_document ? Value() : std::move(range).value();
    if (!in_document && !values.is(Kind::map) && !values.is(Kind::list))
      return fail(bad("got '" + values.type().str() + "', expected iterable type"));
    if (!accumulate(*node.children[1], node.accumulator_slot)) return false;
    const bool endless =
        node.children[2]->is_constant && node.children[2]->value.is(Kind::boolean) && node.children[2]->value.as_bool();
    const std::size_t size = in_document ? document->size() : values.size();
    for (std::size_t i = 0; i < size; ++i) {
      bool more = true;
      if (!endless && !goes_on(*node.children[2], more)) return false;
      if (!more) break;
      if (endless && locals_[node.accumulator_slot].error != nullptr) break;  // nothing absorbs it any more
      if (in_document)
        bind_item(node, document->items()[i], i);
      else
        bind_iteration(node, values, i);
      if (!accumulate(*node.children[3], node.accumulator_slot) || !may_go_on()) return false;
    }
    return eval(*node.children[4], out);
  }

  // False only when a limit is met: an error is kept where the accumulator is.
  bool accumulate(const Node& node, std::uint32_t slot) {
    Value value;
    const bool ok = eval(node, value);
    if (stopped_) return false;
    locals_[slot].set(std::move(value));
    if (!ok) locals_[slot].error = std::make_unique<Error>(std::move(error_));
    return true;
  }

  bool goes_on(const Node& condition, bool& more) {
    Value value;
    if (!eval(condition, value)) return false;
    if (!value.is(Kind::boolean)) return fail(no_such_overload());
    more = value.as_bool();
    return true;
  }

  void bind_item(const Node& node, const document::Value& item, std::size_t i) {
    const bool two = !node.iteration_variable2.empty();
    if (two) locals_[node.iteration_slot].set(Value(static_cast<std::int64_t>(i)));
    locals_[two ? node.iteration_slot2 : node.iteration_slot].set_place(&item);
  }
  void bind_iteration(const Node& node, const Value& range, std::size_t i) {
    const bool two = !node.iteration_variable2.empty();
    if (range.is(Kind::map)) {
      auto [key, value] = range.entry(i);
      locals_[node.iteration_slot].set(std::move(key));
      if (two) locals_[node.iteration_slot2].set(std::move(value));
    } else {
      if (two) locals_[node.iteration_slot].set(Value(static_cast<std::int64_t>(i)));
      locals_[two ? node.iteration_slot2 : node.iteration_slot].set(range.item(i));
    }
  }

  bool may_go_on() {
    if (limits_.cancelled == nullptr || ++steps_ % kStepsBetweenChecks != 0 || !(*limits_.cancelled)()) return true;
    return stop(ErrorCode::timeout, "operation interrupted");
  }

  const Program::Impl& program_;
  const Limits& limits_;
  Slots<const Value*, 4> variables_;
  Slots<Local, 4> locals_;
  std::uint64_t cost_ = 0;
  std::uint64_t made_bytes_ = 0;
  std::uint32_t steps_ = 0;
  bool stopped_ = false;
  Error error_{};  // of the last step that failed
};

}  // namespace

Outcome evaluate(const Program::Impl& program, const Bindings& bindings, const Limits& limits) {
  return Evaluator(program, bindings, limits).run();
}

}  // namespace caisson::cel
