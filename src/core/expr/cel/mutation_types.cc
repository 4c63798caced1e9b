// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/mutation_types.h"

#include <algorithm>

namespace caisson::cel {
namespace {

constexpr std::string_view kObject = "Object", kJsonPatch = "JSONPatch";

bool is_object_type(std::string_view name) {
  return name == kObject || name.starts_with("Object.");
}

class Made final : public Object {
 public:
  using Fields = std::vector<std::pair<std::string, Value>>;
  Made(std::string name, Fields fields) : name_(std::move(name)), fields_(std::move(fields)) {}

  const std::string& name() const { return name_; }
  const Fields& fields() const { return fields_; }

  Type type() const override { return Type::object(name_); }
  bool equals(const Object& other) const override {
    const auto mine = to_document(), theirs = other.to_document();
    return mine.ok() && theirs.ok() && *mine == *theirs;
  }
  Result<Value> field(std::string_view name) const override {
    for (const auto& [key, value] : fields_)
      if (key == name) return value;
    return Error{ErrorCode::bad_request, "no such field '" + std::string(name) + "'"};
  }
  Result<bool> has_field(std::string_view name) const override {
    return std::any_of(fields_.begin(), fields_.end(), [&](const auto& field) { return field.first == name; });
  }
  Result<document::Value> to_document() const override {
    document::Value out = document::Value::map();
    for (const auto& [key, value] : fields_) {
      const Value* inner = value.is(Kind::optional) ? value.as_optional() : &value;
      if (inner == nullptr) continue;
      document::Value member = TRY(inner->to_document());
      out.set(key, std::move(member));
    }
    return out;
  }

 private:
  const std::string name_;
  const Fields fields_;
};

class MutationTypes final : public TypeProvider {
 public:
  std::optional<Type> find_type(std::string_view name) const override {
    if (name == kJsonPatch || is_object_type(name)) return Type::object(std::string(name));
    return {};
  }
  std::optional<Type> find_field(std::string_view type, std::string_view field) const override {
    if (type != kJsonPatch) return Type();
    if (field == "value") return Type();
    if (field == "op" || field == "path" || field == "from") return Type(TypeKind::string);
    return {};
  }
  std::optional<Value> find_constant(std::string_view) const override { return {}; }
  Result<Value> make(std::string_view type, std::span<const std::pair<std::string, Value>> fields) const override {
    return Value(std::shared_ptr<const Object>(
        std::make_shared<const Made>(std::string(type), Made::Fields(fields.begin(), fields.end()))));
  }
};

Result<void> check_below(const Value& value, const std::string& path) {
  if (value.is(Kind::object)) {
    const auto* made = dynamic_cast<const Made*>(&value.as_object());
    if (made == nullptr) return {};
    if (made->name() != path)
      return Error{ErrorCode::bad_request, "unexpected type name \"" + made->name() + "\", expected \"" + path +
                                               "\", which matches field name path from root Object type"};
    for (const auto& [name, field] : made->fields()) TRY(check_below(field, path + "." + name));
  } else if (value.is(Kind::optional)) {
    if (value.as_optional() != nullptr) return check_below(*value.as_optional(), path);
  } else if (value.viewed() == nullptr && value.is(Kind::list)) {  // a view of a document holds no Objects
    for (std::size_t i = 0; i < value.size(); ++i) TRY(check_below(value.item(i), path));
  } else if (value.viewed() == nullptr && value.is(Kind::map)) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      const auto [key, member] = value.entry(i);
      TRY(check_below(member, path + "." + (key.is(Kind::string) ? std::string(key.as_string()) : key.debug_string())));
    }
  }
  return {};
}

}  // namespace

std::shared_ptr<const TypeProvider> mutation_types() {
  return std::make_shared<const MutationTypes>();
}

Result<void> check_type_names(const Value& value) {
  if (!value.is(Kind::object)) return {};
  const auto* made = dynamic_cast<const Made*>(&value.as_object());
  return made == nullptr ? Result<void>() : check_below(value, made->name());
}

}  // namespace caisson::cel
