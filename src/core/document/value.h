// SPDX-License-Identifier: Apache-2.0
// Value: the one document value of the program. YAML, JSON, patches, templates, policies and API objects all work on
// it.
//
// Immutable and shared: copying is a count; an edit copies only what is shared (copy on write), so a Value that
// somebody else holds never changes. Maps keep insertion order and intern their keys; strings of up to 14 bytes live
// inside the 16-byte Value. Numbers keep integer/float identity and, where the source was YAML, their source text
// (`number_text`).
//
// Threads: const members may be called from any thread; an edit needs the object for itself, as for std::string.
// Reading never fails: what is absent or of another kind reads as null, "", 0, false or empty. Whoever must know asks
// kind().
#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace caisson::document {

enum class ValueKind : std::uint8_t { null, boolean, integer, floating, string, list, map };
std::string_view kind_name(ValueKind kind);  // "null", "boolean", "integer", "number", "string", "list", "map"

class Value;
struct MapEntry;

class Value {
 public:
  constexpr Value() noexcept : word_{0}, tail_{0}, more_{0}, tag_{0} {}
  Value(std::nullptr_t) noexcept : Value() {}
  Value(bool value) noexcept;
  Value(int value) noexcept : Value(static_cast<std::int64_t>(value)) {}
  Value(unsigned value) noexcept : Value(static_cast<std::int64_t>(value)) {}
  Value(long value) noexcept : Value(static_cast<long long>(value)) {}
  Value(long long value) noexcept;
  Value(unsigned long value) noexcept : Value(static_cast<long long>(value)) {}
  Value(double value) noexcept;
  Value(std::string_view value);
  Value(const char* value) : Value(std::string_view(value)) {}
  Value(const std::string& value) : Value(std::string_view(value)) {}
  Value(std::vector<Value> items);  // a list
  Value(std::initializer_list<std::pair<std::string_view, Value>>
            entries);  // a map; later duplicates replace earlier ones
  static Value list() { return Value(std::vector<Value>{}); }
  static Value list_of(const std::vector<std::string>& strings);
  static Value map();
  static Value number(double value, std::string_view source_text);  // a float that remembers how it was written
  static Value number(std::int64_t value, std::string_view source_text);

  Value(const Value& other) noexcept;
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other) noexcept;
  Value& operator=(Value&& other) noexcept;
  ~Value();

  ValueKind kind() const noexcept;
  bool is_null() const { return kind() == ValueKind::null; }
  bool is_bool() const { return kind() == ValueKind::boolean; }
  bool is_int() const { return kind() == ValueKind::integer; }
  bool is_number() const { return is_int() || kind() == ValueKind::floating; }
  bool is_string() const { return kind() == ValueKind::string; }
  bool is_list() const { return kind() == ValueKind::list; }
  bool is_map() const { return kind() == ValueKind::map; }
  explicit operator bool() const = delete;  // say what you mean: !is_null(), as_bool(), !empty()

  // --- scalars
  bool as_bool(bool otherwise = false) const;
  std::int64_t as_int(std::int64_t otherwise = 0) const;  // a float with an integral value counts
  double as_double(double otherwise = 0) const;
  std::string_view as_string(std::string_view otherwise = {}) const;  // valid while this Value lives and is not edited
  std::string str() const { return std::string(as_string()); }
  std::string_view number_text() const;  // as written in the source; empty when not kept
  std::string scalar_text() const;       // any scalar as text: "true", "3", "1.5", the string; null is ""

  // --- maps and lists
  std::size_t size() const;                             // entries or items; 0 for a scalar
  bool empty() const { return size() == 0; }            // also true for null and scalars
  const Value& operator[](std::string_view key) const;  // null when absent
  const Value& operator[](const char* key) const { return (*this)[std::string_view(key)]; }
  const Value& operator[](std::size_t index) const;  // null when out of range
  const Value& operator[](int index) const { return (*this)[static_cast<std::size_t>(index)]; }
  const Value* find(std::string_view key) const;  // nullptr when absent: tells absent from null
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  const Value& get(std::initializer_list<std::string_view> path) const;  // map keys all the way; null when absent
  std::span<const MapEntry> entries() const;                             // in order; empty unless a map
  std::span<const Value> items() const;                                  // empty unless a list

  // --- edits. A reference that an edit gives is valid until the next edit of the same map or list.
  Value& set(std::string_view key, Value value);  // a null becomes a map first; replaces in place or appends; *this
  Value& edit(std::string_view key);              // the member, made (null) when absent
  Value& edit(std::initializer_list<std::string_view> path);  // maps are made on the way
  bool erase(std::string_view key);
  Value& edit(std::size_t index);  // CHECKs the range
  void push_back(Value value);     // a null becomes a list first
  void insert(std::size_t index, Value value);
  void erase_at(std::size_t index);
  void sort_keys(bool deep = true);  // bytewise, as Go's encoding/json writes maps

  // Deep. Maps compare without order; 1 equals 1.0; number_text does not count.
  bool operator==(const Value& other) const;
  // The same representation (a quick "surely equal").
  bool shares_with(const Value& other) const noexcept;
  std::size_t memory_bytes() const;  // what this tree holds, shared parts counted once each time met

 private:
  friend struct ValueAccess;
  std::uint64_t word_;  // pointer, number, or the first 8 bytes of a short string
  std::uint32_t tail_;  // short string, bytes 8..11
  std::uint16_t more_;  // short string, bytes 12..13
  std::uint16_t tag_;   // representation, and the length of a short string (value_access.h)
};
static_assert(sizeof(Value) == 16);

struct MapEntry {
  std::string_view key;  // interned: valid for ever
  Value value;
};

extern const Value kNull;

}  // namespace caisson::document

namespace caisson {
using document::Value;
using document::ValueKind;
}  // namespace caisson
