// SPDX-License-Identifier: Apache-2.0
// Names, by cel-spec 0.24 "Name Resolution": locals first, then each container from the innermost, the longest
// qualified name first.
#include <algorithm>

#include "core/document/keys.h"
#include "core/expr/cel/environment.h"

namespace caisson::cel {
namespace {

class Resolver {
 public:
  explicit Resolver(Program::Impl& program) : program_(program), environment_(*program.environment) {}

  void visit(Node& node) {
    switch (node.kind) {
      case NodeKind::literal:
        return;
      case NodeKind::identifier:
        identifier(node, node.name);
        return;
      case NodeKind::select:
        select(node);
        return;
      case NodeKind::call:
        call(node);
        return;
      case NodeKind::comprehension:
        comprehension(node);
        return;
      case NodeKind::message:
        message(node);
        break;
      case NodeKind::list:
      case NodeKind::map:
        break;
    }
    for (const NodePtr& child : node.children) visit(*child);
  }

 private:
  struct Local {
    std::string name;
    std::uint32_t slot;
  };

  const Local* find_local(std::string_view name) const {
    const auto found =
        std::find_if(locals_.rbegin(), locals_.rend(), [&](const Local& local) { return local.name == name; });
    return found == locals_.rend() ? nullptr : &*found;
  }
  bool begins_with_local(std::string_view qualified) const {
    return find_local(qualified.substr(0, qualified.find('.'))) != nullptr;
  }

  // Makes `node` the identifier that `name` leads to.
  bool identifier(Node& node, const std::string& name) {
    if (const Local* local = find_local(name)) {
      node.name_kind = NameKind::local;
      node.slot = local->slot;
      return true;
    }
    for (const std::string& candidate : environment_.candidates(name)) {
      if (variable(node, candidate) || constant(node, candidate)) {
        node.kind = NodeKind::identifier;
        node.name = candidate;
        node.children.clear();
        return true;
      }
    }
    return false;
  }

  bool variable(Node& node, const std::string& name) {
    const auto& known = environment_.options.variables;
    const auto found = std::find_if(known.begin(), known.end(), [&](const Variable& v) { return v.name == name; });
    if (found == known.end()) return false;
    auto& used = program_.variables;
    const auto slot = std::find(used.begin(), used.end(), name);
    node.name_kind = NameKind::variable;
    node.slot = static_cast<std::uint32_t>(slot - used.begin());
    node.type = found->type;
    if (slot == used.end()) used.push_back(name);
    return true;
  }

  bool constant(Node& node, const std::string& name) {
    std::optional<Value> value = standard_type(name);
    const auto& provider = environment_.options.types;
    if (!value && provider != nullptr) {
      if (auto type = provider->find_type(name)) value = Value(*std::move(type));
      if (!value) value = provider->find_constant(name);
    }
    if (!value) return false;
    node.name_kind = NameKind::constant;
    node.is_constant = true;
    node.type = value->is(Kind::type) ? Type::type_of(value->as_type()) : value->type();
    node.value = *std::move(value);
    return true;
  }

  std::optional<Value> standard_type(const std::string& name) const {
    for (const TypeKind kind : {TypeKind::boolean, TypeKind::integer, TypeKind::unsigned_integer, TypeKind::floating,
                                TypeKind::string, TypeKind::bytes, TypeKind::list, TypeKind::map, TypeKind::null,
                                TypeKind::type, TypeKind::timestamp, TypeKind::duration}) {
      if (Type(kind).name() == name) return Value(Type(kind));
    }
    for (const auto& [function, overloads] : environment_.functions) {
      for (const Overload& overload : overloads) {
        if (overload.result.is(TypeKind::opaque) && overload.result.name() == name) return Value(Type::opaque(name));
      }
    }
    return std::nullopt;
  }

  void select(Node& node) {
    node.key = document::intern(node.name);
    const std::string qualified = qualified_name(node);
    if (!qualified.empty() && !begins_with_local(qualified) && identifier(node, qualified)) return;
    node.value = Value::string(node.name);  // the key that is looked for
    visit(*node.children[0]);
  }

  void call(Node& node) {
    if (node.member) {
      const std::string prefix = qualified_name(*node.children[0]);
      if (!prefix.empty() && !begins_with_local(prefix) && find_function(node, prefix + "." + node.name)) {
        node.member = false;
        node.children.erase(node.children.begin());
      } else {
        find_function(node, node.name);
      }
    } else {
      find_function(node, node.name);
    }
    if (node.member && node.name == "or" && !node.overloads.empty()) node.call = CallKind::optional_or;
    if (node.member && node.name == "orValue" && !node.overloads.empty()) node.call = CallKind::optional_or_value;
    for (const NodePtr& child : node.children) visit(*child);
  }

  // Collects all overloads: the checker (or the first arguments seen) picks.
  bool find_function(Node& node, const std::string& name) {
    for (const std::string& candidate : environment_.candidates(name)) {
      const auto* overloads = environment_.find_function(candidate);
      if (overloads == nullptr) continue;
      node.name = candidate;
      for (const Overload& overload : *overloads) node.overloads.push_back(&overload);
      return true;
    }
    return false;
  }

  void message(Node& node) {
    const auto& provider = environment_.options.types;
    for (const std::string& candidate : environment_.candidates(node.name)) {
      if (provider == nullptr || !provider->find_type(candidate)) continue;
      node.name = candidate;
      node.name_kind = NameKind::constant;
      return;
    }
  }

  std::uint32_t push(std::string name) {
    const std::uint32_t slot = static_cast<std::uint32_t>(locals_.size());
    locals_.push_back({std::move(name), slot});
    program_.locals = std::max(program_.locals, slot + 1);
    return slot;
  }

  void comprehension(Node& node) {
    visit(*node.children[0]);
    visit(*node.children[1]);
    const std::size_t outside = locals_.size();
    node.accumulator_slot = push(node.accumulator);
    const std::size_t inside = locals_.size();
    node.iteration_slot = push(node.iteration_variable);
    if (!node.iteration_variable2.empty()) node.iteration_slot2 = push(node.iteration_variable2);
    visit(*node.children[2]);
    visit(*node.children[3]);
    locals_.resize(inside);
    visit(*node.children[4]);
    locals_.resize(outside);
  }

  Program::Impl& program_;
  const Environment::Impl& environment_;
  std::vector<Local> locals_;
};

}  // namespace

void resolve(Program::Impl& program) {
  Resolver(program).visit(*program.root);
}

}  // namespace caisson::cel
