// SPDX-License-Identifier: Apache-2.0
// The messages that the CEL conformance suite uses, as a TypeProvider: TestAllTypes of proto2 and proto3, whose fields'
// types follow from their names (single_int32, repeated_string, map_bool_duration), and protobuf's well-known types.
#pragma once
#include <cfloat>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>

#include "conformance/cel/textproto.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/expr/cel/cel.h"
#include "core/expr/cel/value_data.h"

namespace caisson::conformance {

using cel::Kind;
using cel::Type;
using cel::TypeKind;

inline Error refused(std::string why) {
  return {ErrorCode::bad_request, std::move(why)};
}

// A field's type: a scalar's or message's name, alone, repeated or as a map's value.
struct FieldKind {
  std::string name;  // "int32", "google.protobuf.Any", "….NestedEnum"
  enum class Shape { single, repeated, map } shape = Shape::single;
  std::string key;            // of a map
  bool has_presence = false;  // set to its default is told from unset
  std::string default_text;
};

inline bool is_enum(std::string_view name) {
  return name.ends_with("Enum");
}
inline bool is_well_known(std::string_view name) {
  return name.starts_with("google.protobuf.");
}
inline std::string wrapped_scalar(std::string_view name) {
  static const std::map<std::string, std::string, std::less<>> kWrappers = {
      {"google.protobuf.BoolValue", "bool"},     {"google.protobuf.BytesValue", "bytes"},
      {"google.protobuf.DoubleValue", "double"}, {"google.protobuf.FloatValue", "float"},
      {"google.protobuf.Int32Value", "int32"},   {"google.protobuf.Int64Value", "int64"},
      {"google.protobuf.StringValue", "string"}, {"google.protobuf.UInt32Value", "uint32"},
      {"google.protobuf.UInt64Value", "uint64"}};
  const auto found = kWrappers.find(name);
  return found == kWrappers.end() ? "" : found->second;
}

class Messages : public cel::TypeProvider, public std::enable_shared_from_this<Messages> {
 public:
  std::optional<Type> find_type(std::string_view name) const override;
  std::optional<Type> find_field(std::string_view type, std::string_view field) const override;
  std::optional<cel::Value> find_constant(std::string_view name) const override;
  Result<cel::Value> make(std::string_view type,
                          std::span<const std::pair<std::string, cel::Value>> fields) const override;

  std::optional<FieldKind> field(std::string_view message, std::string_view field) const;
  cel::Value default_of(const FieldKind& field) const;
  // A message's value from its text form.
  Result<cel::Value> read(std::string_view type, const Proto& text) const;
  Result<cel::Value> read_any(const Proto& text) const;
  Result<cel::Value> unpack(std::string_view type_url, std::string_view bytes) const;  // of an Any

 private:
  static Type type_of(const std::string& name);
  // A field's value, made to fit; nothing when a null leaves the field unset.
  Result<std::optional<cel::Value>> fit(const FieldKind& field, const cel::Value& value) const;
  Result<cel::Value> fit_one(const std::string& name, const cel::Value& value) const;
  Result<cel::Value> read_field(const FieldKind& field, const Proto& text) const;
};

class Message : public cel::Object {
 public:
  Message(std::shared_ptr<const Messages> types, std::string name, std::map<std::string, cel::Value> fields)
      : types_(std::move(types)), name_(std::move(name)), fields_(std::move(fields)) {}
  Type type() const override { return Type::object(name_); }
  bool equals(const Object& other) const override {
    const auto* message = dynamic_cast<const Message*>(&other);
    if (message == nullptr || message->name_ != name_ || message->fields_.size() != fields_.size()) return false;
    for (const auto& [name, value] : fields_) {
      const auto found = message->fields_.find(name);
      if (found == message->fields_.end() || !cel::equals(value, found->second)) return false;
    }
    return true;
  }
  Result<cel::Value> field(std::string_view name) const override {
    const auto kind = types_->field(name_, name);
    if (!kind) return refused("no such field '" + std::string(name) + "'");
    const auto found = fields_.find(std::string(name));
    return found != fields_.end() ? found->second : types_->default_of(*kind);
  }
  Result<bool> has_field(std::string_view name) const override {
    if (!types_->field(name_, name)) return refused("no such field '" + std::string(name) + "'");
    return fields_.contains(std::string(name));
  }
  bool is_zero() const override { return fields_.empty(); }
  const std::map<std::string, cel::Value>& fields() const { return fields_; }

 private:
  std::shared_ptr<const Messages> types_;
  std::string name_;
  std::map<std::string, cel::Value> fields_;
};

}  // namespace caisson::conformance
