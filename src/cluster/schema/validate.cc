// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/validate.h"

#include <re2/re2.h>

#include "cluster/schema/checks.h"
#include "cluster/schema/place.h"
#include "cluster/schema/rules.h"
#include "cluster/schema/rules_cel.h"
#include "cluster/schema/rules_update.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;

std::string number_text(double number) {
  return number == static_cast<double>(static_cast<std::int64_t>(number))
             ? std::to_string(static_cast<std::int64_t>(number))
             : Value(number).scalar_text();
}

bool empty_value(const Value& value) {
  if (value.is_null()) return true;
  if (value.is_string()) return value.as_string().empty();
  return (value.is_list() || value.is_map()) && value.empty();
}

std::string_view type_name(FieldType type) {
  switch (type) {
    case FieldType::boolean:
      return "boolean";
    case FieldType::integer:
      return "integer";
    case FieldType::number:
      return "number";
    case FieldType::string:
      return "string";
    case FieldType::list:
      return "array";
    case FieldType::map:
    case FieldType::object:
      return "object";
    case FieldType::int_or_string:
      return "integer,string";
    case FieldType::any:
      break;
  }
  return "any";
}

bool has_type(const Field& field, const Value& value) {
  switch (field.type) {
    case FieldType::any:
      return true;
    case FieldType::boolean:
      return value.is_bool();
    case FieldType::integer:
      return value.is_int() || (value.is_number() && value.as_double() == static_cast<double>(value.as_int()));
    case FieldType::number:
      return value.is_number();
    case FieldType::string:
      return value.is_string() || (field.format == Format::quantity && value.is_number());
    case FieldType::int_or_string:
      return value.is_int() || value.is_string();
    case FieldType::list:
      return value.is_list();
    case FieldType::map:
    case FieldType::object:
      return value.is_map();
  }
  return true;
}

std::string_view json_type(const Value& value) {
  switch (value.kind()) {
    case ValueKind::null:
      return "null";
    case ValueKind::boolean:
      return "boolean";
    case ValueKind::integer:
      return "integer";
    case ValueKind::floating:
      return "number";
    case ValueKind::string:
      return "string";
    case ValueKind::list:
      return "array";
    case ValueKind::map:
      return "object";
  }
  return "";
}

// A CRD's words differ from those of the built-in kinds: they are kube-openapi's.
class Walk {
 public:
  explicit Walk(Errors& out) : out_(out) {}

  void field(const Field& field, const Value& value, const Place& at, bool custom) {
    if (value.is_null()) {
      if (custom && !field.nullable && field.type != FieldType::any) wrong_type(field, value, at.str());
      return;
    }
    if (!has_type(field, value)) return wrong_type(field, value, at.str());
    if (field.constraints) constraints(field, value, at.str(), custom);
    if (field.type == FieldType::object && field.object) {
      object(*field.object, value, at);
    } else if (field.type == FieldType::map && field.element) {
      for (const auto& [name, child] : value.entries())
        this->field(*field.element, child, Place::key(at, name), custom);
    } else if (field.type == FieldType::list && field.element) {
      for (std::size_t i = 0; i < value.size(); ++i) this->field(*field.element, value[i], Place::item(at, i), custom);
      if (custom && field.list_type != ListType::atomic) duplicates(field, value, at.str());
    }
  }

  void object(const ObjectType& type, const Value& value, const Place& at) {
    for (const Member& member : type.members) {
      const Value* child = value.find(member.name);
      const Place place = Place::member(at, member.name);
      if (member.non_empty ? !child || empty_value(*child) : !child && type.in_crd && member.required) {
        out_.push_back(required_value(place.str()));
        continue;
      }
      if (child) field(*member.field, *child, place, type.in_crd);
    }
  }

 private:
  void wrong_type(const Field& field, const Value& value, const std::string& path) {
    const std::string type(json_type(value));
    out_.push_back({FieldError::Type::type_invalid, path, Value(type),
                    path + " in body must be of type " + std::string(type_name(field.type)) + ": \"" + type + "\""});
  }

  void duplicates(const Field& field, const Value& value, const std::string& path) {
    std::vector<Value> seen;
    for (std::size_t i = 0; i < value.size(); ++i) {
      Value key = value[i];
      if (field.list_type == ListType::map) {
        key = Value::map();
        for (const std::string& name : field.list_keys) key.set(name, value[i][name]);
      }
      for (const Value& other : seen) {
        if (!(other == key)) continue;
        out_.push_back(duplicate_value(path + "[" + std::to_string(i) + "]", key));
        break;
      }
      seen.push_back(std::move(key));
    }
  }

