// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/type.h"

#include <algorithm>

namespace caisson::cel {
namespace {

std::string_view kind_name(TypeKind kind) {
  switch (kind) {
    case TypeKind::dyn:
      return "dyn";
    case TypeKind::error:
      return "!error!";
    case TypeKind::null:
      return "null_type";
    case TypeKind::boolean:
      return "bool";
    case TypeKind::integer:
      return "int";
    case TypeKind::unsigned_integer:
      return "uint";
    case TypeKind::floating:
      return "double";
    case TypeKind::string:
      return "string";
    case TypeKind::bytes:
      return "bytes";
    case TypeKind::timestamp:
      return "google.protobuf.Timestamp";
    case TypeKind::duration:
      return "google.protobuf.Duration";
    case TypeKind::list:
      return "list";
    case TypeKind::map:
      return "map";
    case TypeKind::type:
      return "type";
    case TypeKind::wrapper:
      return "wrapper";
    case TypeKind::parameter:
    case TypeKind::object:
    case TypeKind::opaque:
      break;
  }
  return "";
}

}  // namespace

Type Type::from(TypeKind kind, TypeNode node) {
  Type type(kind);
  type.node_ = std::make_shared<const TypeNode>(std::move(node));
  return type;
}
Type Type::list(Type element) {
  return from(TypeKind::list, {.parameters = {std::move(element)}});
}
Type Type::map(Type key, Type value) {
  return from(TypeKind::map, {.parameters = {std::move(key), std::move(value)}});
}
Type Type::optional(Type value) {
  return opaque("optional_type", {std::move(value)});
}
Type Type::type_of(Type type) {
  return from(TypeKind::type, {.parameters = {std::move(type)}});
}
Type Type::wrapper(TypeKind scalar) {
  return from(TypeKind::wrapper, {.parameters = {Type(scalar)}});
}
Type Type::parameter(std::string name) {
  return from(TypeKind::parameter, {.name = std::move(name)});
}
Type Type::opaque(std::string name, std::vector<Type> parameters) {
  return from(TypeKind::opaque, {.name = std::move(name), .parameters = std::move(parameters)});
}
Type Type::object(std::string name) {
  return from(TypeKind::object, {.name = std::move(name)});
}

bool Type::is_optional() const {
  return kind_ == TypeKind::opaque && name() == "optional_type";
}

std::string_view Type::name() const {
  return node_ != nullptr && !node_->name.empty() ? std::string_view(node_->name) : kind_name(kind_);
}

const std::vector<Type>& Type::parameters() const {
  static const std::vector<Type> none;
  return node_ == nullptr ? none : node_->parameters;
}

const Type& Type::parameter_at(std::size_t i) const {
  static const Type dyn;
  return i < parameters().size() ? parameters()[i] : dyn;
}

std::string Type::str() const {
  if (kind_ == TypeKind::null) return "null";
  if (kind_ == TypeKind::timestamp) return "timestamp";
  if (kind_ == TypeKind::duration) return "duration";
  std::string out(name());
  if (parameters().empty()) return out;
  for (std::size_t i = 0; i < parameters().size(); ++i) out += (i == 0 ? "(" : ", ") + parameters()[i].str();
  return out + ")";
}

bool Type::operator==(const Type& other) const {
  if (kind_ != other.kind_) return false;
  if (node_ == other.node_) return true;
  return name() == other.name() && parameters() == other.parameters();
}

const Field* TypeNode::find(std::string_view field) const {
  const auto found = std::lower_bound(fields.begin(), fields.end(), field,
                                      [](const Field& a, std::string_view name) { return a.name < name; });
  return found != fields.end() && found->name == field ? &*found : nullptr;
}

const Field* TypeNode::find_key(std::string_view key) const {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.key == key; });
  return found != fields.end() ? &*found : nullptr;
}

}  // namespace caisson::cel
