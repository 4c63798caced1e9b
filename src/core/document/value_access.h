// SPDX-License-Identifier: Apache-2.0
// The representation of Value, for this room's parsers only.
//
// tag_ = representation | length of a short string << 8. Shared parts start with a reference count; what is reached
// through a count above one is never written (Value::edit copies first). Blocks are flexible arrays from malloc, so
// that an object of n members costs one allocation: 24 bytes and 32 for each entry. A map of more than kLinearMax
// entries carries a hash index over its entries.
#pragma once
#include <atomic>

#include "core/document/make_map.h"
#include "core/document/value.h"

namespace caisson::document {

enum class Rep : std::uint8_t {
  null,
  boolean,
  integer,
  floating,
  short_string,
  string,
  noted_integer,
  noted_floating,
  list,
  map
};

inline constexpr std::size_t kShortMax = 14;
inline constexpr std::size_t kLinearMax = 8;

struct TextBlock {  // a long string
  std::atomic<std::uint32_t> refs;
  std::uint32_t size;
  char text[];
};
struct NumberBlock {  // a number that remembers its source text
  std::atomic<std::uint32_t> refs;
  std::uint32_t size;
  std::uint64_t bits;
  char text[];
};
struct ListBlock {
  std::atomic<std::uint32_t> refs;
  std::uint32_t size;
  std::uint32_t capacity;
  std::uint32_t unused;
  Value* items() { return reinterpret_cast<Value*>(this + 1); }
};
struct MapBlock {
  std::atomic<std::uint32_t> refs;
  std::uint32_t size;
  std::uint32_t capacity;
  std::uint32_t index_mask;  // slots of `index` - 1; a slot holds position + 1, or 0
  std::uint32_t* index;
  MapEntry* entries() { return reinterpret_cast<MapEntry*>(this + 1); }
};

struct ValueAccess {
  static Rep rep(const Value& v) { return static_cast<Rep>(v.tag_ & 0xff); }
  static std::size_t short_size(const Value& v) { return v.tag_ >> 8; }
  static const char* short_text(const Value& v) { return reinterpret_cast<const char*>(&v); }
  static std::uint64_t word(const Value& v) { return v.word_; }
  template <class Block>
  static Block* block(const Value& v) {
    return reinterpret_cast<Block*>(v.word_);
  }
  static void set(Value& v, Rep rep, std::uint64_t word) {
    v.word_ = word;
    v.tail_ = 0;
    v.more_ = 0;
    v.tag_ = static_cast<std::uint16_t>(rep);
  }
  static void set_short(Value& v, std::string_view text);
  static bool is_shared_rep(Rep rep) { return rep >= Rep::string; }
  static void retain(const Value& v);
  static void release(Value& v) noexcept;
  // Moves the values away from `items`/`entries` into a block of exactly that size. Of duplicate keys the last value
  // counts, at the first one's place. Keys must be interned.
  static Value list_from(Value* items, std::size_t count);
  static Value map_from(MapEntry* entries, std::size_t count);
};

}  // namespace caisson::document