  void constraints(const Field& field, const Value& value, const std::string& path, bool custom) {
    const Constraints& c = *field.constraints;
    bool allowed = c.allowed.empty();
    for (const Value& one : c.allowed) allowed = allowed || one == value;
    if (!allowed && (custom || !value.as_string().empty())) {
      std::vector<std::string> texts;
      for (const Value& one : c.allowed) texts.push_back(one.scalar_text());
      out_.push_back(unsupported_value(path, value, texts));
    }
    if (value.is_number()) numbers(c, value, path, custom);
    if (value.is_string()) texts(c, value, path);
    if (value.is_list()) {
      const auto size = static_cast<std::int64_t>(value.size());
      if (c.items_max && size > *c.items_max) {
        out_.push_back({FieldError::Type::too_many, path, Value(size),
                        "must have at most " + std::to_string(*c.items_max) + " items"});
      }
      if (c.items_min && size < *c.items_min) {
        out_.push_back(invalid_value(
            path, Value(size), path + " in body should have at least " + std::to_string(*c.items_min) + " items"));
      }
    }
    if (value.is_map()) {
      const auto size = static_cast<std::int64_t>(value.size());
      if (c.properties_max && size > *c.properties_max) {
        out_.push_back({FieldError::Type::too_many, path, Value(size),
                        "must have at most " + std::to_string(*c.properties_max) + " items"});
      }
      if (c.properties_min && size < *c.properties_min) {
        out_.push_back(
            invalid_value(path, Value(size),
                          path + " in body should have at least " + std::to_string(*c.properties_min) + " properties"));
      }
    }
    if (!c.check.empty()) run_check(c.check, path, value, out_);
  }

  void numbers(const Constraints& c, const Value& value, const std::string& path, bool custom) {
    const double number = value.as_double();
    const std::string in_body = custom ? path + " in body should be " : "must be ";
    if (c.minimum && (number < *c.minimum || (c.exclusive_minimum && number == *c.minimum))) {
      out_.push_back(invalid_value(
          path, value,
          in_body + (c.exclusive_minimum ? "greater than " : "greater than or equal to ") + number_text(*c.minimum)));
    }
    if (c.maximum && (number > *c.maximum || (c.exclusive_maximum && number == *c.maximum))) {
      out_.push_back(invalid_value(
          path, value,
          in_body + (c.exclusive_maximum ? "less than " : "less than or equal to ") + number_text(*c.maximum)));
    }
    if (c.multiple_of && *c.multiple_of != 0) {
      const double times = number / *c.multiple_of;
      if (times != static_cast<double>(static_cast<std::int64_t>(times))) {
        out_.push_back(
            invalid_value(path, value, path + " in body should be a multiple of " + number_text(*c.multiple_of)));
      }
    }
  }

  void texts(const Constraints& c, const Value& value, const std::string& path) {
    std::int64_t length = 0;
    for (char byte : value.as_string()) length += (byte & 0xC0) != 0x80;
    if (c.length_max && length > *c.length_max) {
      out_.push_back({FieldError::Type::too_long, path, Value(),
                      "may not be more than " + std::to_string(*c.length_max) + " bytes"});
    }
    if (c.length_min && length < *c.length_min) {
      out_.push_back(invalid_value(
          path, value, path + " in body should be at least " + std::to_string(*c.length_min) + " chars long"));
    }
    if (!c.pattern.empty()) {
      const re2::RE2 pattern(c.pattern, re2::RE2::Quiet);
      if (!pattern.ok() ||
          !re2::RE2::PartialMatch(re2::StringPiece(value.as_string().data(), value.as_string().size()), pattern)) {
        out_.push_back(invalid_value(path, value, path + " in body should match '" + c.pattern + "'"));
      }
    }
  }

  Errors& out_;
};

// What Go has in the place of an absent member that is no pointer.
const Value& go_zero(const Member& member, const Value& value) {
  static const Value kEmpty("");
  return value.is_null() && member.omits_zero && member.field->type == FieldType::string ? kEmpty : value;
}

void immutable(const Field& field, const Value& before, const Value& after, const Place& at, Errors& out) {
  if (before.shares_with(after)) return;
  if (field.immutable || field.set_once) {
    const bool selector = field.object && field.object->name.ends_with(".LabelSelector");
    if ((field.immutable || !empty_value(before)) && !(before == after))
      out.push_back(invalid_value(at.str(), selector ? shown_selector(after) : after, "field is immutable"));
    return;
  }
  if (field.type != FieldType::object || !field.object || !before.is_map() || !after.is_map()) return;
  for (const Member& member : field.object->members) {
    immutable(*member.field, before[member.name], go_zero(member, after[member.name]), Place::member(at, member.name),
              out);
  }
}

// As Go's %#v of the same value: lists and maps of strings have their Go types; of structs ours shows the JSON.
std::string go_text(const Value& value) {
  const std::string_view text = value.as_string();
  if (text.starts_with(FieldError::kAsItStands)) return std::string(text.substr(1));
  if (value.is_null()) return "\"null\"";  // field.Error makes a text of nil
  const auto strings = [](const auto& all, auto get) {
    return std::all_of(all.begin(), all.end(), [&](const auto& one) { return get(one).is_string(); });
  };
  std::vector<std::string> parts;
  if (value.is_list() && strings(value.items(), [](const Value& v) -> const Value& { return v; })) {
    for (const Value& item : value.items()) parts.push_back(json::write(item));
    return "[]string{" + join(parts, ", ") + "}";
  }
  if (value.is_map()) return json::write(Value(json::write(value)));
  if (value.is_list()) {
    for (const Value& item : value.items()) parts.push_back(json::write(item));
    return "[]v1.Object{" + join(parts, ", ") + "}";
  }
  return json::write(value);
}

}  // namespace

