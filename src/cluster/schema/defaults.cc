// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/defaults.h"

#include <optional>

#include "cluster/schema/field.h"
#include "cluster/schema/place.h"
#include "core/base/quantity.h"

namespace caisson::schema {
namespace {

// Each walk gives a new value only where something changed, so that what is equal stays shared.
using Changed = std::optional<Value>;

// ---- pruning
class Pruner {
 public:
  Pruner(std::vector<std::string>* unknown, bool zero_nulls) : unknown_(unknown), zero_nulls_(zero_nulls) {}

  Changed walk(const Field& field, const Value& value, const Place& at) {
    if (value.is_map() && field.type == FieldType::object && field.object) return object(*field.object, value, at);
    if (value.is_map() && field.type == FieldType::map && field.element) return map(*field.element, value, at);
    if (value.is_list() && field.type == FieldType::list && field.element) return list(*field.element, value, at);
    return std::nullopt;
  }

 private:
  Changed object(const ObjectType& type, const Value& value, const Place& at) {
    Changed out;
    for (const auto& [name, child] : value.entries()) {
      const Member* member = type.find(name);
      if (!member && !type.preserve_unknown) {
        if (unknown_) unknown_->push_back(Place::member(at, name).str());
        edit(out, value).erase(name);
      } else if (member && child.is_null() && !member->field->nullable && member->field->type != FieldType::any) {
        edit(out, value).erase(name);
      } else if (member && member->omits_zero && is_zero(*member->field, child)) {
        edit(out, value).erase(name);
      } else if (member) {
        if (Changed next = walk(*member->field, child, Place::member(at, name))) {
          edit(out, value).set(name, std::move(*next));
        }
      }
    }
    return out;
  }
  Changed map(const Field& element, const Value& value, const Place& at) {
    Changed out;
    for (const auto& [name, child] : value.entries()) {
      if (child.is_null() && zero_nulls_)
        if (auto zero = zero_of(element)) edit(out, value).set(name, std::move(*zero));
      if (Changed next = walk(element, child, Place::member(at, name))) edit(out, value).set(name, std::move(*next));
    }
    return out;
  }
  Changed list(const Field& element, const Value& value, const Place& at) {
    Changed out;
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (value[i].is_null() && zero_nulls_)
        if (auto zero = zero_of(element)) edit(out, value).edit(i) = std::move(*zero);
      if (Changed next = walk(element, value[i], Place::item(at, i))) {
        edit(out, value).edit(i) = std::move(*next);
      }
    }
    return out;
  }
  static bool is_zero(const Field& field, const Value& value) {
    switch (field.type) {
      case FieldType::boolean:
        return value.is_bool() && !value.as_bool();
      case FieldType::integer:
        return value.is_int() && value.as_int() == 0;
      case FieldType::string:
        return field.format == Format::none && value.is_string() && value.as_string().empty();
      default:
        return false;
    }
  }
  // What Go makes of a null among the values of a map or list.
  static Changed zero_of(const Field& element) {
    if (element.nullable) return std::nullopt;
    if (element.type == FieldType::string) return Value(element.format == Format::quantity ? "0" : "");
    if (element.type == FieldType::object && element.object && !element.object->in_crd) return Value::map();
    return std::nullopt;
  }
  static Value& edit(Changed& out, const Value& from) {
    if (!out) out = from;
    return *out;
  }

  std::vector<std::string>* unknown_;
  bool zero_nulls_;
};

// ---- defaults
Changed fill(const Field& field, const Value& value);

Changed fill_object(const ObjectType& type, const Value& value) {
  Changed out;
  const auto edit = [&]() -> Value& {
    if (!out) out = value;
    return *out;
  };
  for (const Member& member : type.members) {
    const Value* child = value.find(member.name);
    // Go can't tell an empty text from an absent one.
    const bool empty_text = child && child->is_string() && child->as_string().empty() && !type.in_crd;
    if ((!child || (child->is_null() && !member.field->nullable) || empty_text) && member.field->has_default) {
      Changed deeper = fill(*member.field, member.field->default_value);
      edit().set(member.name, deeper ? std::move(*deeper) : member.field->default_value);
    } else if (child) {
      if (Changed next = fill(*member.field, *child)) edit().set(member.name, std::move(*next));
    }
  }
  if (type.derive) type.derive(value, out);
  return out;
}

Changed fill(const Field& field, const Value& value) {
  if (field.type == FieldType::object && field.object)
    return value.is_map() && field.object->fills ? fill_object(*field.object, value) : std::nullopt;
  if (!field.element || (field.element->object && !field.element->object->fills)) return std::nullopt;
  Changed out;
  if (value.is_map() && field.type == FieldType::map) {
    for (const auto& [name, child] : value.entries()) {
      if (Changed next = fill(*field.element, child)) {
        if (!out) out = value;
        out->set(name, std::move(*next));
      }
    }
  } else if (value.is_list() && field.type == FieldType::list && field.element->type != FieldType::string) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (Changed next = fill(*field.element, value[i])) {
        if (!out) out = value;
        out->edit(i) = std::move(*next);
      }
    }
  }
  return out;
}

// ---- canonical form
Changed canon(const Field& field, const Value& value) {
  if (field.format == Format::quantity) {
    const auto quantity = Quantity::parse(value.is_string() ? std::string(value.as_string()) : value.scalar_text());
    if (!quantity) return std::nullopt;
    std::string text = quantity->str();
    if (value.is_string() && text == value.as_string()) return std::nullopt;
    return Value(std::move(text));
  }
  Changed out;
  if (field.type == FieldType::object && field.object && value.is_map()) {
    if (!field.object->has_quantities) return std::nullopt;
    for (const auto& [name, child] : value.entries()) {
      const Member* member = field.object->find(name);
      if (!member) continue;
      if (Changed next = canon(*member->field, child)) {
        if (!out) out = value;
        out->set(name, std::move(*next));
      }
    }
  } else if (field.type == FieldType::map && field.element && value.is_map()) {
    for (const auto& [name, child] : value.entries()) {
      if (Changed next = canon(*field.element, child)) {
        if (!out) out = value;
        out->set(name, std::move(*next));
      }
    }
  } else if (field.type == FieldType::list && field.element && value.is_list()) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (Changed next = canon(*field.element, value[i])) {
        if (!out) out = value;
        out->edit(i) = std::move(*next);
      }
    }
  }
  return out;
}

}  // namespace

Value pruned(const KindSchema& kind, Value object, std::vector<std::string>* unknown_fields) {
  Changed out = Pruner(unknown_fields, !kind.custom).walk(kind.root(), object, Place());
  return out ? std::move(*out) : object;
}

Value with_defaults(const KindSchema& kind, Value object) {
  Changed out = fill(kind.root(), object);
  return out ? std::move(*out) : object;
}

Value canonical(const KindSchema& kind, Value object) {
  Changed out = canon(kind.root(), object);
  return out ? std::move(*out) : object;
}

}  // namespace caisson::schema
