// SPDX-License-Identifier: Apache-2.0
// The types of mutations: Object, Object.spec, Object.spec.containers … and JSONPatch. Their fields are dyn: what
// they make is checked when it is laid over the object.
#include <algorithm>

#include "security/policy/cel_environment.h"

namespace caisson::policy {
namespace {

class Message final : public cel::Object {
 public:
  Message(std::string name, std::vector<std::pair<std::string, cel::Value>> fields)
      : name_(std::move(name)), fields_(std::move(fields)) {}
  cel::Type type() const override { return cel::Type::object(name_); }
  bool equals(const cel::Object& other) const override {
    const auto mine = to_document(), theirs = other.to_document();
    return mine.ok() && theirs.ok() && *mine == *theirs;
  }
  Result<cel::Value> field(std::string_view name) const override {
    for (const auto& [key, value] : fields_)
      if (key == name) return value;
    return Error{ErrorCode::bad_request, "no such field '" + std::string(name) + "'"};
  }
  Result<bool> has_field(std::string_view name) const override {
    return std::any_of(fields_.begin(), fields_.end(), [&](const auto& field) { return field.first == name; });
  }
  Result<Value> to_document() const override {
    Value out = Value::map();
    for (const auto& [key, value] : fields_) {
      const cel::Value* inner = value.is(cel::Kind::optional) ? value.as_optional() : &value;
      if (inner == nullptr) continue;
      Value member = TRY(inner->to_document());
      out.set(key, std::move(member));
    }
    return out;
  }

 private:
  std::string name_;
  std::vector<std::pair<std::string, cel::Value>> fields_;
};

class MutationTypes final : public cel::TypeProvider {
 public:
  std::optional<cel::Type> find_type(std::string_view name) const override {
    if (name == "JSONPatch" || name == "Object" || name.starts_with("Object."))
      return cel::Type::object(std::string(name));
    return {};
  }
  std::optional<cel::Type> find_field(std::string_view, std::string_view) const override { return cel::Type(); }
  std::optional<cel::Value> find_constant(std::string_view) const override { return {}; }
  Result<cel::Value> make(std::string_view type,
                          std::span<const std::pair<std::string, cel::Value>> fields) const override {
    return cel::Value(std::shared_ptr<const cel::Object>(std::make_shared<const Message>(
        std::string(type), std::vector<std::pair<std::string, cel::Value>>(fields.begin(), fields.end()))));
  }
};

}  // namespace

std::shared_ptr<const cel::TypeProvider> cel_types() {
  return std::make_shared<const MutationTypes>();
}

}  // namespace caisson::policy
