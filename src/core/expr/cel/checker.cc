// SPDX-License-Identifier: Apache-2.0
// Gradual type checking, with cel-go's words for what it finds.
#include <algorithm>

#include "core/expr/cel/environment.h"
#include "core/expr/cel/regex.h"
#include "core/expr/cel/unify.h"
#include "core/expr/cel/value_data.h"

namespace caisson::cel {
namespace {

std::string quoted(const Type& type) {
  return "'" + type.str() + "'";
}

class Checker {
 public:
  Checker(Program::Impl& program, Findings& findings)
      : program_(program), environment_(*program.environment), findings_(findings), locals_(program.locals) {}

  void run() {
    visit(*program_.root);
    program_.result = types_.apply(program_.root->type, true);
  }

 private:
  void visit(Node& node) {
    switch (node.kind) {
      case NodeKind::literal:
        node.type = node.value.type();
        return;
      case NodeKind::identifier:
        identifier(node);
        return;
      case NodeKind::select:
        select(node);
        return;
      case NodeKind::call:
        call(node);
        return;
      case NodeKind::list:
        list(node);
        return;
      case NodeKind::map:
        map(node);
        return;
      case NodeKind::message:
        message(node);
        return;
      case NodeKind::comprehension:
        comprehension(node);
        return;
    }
  }

  void undeclared(const Node& node, std::string_view name) {
    findings_.add(node.offset, "undeclared reference to '" + std::string(name) + "' (in container '" +
                                   environment_.options.container + "')");
  }
  void mismatch(const Node& node, const Type& expected, const Type& actual) {
    findings_.add(node.offset, "expected type " + quoted(expected) + " but found " + quoted(actual));
  }

  void identifier(Node& node) {
    if (node.name_kind == NameKind::local) {
      node.type = locals_[node.slot];
    } else if (node.name_kind == NameKind::unresolved) {
      undeclared(node, node.name);
      node.type = TypeKind::error;
    }
  }

  void select(Node& node) {
    const Type type = select_field(node, *node.children[0], node.name, false);
    node.type = node.presence_test ? Type(TypeKind::boolean) : types_.apply(type, false);
  }

  Type select_field(const Node& node, Node& operand, const std::string& field, bool optional) {
    visit(operand);
    const Type operand_type = types_.apply(operand.type, false);
    const bool chained = operand_type.is_optional();
    const Type target = chained ? operand_type.parameter_at(0) : operand_type;
    Type result = TypeKind::error;
    switch (target.kind()) {
      case TypeKind::map:
        result = target.parameter_at(1);
        break;
      case TypeKind::object:
        result = field_type(node, target, field);
        break;
      case TypeKind::parameter:
        types_.assign(Type(), target);
        result = Type();
        break;
      case TypeKind::dyn:
      case TypeKind::error:
        result = Type();
        break;
      default:
        findings_.add(node.offset, "type " + quoted(target) + " does not support field selection");
        result = Type();
    }
    return chained || optional ? Type::optional(result) : result;
  }

  Type field_type(const Node& node, const Type& object, const std::string& field) {
    if (object.node()->has_fields) {
      if (const Field* found = object.node()->find(field)) return found->type;
    } else if (const auto& provider = environment_.options.types; provider != nullptr) {
      if (auto found = provider->find_field(object.name(), field)) return *std::move(found);
    }
    findings_.add(node.offset, "undefined field '" + field + "'");
    return TypeKind::error;
  }

  void call(Node& node) {
    if (node.call == CallKind::optional_select) {
      node.type = types_.apply(
          select_field(node, *node.children[0], std::string(node.children[1]->value.as_string()), true), false);
      return;
    }
    // What a text is formatted with may be of several types.
    const bool formats = node.member && node.name == "format";
    formatting_ += formats;
    for (const NodePtr& child : node.children) visit(*child);
    formatting_ -= formats;
    if (node.overloads.empty()) {
      undeclared(node, node.name);
      node.type = TypeKind::error;
      return;
    }
    if (node.call == CallKind::logical_or || node.call == CallKind::logical_and) {
      logical(node);
      return;
    }
    overload(node);
    if (environment_.options.literals_checked) check_literal(node);
  }

