// SPDX-License-Identifier: Apache-2.0
// cel::Value: what a CEL expression computes with.
//
// Strings, lists and maps that come from a document::Value are views: they share the document, nothing is copied. A
// view may carry the Type of its schema, which then gives `format: date-time` fields as timestamps and so on; that Type
// (held by the Environment or by the caller) must outlive the Value. Any thread, as for document::Value.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"
#include "core/expr/cel/type.h"

namespace caisson::cel {

class Value;

// Between 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999999Z.
struct Timestamp {
  std::int64_t seconds = 0;  // since 1970
  std::int32_t nanos = 0;    // 0 to 999,999,999
  auto operator<=>(const Timestamp&) const = default;
};

// A value of a type that a library or the caller defines: an IP address, a message, the authorizer.
// Threads: const members may be called from any thread.
class Object {
 public:
  virtual ~Object() = default;
  virtual Type type() const = 0;
  virtual bool equals(const Object& other) const = 0;
  virtual Result<Value> field(std::string_view name) const;     // Errors: bad_request "no such field 'x'"
  virtual Result<bool> has_field(std::string_view name) const;  // as has() tells it
  virtual bool is_zero() const { return false; }                // for optional.ofNonZeroValue
  virtual std::uint64_t size() const { return 1; }              // for costs
  virtual Result<document::Value> to_document() const;          // bad_request unless overridden
};

struct ListData;
struct MapData;

struct View {  // of a list or map of a document
  document::Value document;
  const TypeNode* schema = nullptr;
  TypeKind kind = TypeKind::dyn;  // list, map, object or dyn
};

enum class Kind : std::uint8_t {
  null,
  boolean,
  integer,
  unsigned_integer,
  floating,
  string,
  bytes,
  timestamp,
  duration,
  list,
  map,
  type,
  optional,
  object,
  unknown
};

class Value {
 public:
  Value() = default;  // null
  Value(bool value) : data_(value) {}
  Value(std::int64_t value) : data_(value) {}
  Value(std::uint64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(int) = delete;  // say which: std::int64_t(…)
  Value(Timestamp value) : data_(value) {}
  Value(Duration value) : data_(value) {}
  Value(Type value) : data_(std::move(value)) {}
  Value(std::shared_ptr<const Object> value) : data_(std::move(value)) {}
  Value(const void*) = delete;
  static Value string(std::string_view text);
  static Value bytes(std::string bytes);
  static Value list(std::vector<Value> items);
  // Errors: bad_request for a key that is no bool, int, uint or string, and for a repeated one (1 and 1u are the same).
  static Result<Value> map(std::vector<std::pair<Value, Value>> entries);
  static Value optional(std::optional<Value> value);
  static Value unknown(std::string variable);
  static Value from(const document::Value& document);  // shares; integers are int, floats double
  static Value from(const document::Value& document, const Type& type);

  Kind kind() const;
  bool is(Kind k) const { return kind() == k; }
  // REQUIRES the kind that the name says.
  bool as_bool() const { return *std::get_if<bool>(&data_); }
  std::int64_t as_int() const { return *std::get_if<std::int64_t>(&data_); }
  std::uint64_t as_uint() const { return *std::get_if<std::uint64_t>(&data_); }
  double as_double() const { return *std::get_if<double>(&data_); }
  std::string_view as_string() const;  // UTF-8; valid while this Value lives
  std::string_view as_bytes() const;
  Timestamp as_timestamp() const { return *std::get_if<Timestamp>(&data_); }
  Duration as_duration() const { return *std::get_if<Duration>(&data_); }
  const Type& as_type() const { return *std::get_if<Type>(&data_); }
  const Object& as_object() const { return **std::get_if<std::shared_ptr<const Object>>(&data_); }
  const Value* as_optional() const;  // nullptr: none
  std::string_view unknown_variable() const;

  // --- lists and maps
  std::size_t size() const;                                // items or entries
  Value item(std::size_t index) const;                     // of a list; REQUIRES index < size()
  std::pair<Value, Value> entry(std::size_t index) const;  // of a map, in its order
  std::optional<Value> find(const Value& key) const;       // of a map; 1, 1u and 1.0 are the same key
  const View* view() const { return std::get_if<View>(&data_); }

  Type type() const;                            // as type(x) gives it: lists and maps without parameters
  Result<document::Value> to_document() const;  // as JSON: bytes in base64, timestamps in RFC 3339, durations "1.5s"
  std::string debug_string() const;             // for tests and messages: [1, 2u, "a"]

 private:
  friend struct ValueAccess;
  struct Text {
    document::Value text;
  };
  struct Optional {
    std::shared_ptr<const Value> value;
  };
  struct Unknown {
    std::shared_ptr<const std::string> variable;
  };
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, Text, std::shared_ptr<const std::string>,
               Timestamp, Duration, View, std::shared_ptr<const ListData>, std::shared_ptr<const MapData>, Type,
               Optional, std::shared_ptr<const Object>, Unknown>
      data_;
};

// CEL's ==: numbers of different types compare by value, lists and maps deeply, other kinds are unequal.
bool equals(const Value& a, const Value& b);
// CEL's <: less, equal, greater; nothing when the kinds have no order or a NaN is met.
std::optional<int> compare(const Value& a, const Value& b);

}  // namespace caisson::cel