std::string_view FieldError::reason() const {
  switch (type) {
    case Type::not_found:
      return "FieldValueNotFound";
    case Type::required:
      return "FieldValueRequired";
    case Type::duplicate:
      return "FieldValueDuplicate";
    case Type::invalid:
      return "FieldValueInvalid";
    case Type::not_supported:
      return "FieldValueNotSupported";
    case Type::forbidden:
      return "FieldValueForbidden";
    case Type::too_long:
      return "FieldValueTooLong";
    case Type::too_many:
      return "FieldValueTooMany";
    case Type::type_invalid:
      return "FieldValueTypeInvalid";
    case Type::internal:
      return "InternalError";
  }
  return "";
}

std::string FieldError::body() const {
  static constexpr std::string_view kWords[] = {
      "Not found", "Required value", "Duplicate value", "Invalid value", "Unsupported value",
      "Forbidden", "Too long",       "Too many",        "Invalid value", "Internal error"};
  std::string out(kWords[static_cast<int>(type)]);
  const bool shown = type != Type::required && type != Type::forbidden && type != Type::too_long &&
                     type != Type::internal && bad_value.as_string() != kAsItStands;
  if (shown) out += ": " + go_text(bad_value);
  if (!detail.empty()) out += ": " + detail;
  return out;
}

std::string FieldError::str() const {
  return (field.empty() ? "[]" : field) + ": " + body();
}

namespace {

// What is walked by the schema: upstream looks at the pods of a StatefulSet only when they are made.
Value walked(const KindSchema& kind, const Value& object) {
  Value out = object;
  if (kind.resource == kStatefulSets && object["spec"]["template"].is_map())
    out.edit({"spec", "template"}).erase("spec");
  return out;
}

// All but metadata.
Errors validate_body(const KindSchema& kind, const Value& whole) {
  Errors out;
  const Place root;
  const Value object = walked(kind, whole);
  for (const Member& member : kind.root().object->members) {
    if (member.name == "metadata" || member.name == "apiVersion" || member.name == "kind") continue;
    const Value* child = object.find(member.name);
    const bool custom = kind.root().object->in_crd;
    if (member.non_empty ? !child || empty_value(*child) : !child && custom && member.required) {
      out.push_back(required_value(std::string(member.name)));
    } else if (child) {
      Walk(out).field(*member.field, *child, Place::member(root, member.name), custom);
    }
  }
  if (!kind.custom) check_kind(kind, whole, out);
  return out;
}

}  // namespace

std::vector<FieldError> validate(const KindSchema& kind, const Value& object) {
  Errors out;
  check_metadata(kind, object, out);
  const Errors body = validate_body(kind, object);
  out.insert(out.end(), body.begin(), body.end());
  check_cel_rules(kind, nullptr, object, out);
  return out;
}

std::vector<FieldError> validate_update(const KindSchema& kind, const Value& before, const Value& after) {
  Errors metadata, changes;
  check_metadata(kind, after, metadata);
  Errors out = as_often_as_upstream(kind, metadata, validate_body(kind, after));
  const Place root;
  check_metadata_update(before, after, changes);
  for (const Member& member : kind.root().object->members) {
    if (member.name == "metadata") continue;
    immutable(*member.field, before[member.name], go_zero(member, after[member.name]), Place::member(root, member.name),
              changes);
  }
  if (!kind.custom) check_kind_update(kind, before, after, changes);
  out.insert(out.end(), changes.begin(), changes.end());
  check_cel_rules(kind, &before, after, out);
  return out;
}

std::string invalid_message(const KindSchema& kind, std::string_view name, const std::vector<FieldError>& errors) {
  std::string out = kind.resource.kind + (kind.resource.group.empty() ? "" : "." + kind.resource.group) + " \"" +
                    std::string(name) + "\" is invalid: ";
  std::vector<std::string> texts;  // aggregated as apimachinery does: equal ones once
  for (const FieldError& error : errors) {
    std::string text = error.str();
    if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(std::move(text));
  }
  return out + (texts.size() == 1 ? texts[0] : "[" + join(texts, ", ") + "]");
}

Value causes(const std::vector<FieldError>& errors) {
  Value out = Value::list();
  for (const FieldError& error : errors) {
    out.push_back(Value{
        {"reason", error.reason()}, {"message", error.body()}, {"field", error.field.empty() ? "[]" : error.field}});
  }
  return out;
}

}  // namespace caisson::schema