  void logical(Node& node) {
    node.type = TypeKind::boolean;
    for (const NodePtr& term : node.children) {
      if (types_.assign(term->type, Type(TypeKind::boolean))) continue;
      mismatch(*term, TypeKind::boolean, term->type);
      node.type = TypeKind::error;
    }
  }

  void overload(Node& node) {
    std::vector<Type> arguments;
    for (const NodePtr& child : node.children) arguments.push_back(child->type);
    std::vector<const Overload*> fitting;
    std::optional<Type> result;
    for (const Overload* candidate : node.overloads) {
      if (candidate->member != node.member || candidate->parameters.size() != arguments.size()) continue;
      Type candidate_result = candidate->result;
      std::vector<Type> parameters = candidate->parameters;
      instantiate(parameters, candidate_result);
      if (!types_.assign(arguments, parameters)) continue;
      fitting.push_back(candidate);
      const Type found = types_.apply(candidate_result, false);
      if (!result)
        result = found;
      else if (!result->is_dyn() && !(*result == found))
        result = Type();
    }
    if (!result) {
      no_match(node, arguments);
      return;
    }
    node.overloads = std::move(fitting);
    node.type = *std::move(result);
  }

  // Each use of an overload has parameters of its own.
  void instantiate(std::vector<Type>& parameters, Type& result) {
    Substitution names;
    std::vector<std::string> seen;
    const auto collect = [&](const auto& self, const Type& type) -> void {
      if (type.is(TypeKind::parameter)) {
        const std::string name(type.name());
        if (std::find(seen.begin(), seen.end(), name) != seen.end()) return;
        seen.push_back(name);
        names.bind(name, types_.fresh());
      }
      for (const Type& part : type.parameters()) self(self, part);
    };
    for (const Type& parameter : parameters) collect(collect, parameter);
    collect(collect, result);
    if (seen.empty()) return;
    for (Type& parameter : parameters) parameter = names.apply(parameter, false);
    result = names.apply(result, false);
  }

  void no_match(Node& node, const std::vector<Type>& arguments) {
    std::string shown;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const std::string type = types_.apply(arguments[i], true).str();
      if (node.member && i == 0) {
        shown += type + ".(";
        continue;
      }
      if (i == 0) shown += "(";
      shown += (i > (node.member ? 1u : 0u) ? ", " : "") + type;
    }
    if (arguments.empty()) shown += "(";
    findings_.add(node.offset, "found no matching overload for '" + node.name + "' applied to '" + shown + ")'");
    node.type = TypeKind::error;
  }

  void check_literal(const Node& node) {
    const bool is_matches = node.name == "matches" && node.children.size() == 2;
    if (!is_matches && ((node.name != "duration" && node.name != "timestamp") || node.children.size() != 1)) return;
    const Node& argument = *node.children.back();
    if (argument.kind != NodeKind::literal || !argument.value.is(Kind::string)) return;
    const std::string_view text = argument.value.as_string();
    const bool good = is_matches                ? Regex::compile(text).ok()
                      : node.name == "duration" ? parse_go_duration(text).has_value()
                                                : parse_timestamp(text).has_value();
    if (!good) findings_.add(argument.offset, "invalid " + node.name + " argument");
  }

  std::optional<Type> join(const Node& node, const std::optional<Type>& previous, const Type& current) {
    if (!previous) return current;
    const bool must_agree = environment_.options.homogeneous_literals && formatting_ == 0;
    const bool one_is_dyn = types_.apply(*previous, false).is_dyn() != types_.apply(current, false).is_dyn();
    if (!(must_agree && one_is_dyn) && types_.assign(*previous, current)) return most_general(*previous, current);
    if (!must_agree) return Type();
    mismatch(node, *previous, current);
    return Type(TypeKind::error);
  }

