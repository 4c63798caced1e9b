// SPDX-License-Identifier: Apache-2.0
// cel::Value: what a CEL expression computes with.
//
// Strings, lists and maps that come from a document::Value are views: they share the document, nothing is copied. A
// view may carry the Type of its schema, which then gives `format: date-time` fields as timestamps and so on; that Type
// (held by the Environment or by the caller) must outlive the Value. Any thread, as for document::Value.
#pragma once
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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
  Value() noexcept {}  // null
  Value(bool value) noexcept : kind_(Kind::boolean) { payload_.boolean = value; }
  Value(std::int64_t value) noexcept : kind_(Kind::integer) { payload_.integer = value; }
  Value(std::uint64_t value) noexcept : kind_(Kind::unsigned_integer) { payload_.unsigned_integer = value; }
  Value(double value) noexcept : kind_(Kind::floating) { payload_.floating = value; }
  Value(int) = delete;  // say which: std::int64_t(…)
  Value(Timestamp value) noexcept : kind_(Kind::timestamp) { payload_.timestamp = value; }
  Value(Duration value) noexcept : kind_(Kind::duration) { payload_.duration = value; }
  Value(Type value);
  Value(std::shared_ptr<const Object> value) noexcept : Value(Kind::object, std::move(value)) {}
  Value(const void*) = delete;
  Value(const Value& other) noexcept
      : schema_(other.schema_), kind_(other.kind_), storage_(other.storage_), schema_kind_(other.schema_kind_) {
    copy_payload(other);
  }
  Value(Value&& other) noexcept
      : schema_(other.schema_), kind_(other.kind_), storage_(other.storage_), schema_kind_(other.schema_kind_) {
    take_payload(other);
  }
  Value& operator=(const Value& other) noexcept {
    Value copy(other);
    return *this = std::move(copy);
  }
  Value& operator=(Value&& other) noexcept {
    if (this == &other) return *this;
    release();
    schema_ = other.schema_;
    kind_ = other.kind_;
    storage_ = other.storage_;
    schema_kind_ = other.schema_kind_;
    take_payload(other);
    return *this;
  }
  ~Value() { release(); }

  static Value string(std::string_view text);
  static Value bytes(std::string bytes);
  static Value list(std::vector<Value> items);
  // Errors: bad_request for a key that is no bool, int, uint or string, and for a repeated one (1 and 1u are the same).
  static Result<Value> map(std::vector<std::pair<Value, Value>> entries);
  static Value optional(std::optional<Value> value);
  static Value unknown(std::string variable);
  static Value from(const document::Value& document);  // shares; integers are int, floats double
  static Value from(const document::Value& document, const Type& type);

  Kind kind() const { return kind_; }
  bool is(Kind k) const { return kind_ == k; }
  // REQUIRES the kind that the name says.
  bool as_bool() const { return payload_.boolean; }
  std::int64_t as_int() const { return payload_.integer; }
  std::uint64_t as_uint() const { return payload_.unsigned_integer; }
  double as_double() const { return payload_.floating; }
  std::string_view as_string() const { return payload_.document.as_string(); }  // UTF-8; valid while this Value lives
  std::string_view as_bytes() const { return shared<std::string>(); }
  Timestamp as_timestamp() const { return payload_.timestamp; }
  Duration as_duration() const { return payload_.duration; }
  const Type& as_type() const { return shared<Type>(); }
  const Object& as_object() const { return shared<Object>(); }
  const Value* as_optional() const { return static_cast<const Value*>(payload_.shared.get()); }  // nullptr: none
  std::string_view unknown_variable() const { return shared<std::string>(); }

  // --- lists and maps
  std::size_t size() const;                                // items or entries
  Value item(std::size_t index) const;                     // of a list; REQUIRES index < size()
  std::pair<Value, Value> entry(std::size_t index) const;  // of a map, in its order
  std::optional<Value> find(const Value& key) const;       // of a map; 1, 1u and 1.0 are the same key
  // Of a view, the document and what its schema says, if any; of anything else null.
  const document::Value* viewed() const { return is_view() ? &payload_.document : nullptr; }
  const TypeNode* schema() const { return schema_; }
  // The document of a string, or of a list or map that no schema speaks of: Value::from of it is this Value again.
  const document::Value* plain_document() const {
    return storage_ == Storage::document && schema_ == nullptr ? &payload_.document : nullptr;
  }

  Type type() const;                            // as type(x) gives it: lists and maps without parameters
  Result<document::Value> to_document() const;  // as JSON: bytes in base64, timestamps in RFC 3339, durations "1.5s"
  std::string debug_string() const;             // for tests and messages: [1, 2u, "a"]

 private:
  friend struct ValueAccess;
  enum class Storage : std::uint8_t { plain, document, shared };  // what a copy must count
  union Payload {
    Payload() noexcept : words{0, 0} {}
    ~Payload() {}
    std::uint64_t words[2];
    bool boolean;
    std::int64_t integer;
    std::uint64_t unsigned_integer;
    double floating;
    Timestamp timestamp;
    Duration duration;
    document::Value document;            // of a string, or of a view
    std::shared_ptr<const void> shared;  // bytes, ListData, MapData, Type, Value (optional), Object, unknown's name
  };
  Value(Kind kind, document::Value document) noexcept : kind_(kind), storage_(Storage::document) {
    new (&payload_.document) document::Value(std::move(document));
  }
  Value(Kind kind, std::shared_ptr<const void> shared) noexcept : kind_(kind), storage_(Storage::shared) {
    new (&payload_.shared) std::shared_ptr<const void>(std::move(shared));
  }
  template <class T>
  const T& shared() const {
    return *static_cast<const T*>(payload_.shared.get());
  }
  bool is_view() const { return storage_ == Storage::document && kind_ != Kind::string; }

  void copy_payload(const Value& other) noexcept {
    if (storage_ == Storage::plain)
      std::memcpy(static_cast<void*>(&payload_), &other.payload_, sizeof payload_);
    else if (storage_ == Storage::document)
      new (&payload_.document) document::Value(other.payload_.document);
    else
      new (&payload_.shared) std::shared_ptr<const void>(other.payload_.shared);
  }
  // Leaves null behind. Moved by its bytes, as document::Value moves them: nothing points into a payload, and the old
  // one is not destroyed.
  void take_payload(Value& other) noexcept {
    std::memcpy(static_cast<void*>(&payload_), &other.payload_, sizeof payload_);
    other.storage_ = Storage::plain;
    other.kind_ = Kind::null;
    other.schema_ = nullptr;
  }
  void release() noexcept {
    if (storage_ == Storage::document)
      payload_.document.~Value();
    else if (storage_ == Storage::shared)
      payload_.shared.~shared_ptr();
    storage_ = Storage::plain;
  }

  Payload payload_;
  const TypeNode* schema_ = nullptr;  // of a view
  Kind kind_ = Kind::null;
  Storage storage_ = Storage::plain;
  TypeKind schema_kind_ = TypeKind::dyn;  // of a view: list, map, object or dyn
};

// CEL's ==: numbers of different types compare by value, lists and maps deeply, other kinds are unequal.
bool equals(const Value& a, const Value& b);
// CEL's <: less, equal, greater; nothing when the kinds have no order or a NaN is met.
std::optional<int> compare(const Value& a, const Value& b);

}  // namespace caisson::cel
