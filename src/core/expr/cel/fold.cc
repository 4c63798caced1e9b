// SPDX-License-Identifier: Apache-2.0
// What is decided before a program runs: constants, and which values an overload takes.
#include <algorithm>

#include "core/expr/cel/environment.h"

namespace caisson::cel {
namespace {

bool is_conversion(std::string_view name) {
  static constexpr std::string_view kNames[] = {"bool", "bytes",  "double",    "duration", "dyn",
                                                "int",  "string", "timestamp", "type",     "uint"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

void make_constant(Node& node, Value value) {
  node.value = std::move(value);
  node.is_constant = true;
}

void fold_list(Node& node) {
  std::vector<Value> items;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    if (node.optional[i]) return;
    items.push_back(node.children[i]->value);
  }
  make_constant(node, Value::list(std::move(items)));
}

void fold_map(Node& node) {
  std::vector<std::pair<Value, Value>> entries;
  for (std::size_t i = 0; i < node.optional.size(); ++i) {
    if (node.optional[i]) return;
    entries.emplace_back(node.children[2 * i]->value, node.children[2 * i + 1]->value);
  }
  auto map = Value::map(std::move(entries));
  if (map.ok()) make_constant(node, std::move(map).value());
}

void fold_conversion(Node& node) {
  for (const Overload* overload : node.overloads) {
    if (!overload->call || overload->member || overload->parameters.size() != 1 ||
        !accepts(overload->parameters[0], node.children[0]->value))
      continue;
    auto value = overload->call(std::span(&node.children[0]->value, 1));
    if (value.ok()) make_constant(node, std::move(value).value());
    return;
  }
}

// `x in [constants]` is a look-up in cel-go and costs nothing.
void fold_membership(Node& node) {
  if (node.overloads.size() != 1 || !node.children[1]->value.is(Kind::list)) return;
  const Value& list = node.children[1]->value;
  if (list.size() == 0) return make_constant(node, Value(false));
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Kind kind = list.item(i).kind();
    if (kind < Kind::boolean || kind > Kind::string) return;
  }
  node.is_free = true;
}

}  // namespace

void fold_constants(Node& node) {
  bool all = true;
  for (const NodePtr& child : node.children) {
    fold_constants(*child);
    all = all && child->is_constant;
  }
  if (node.kind == NodeKind::list && all) fold_list(node);
  if (node.kind == NodeKind::map && all) fold_map(node);
  if (node.kind != NodeKind::call) return;
  if (node.name == "@in" && node.children.size() == 2 && node.children[1]->is_constant) fold_membership(node);
  if (all && node.children.size() == 1 && !node.member && is_conversion(node.name)) fold_conversion(node);
}

bool accepts(const Type& parameter, const Value& argument) {
  switch (parameter.kind()) {
    case TypeKind::dyn:
    case TypeKind::parameter:
      return true;
    case TypeKind::null:
      return argument.is(Kind::null);
    case TypeKind::boolean:
      return argument.is(Kind::boolean);
    case TypeKind::integer:
      return argument.is(Kind::integer);
    case TypeKind::unsigned_integer:
      return argument.is(Kind::unsigned_integer);
    case TypeKind::floating:
      return argument.is(Kind::floating);
    case TypeKind::string:
      return argument.is(Kind::string);
    case TypeKind::bytes:
      return argument.is(Kind::bytes);
    case TypeKind::timestamp:
      return argument.is(Kind::timestamp);
    case TypeKind::duration:
      return argument.is(Kind::duration);
    case TypeKind::list:
      return argument.is(Kind::list);
    case TypeKind::map:
      return argument.is(Kind::map);
    case TypeKind::type:
      return argument.is(Kind::type);
    case TypeKind::opaque:
      if (parameter.is_optional()) return argument.is(Kind::optional);
      return argument.is(Kind::object) && argument.as_object().type().name() == parameter.name();
    default:
      return false;
  }
}

}  // namespace caisson::cel