  // What an entry marked with '?' holds.
  Type unwrapped(const Node& value) {
    const Type type = types_.apply(value.type, false);
    if (type.is_optional()) return type.parameter_at(0);
    if (!type.is_dyn()) mismatch(value, Type::optional(type), type);
    return type;
  }

  void list(Node& node) {
    std::optional<Type> element;
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      Node& child = *node.children[i];
      visit(child);
      element = join(child, element, node.optional[i] ? unwrapped(child) : child.type);
    }
    node.type = Type::list(element ? *element : types_.fresh());
  }

  void map(Node& node) {
    std::optional<Type> key, value;
    for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
      visit(*node.children[i]);
      key = join(*node.children[i], key, node.children[i]->type);
      Node& child = *node.children[i + 1];
      visit(child);
      value = join(child, value, node.optional[i / 2] ? unwrapped(child) : child.type);
    }
    const Type key_type = key ? *key : types_.fresh();
    node.type = Type::map(key_type, value ? *value : types_.fresh());
  }

  void message(Node& node) {
    const auto& provider = environment_.options.types;
    if (node.name_kind == NameKind::unresolved) {
      undeclared(node, node.name);
      node.type = TypeKind::error;
      return;
    }
    node.type = *provider->find_type(node.name);
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      Node& child = *node.children[i];
      visit(child);
      const auto field = provider->find_field(node.name, node.fields[i]);
      if (!field) {
        findings_.add(child.offset, "undefined field '" + node.fields[i] + "'");
        continue;
      }
      const Type value = node.optional[i] ? unwrapped(child) : child.type;
      if (!types_.assign(*field, value))
        findings_.add(child.offset, "expected type of field '" + node.fields[i] + "' is " + quoted(*field) +
                                        " but provided type is " + quoted(types_.apply(value, true)));
    }
  }

  void comprehension(Node& node) {
    visit(*node.children[0]);
    visit(*node.children[1]);
    const Type range = types_.apply(node.children[0]->type, false);
    const Type accumulator = node.children[1]->type;
    Type first, second;
    const bool two = !node.iteration_variable2.empty();
    switch (range.kind()) {
      case TypeKind::list:
        first = two ? Type(TypeKind::integer) : range.parameter_at(0);
        second = range.parameter_at(0);
        break;
      case TypeKind::map:
        first = range.parameter_at(0);
        second = range.parameter_at(1);
        break;
      case TypeKind::dyn:
      case TypeKind::error:
      case TypeKind::parameter:
        types_.assign(Type(), range);
        break;
      default:
        findings_.add(node.children[0]->offset,
                      "expression of type " + quoted(range) +
                          " cannot be range of a comprehension (must be list, map, or dynamic)");
        first = second = TypeKind::error;
    }
    locals_[node.accumulator_slot] = accumulator;
    locals_[node.iteration_slot] = first;
    if (two) locals_[node.iteration_slot2] = second;
    visit(*node.children[2]);
    must_be(*node.children[2], TypeKind::boolean);
    visit(*node.children[3]);
    must_be(*node.children[3], accumulator);
    locals_[node.accumulator_slot] = accumulator;
    visit(*node.children[4]);
    node.type = types_.apply(node.children[4]->type, false);
  }

  void must_be(const Node& node, const Type& type) {
    if (!types_.assign(type, node.type)) mismatch(node, type, node.type);
  }

  Program::Impl& program_;
  const Environment::Impl& environment_;
  Findings& findings_;
  std::vector<Type> locals_;
  Substitution types_;
  int formatting_ = 0;
};

}  // namespace

void check(Program::Impl& program, Findings& findings) {
  Checker(program, findings).run();
}

}  // namespace caisson::cel
