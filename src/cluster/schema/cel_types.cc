// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/cel_types.h"

#include <algorithm>

#include "core/expr/cel/schema.h"

namespace caisson::schema {
namespace {

class TypeMaker {
 public:
  cel::Type of(const Field& field, const std::string& name) {
    switch (field.type) {
      case FieldType::boolean:
        return cel::TypeKind::boolean;
      case FieldType::integer:
        return cel::TypeKind::integer;
      case FieldType::number:
        return cel::TypeKind::floating;
      case FieldType::string:
        return text(field.format);
      case FieldType::list:
        return list(field, name);
      case FieldType::map:
        return cel::Type::map(cel::TypeKind::string, below(field.element, name + ".@values"));
      case FieldType::object:
        return object(field, name);
      case FieldType::any:
      case FieldType::int_or_string:
        return {};
    }
    return {};
  }

 private:
  cel::Type below(const Field* field, const std::string& name) {
    return field == nullptr ? cel::Type() : of(*field, name);
  }

  static cel::Type text(Format format) {
    switch (format) {
      case Format::time:
      case Format::micro_time:
        return cel::TypeKind::timestamp;
      case Format::byte:
        return cel::TypeKind::bytes;
      case Format::duration:
        return cel::TypeKind::duration;
      case Format::quantity:
        return {};
      default:
        return cel::TypeKind::string;
    }
  }

  cel::Type list(const Field& field, const std::string& name) {
    cel::TypeNode node{.parameters = {below(field.element, name + ".@items")}};
    if (field.list_type == ListType::set) node.list_semantics = cel::ListSemantics::set;
    if (field.list_type == ListType::map) {
      node.list_semantics = cel::ListSemantics::map;
      for (const std::string& key : field.list_keys)
        if (auto written = cel::escape_property(key)) node.list_keys.push_back(*std::move(written));
    }
    return cel::Type::from(cel::TypeKind::list, std::move(node));
  }

  cel::Type object(const Field& field, const std::string& name) {
    const ObjectType* type = field.object;
    if (type == nullptr || (type->preserve_unknown && type->members.empty())) return {};
    if (std::find(open_.begin(), open_.end(), type) != open_.end()) return {};  // it holds itself
    open_.push_back(type);
    cel::TypeNode node{.name = name};
    node.has_fields = true;
    for (const Member& member : type->members)
      if (auto written = cel::escape_property(member.name))
        node.fields.push_back({*std::move(written), std::string(member.name),
                               below(member.field, name + "." + std::string(member.name))});
    std::sort(node.fields.begin(), node.fields.end(),
              [](const cel::Field& a, const cel::Field& b) { return a.name < b.name; });
    open_.pop_back();
    return cel::Type::from(cel::TypeKind::object, std::move(node));
  }

  std::vector<const ObjectType*> open_;  // those that are being made, the outermost first
};

}  // namespace

cel::Type cel_type_of(const KindSchema& kind) {
  return TypeMaker().of(kind.root(), kind.resource.kind);
}

}  // namespace caisson::schema
