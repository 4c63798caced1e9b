// SPDX-License-Identifier: Apache-2.0
#include "core/document/value.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/base/check.h"
#include "core/document/intern.h"
#include "core/document/number.h"
#include "core/document/value_access.h"

namespace caisson::document {
namespace {

using Access = ValueAccess;

template <class Block>
Block* allocate(std::size_t payload_bytes) {
  void* memory = std::malloc(sizeof(Block) + payload_bytes);
  if (memory == nullptr) throw std::bad_alloc();
  auto* block = static_cast<Block*>(memory);
  new (&block->refs) std::atomic<std::uint32_t>(1);
  return block;
}

std::uint64_t word_of(const void* block) {
  return reinterpret_cast<std::uint64_t>(block);
}

std::size_t grown(std::size_t capacity, std::size_t needed) {
  const std::size_t next = capacity < 4 ? 4 : capacity + capacity / 2;
  return next < needed ? needed : next;
}

ListBlock* new_list(std::size_t capacity) {
  auto* block = allocate<ListBlock>(capacity * sizeof(Value));
  block->size = 0;
  block->capacity = static_cast<std::uint32_t>(capacity);
  block->unused = 0;
  return block;
}

MapBlock* new_map(std::size_t capacity) {
  auto* block = allocate<MapBlock>(capacity * sizeof(MapEntry));
  block->size = 0;
  block->capacity = static_cast<std::uint32_t>(capacity);
  block->index_mask = 0;
  block->index = nullptr;
  return block;
}

// --- the index of a large map

void index_add(MapBlock& map, std::uint32_t position) {
  std::uint32_t at = key_header(map.entries()[position].key.data()).hash & map.index_mask;
  while (map.index[at] != 0) at = (at + 1) & map.index_mask;
  map.index[at] = position + 1;
}

void index_drop(MapBlock& map) {
  std::free(map.index);
  map.index = nullptr;
  map.index_mask = 0;
}

void index_rebuild(MapBlock& map) {
  index_drop(map);
  if (map.size <= kLinearMax) return;
  std::uint32_t slots = 16;
  while (slots < map.size + map.size / 2) slots *= 2;
  map.index = static_cast<std::uint32_t*>(std::calloc(slots, sizeof(std::uint32_t)));
  if (map.index == nullptr) throw std::bad_alloc();
  map.index_mask = slots - 1;
  for (std::uint32_t i = 0; i < map.size; ++i) index_add(map, i);
}

void index_appended(MapBlock& map) {
  if (map.size <= kLinearMax) return;
  if (map.index == nullptr || map.size + map.size / 4 > map.index_mask) {
    index_rebuild(map);
  } else {
    index_add(map, map.size - 1);
  }
}

MapEntry* find_entry(MapBlock& map, std::string_view key) {
  MapEntry* entries = map.entries();
  if (map.index == nullptr) {
    const char first = key.empty() ? '\0' : key.front();  // interned keys end in one: there is always a byte
    for (std::uint32_t i = 0; i < map.size; ++i) {
      const std::string_view own = entries[i].key;
      if (own.size() == key.size() && *own.data() == first && own == key) return &entries[i];
    }
    return nullptr;
  }
  const std::uint32_t hash = hash_key(key);
  for (std::uint32_t at = hash & map.index_mask; map.index[at] != 0; at = (at + 1) & map.index_mask) {
    MapEntry& entry = entries[map.index[at] - 1];
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

// The same by an interned key, which is known by its address.
MapEntry* find_interned(MapBlock& map, std::string_view key) {
  MapEntry* entries = map.entries();
  if (map.index == nullptr) {
    for (std::uint32_t i = 0; i < map.size; ++i) {
      if (entries[i].key.data() == key.data()) return &entries[i];
    }
    return nullptr;
  }
  const std::uint32_t hash = key_header(key.data()).hash;
  for (std::uint32_t at = hash & map.index_mask; map.index[at] != 0; at = (at + 1) & map.index_mask) {
    MapEntry& entry = entries[map.index[at] - 1];
    if (entry.key.data() == key.data()) return &entry;
  }
  return nullptr;
}

// --- blocks for oneself

// Values are moved by their bytes: a block owns them, and the old one is freed without destroying them.
void move_bytes(void* to, const void* from, std::size_t bytes) {
  std::memmove(to, from, bytes);
}

ListBlock* own_list(Value& value, std::size_t room) {
  auto* block = Access::block<ListBlock>(value);
  const bool mine = block->refs.load(std::memory_order_acquire) == 1;
  if (mine && room <= block->capacity) return block;
  auto* fresh =
      new_list(room <= block->capacity ? std::max<std::size_t>(room, block->size) : grown(block->capacity, room));
  if (mine) {
    move_bytes(fresh->items(), block->items(), block->size * sizeof(Value));
    fresh->size = block->size;
    std::free(block);
    Access::set(value, Rep::list, word_of(fresh));
    return fresh;
  }
  for (std::uint32_t i = 0; i < block->size; ++i) new (fresh->items() + i) Value(block->items()[i]);
  fresh->size = block->size;
  Access::release(value);
  Access::set(value, Rep::list, word_of(fresh));
  return fresh;
}

MapBlock* own_map(Value& value, std::size_t room) {
  auto* block = Access::block<MapBlock>(value);
  const bool mine = block->refs.load(std::memory_order_acquire) == 1;
  if (mine && room <= block->capacity) return block;
  auto* fresh =
      new_map(room <= block->capacity ? std::max<std::size_t>(room, block->size) : grown(block->capacity, room));
  if (mine) {
    move_bytes(fresh->entries(), block->entries(), block->size * sizeof(MapEntry));
    fresh->size = block->size;
    fresh->index = block->index;
    fresh->index_mask = block->index_mask;
    std::free(block);
    Access::set(value, Rep::map, word_of(fresh));
    return fresh;
  }
  for (std::uint32_t i = 0; i < block->size; ++i) new (fresh->entries() + i) MapEntry(block->entries()[i]);
  fresh->size = block->size;
  index_rebuild(*fresh);
  Access::release(value);
  Access::set(value, Rep::map, word_of(fresh));
  return fresh;
}

void become_list(Value& value) {
  if (value.is_null()) value = Value::list();
  CHECK(value.is_list());
}

void become_map(Value& value) {
  if (value.is_null()) value = Value::map();
  CHECK(value.is_map());
}

double number_of(const Value& value) {
  switch (Access::rep(value)) {
    case Rep::integer:
      return static_cast<double>(static_cast<std::int64_t>(Access::word(value)));
    case Rep::floating:
      return std::bit_cast<double>(Access::word(value));
    case Rep::noted_integer:
      return static_cast<double>(static_cast<std::int64_t>(Access::block<NumberBlock>(value)->bits));
    case Rep::noted_floating:
      return std::bit_cast<double>(Access::block<NumberBlock>(value)->bits);
    default:
      return 0;
  }
}

Value noted(Rep rep, std::uint64_t bits, std::string_view text) {
  auto* block = allocate<NumberBlock>(text.size());
  block->size = static_cast<std::uint32_t>(text.size());
  block->bits = bits;
  std::memcpy(block->text, text.data(), text.size());
  Value made;
  Access::set(made, rep, word_of(block));
  return made;
}

}  // namespace

constinit const Value kNull;

std::string_view kind_name(ValueKind kind) {
  switch (kind) {
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
      return "list";
    case ValueKind::map:
      return "map";
  }
  return "unknown";
}

// --- representation

void ValueAccess::set_short(Value& v, std::string_view text) {
  set(v, Rep::short_string, 0);
  if (!text.empty()) std::memcpy(reinterpret_cast<char*>(&v), text.data(), text.size());
  v.tag_ = static_cast<std::uint16_t>(static_cast<unsigned>(Rep::short_string) | text.size() << 8);
}

void ValueAccess::retain(const Value& v) {
  if (is_shared_rep(rep(v))) block<std::atomic<std::uint32_t>>(v)->fetch_add(1, std::memory_order_relaxed);
}

void ValueAccess::release(Value& v) noexcept {
  const Rep kind = rep(v);
  if (!is_shared_rep(kind)) return;
  if (block<std::atomic<std::uint32_t>>(v)->fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (kind == Rep::list) {
    auto* list = block<ListBlock>(v);
    for (std::uint32_t i = 0; i < list->size; ++i) list->items()[i].~Value();
  } else if (kind == Rep::map) {
    auto* map = block<MapBlock>(v);
    for (std::uint32_t i = 0; i < map->size; ++i) map->entries()[i].value.~Value();
    std::free(map->index);
  }
  std::free(block<void>(v));
}

Value ValueAccess::list_from(Value* items, std::size_t count) {
  auto* block = new_list(count);
  for (std::size_t i = 0; i < count; ++i) new (block->items() + i) Value(std::move(items[i]));
  block->size = static_cast<std::uint32_t>(count);
  Value made;
  set(made, Rep::list, word_of(block));
  return made;
}

Value ValueAccess::map_from(MapEntry* entries, std::size_t count) {
  auto* block = new_map(count);
  Value made;
  set(made, Rep::map, word_of(block));
  for (std::size_t i = 0; i < count; ++i) {
    if (MapEntry* known = find_interned(*block, entries[i].key)) {
      known->value = std::move(entries[i].value);
      continue;
    }
    new (block->entries() + block->size) MapEntry{entries[i].key, std::move(entries[i].value)};
    ++block->size;
    index_appended(*block);
  }
  return made;
}

// --- making

Value::Value(bool value) noexcept : Value() {
  Access::set(*this, Rep::boolean, value ? 1 : 0);
}
Value::Value(long long value) noexcept : Value() {
  Access::set(*this, Rep::integer, static_cast<std::uint64_t>(value));
}
Value::Value(double value) noexcept : Value() {
  Access::set(*this, Rep::floating, std::bit_cast<std::uint64_t>(value));
}

Value::Value(std::string_view value) : Value() {
  if (value.size() <= kShortMax) {
    Access::set_short(*this, value);
    return;
  }
  CHECK(value.size() < UINT32_MAX);
  auto* block = allocate<TextBlock>(value.size());
  block->size = static_cast<std::uint32_t>(value.size());
  std::memcpy(block->text, value.data(), value.size());
  Access::set(*this, Rep::string, word_of(block));
}

Value::Value(std::vector<Value> items) : Value(Access::list_from(items.data(), items.size())) {}

Value::Value(std::initializer_list<std::pair<std::string_view, Value>> entries) : Value(map()) {
  for (const auto& [key, value] : entries) set(key, value);
}

Value Value::list_of(const std::vector<std::string>& strings) {
  std::vector<Value> items(strings.begin(), strings.end());
  return Value(std::move(items));
}

Value Value::map() {
  Value made;
  Access::set(made, Rep::map, word_of(new_map(0)));
  return made;
}

Value Value::number(double value, std::string_view source_text) {
  return noted(Rep::noted_floating, std::bit_cast<std::uint64_t>(value), source_text);
}
Value Value::number(std::int64_t value, std::string_view source_text) {
  return noted(Rep::noted_integer, static_cast<std::uint64_t>(value), source_text);
}

Value::Value(const Value& other) noexcept
    : word_(other.word_), tail_(other.tail_), more_(other.more_), tag_(other.tag_) {
  Access::retain(*this);
}
Value::Value(Value&& other) noexcept : word_(other.word_), tail_(other.tail_), more_(other.more_), tag_(other.tag_) {
  Access::set(other, Rep::null, 0);
}
Value& Value::operator=(const Value& other) noexcept {
  Value copy(other);
  return *this = std::move(copy);
}
Value& Value::operator=(Value&& other) noexcept {
  // `other` may live inside what this value holds, so it is taken out before that is released.
  Value taken(std::move(other));
  std::swap(word_, taken.word_);
  std::swap(tail_, taken.tail_);
  std::swap(more_, taken.more_);
  std::swap(tag_, taken.tag_);
  return *this;
}
Value::~Value() {
  Access::release(*this);
}

// --- reading

ValueKind Value::kind() const noexcept {
  switch (Access::rep(*this)) {
    case Rep::null:
      return ValueKind::null;
    case Rep::boolean:
      return ValueKind::boolean;
    case Rep::integer:
    case Rep::noted_integer:
      return ValueKind::integer;
    case Rep::floating:
    case Rep::noted_floating:
      return ValueKind::floating;
    case Rep::short_string:
    case Rep::string:
      return ValueKind::string;
    case Rep::list:
      return ValueKind::list;
    case Rep::map:
      return ValueKind::map;
  }
  return ValueKind::null;
}

bool Value::as_bool(bool otherwise) const {
  return is_bool() ? word_ != 0 : otherwise;
}

std::int64_t Value::as_int(std::int64_t otherwise) const {
  if (Access::rep(*this) == Rep::integer) return static_cast<std::int64_t>(word_);
  if (Access::rep(*this) == Rep::noted_integer)
    return static_cast<std::int64_t>(Access::block<NumberBlock>(*this)->bits);
  if (kind() != ValueKind::floating) return otherwise;
  const double number = number_of(*this);
  if (!(number >= -0x1p63 && number < 0x1p63) || number != std::trunc(number)) return otherwise;
  return static_cast<std::int64_t>(number);
}

double Value::as_double(double otherwise) const {
  return is_number() ? number_of(*this) : otherwise;
}

std::string_view Value::as_string(std::string_view otherwise) const {
  switch (Access::rep(*this)) {
    case Rep::short_string:
      return {Access::short_text(*this), Access::short_size(*this)};
    case Rep::string:
      return {Access::block<TextBlock>(*this)->text, Access::block<TextBlock>(*this)->size};
    default:
      return otherwise;
  }
}

std::string_view Value::number_text() const {
  const Rep rep = Access::rep(*this);
  if (rep != Rep::noted_integer && rep != Rep::noted_floating) return {};
  const auto* block = Access::block<NumberBlock>(*this);
  return {block->text, block->size};
}

std::string Value::scalar_text() const {
  switch (kind()) {
    case ValueKind::boolean:
      return word_ != 0 ? "true" : "false";
    case ValueKind::integer:
      return std::to_string(as_int());
    case ValueKind::floating:
      return json_number(number_of(*this));
    case ValueKind::string:
      return str();
    default:
      return {};
  }
}

std::size_t Value::size() const {
  if (is_list()) return Access::block<ListBlock>(*this)->size;
  if (is_map()) return Access::block<MapBlock>(*this)->size;
  return 0;
}

const Value& Value::operator[](std::string_view key) const {
  const Value* found = find(key);
  return found != nullptr ? *found : kNull;
}

const Value& Value::operator[](std::size_t index) const {
  return is_list() && index < size() ? Access::block<ListBlock>(*this)->items()[index] : kNull;
}

const Value* Value::find(std::string_view key) const {
  if (!is_map()) return nullptr;
  const MapEntry* entry = find_entry(*Access::block<MapBlock>(*this), key);
  return entry != nullptr ? &entry->value : nullptr;
}

const Value& Value::get(std::initializer_list<std::string_view> path) const {
  const Value* at = this;
  for (const std::string_view key : path) at = &(*at)[key];
  return *at;
}

std::span<const MapEntry> Value::entries() const {
  if (!is_map()) return {};
  auto* block = Access::block<MapBlock>(*this);
  return {block->entries(), block->size};
}

std::span<const Value> Value::items() const {
  if (!is_list()) return {};
  auto* block = Access::block<ListBlock>(*this);
  return {block->items(), block->size};
}

// --- edits

Value& Value::set(std::string_view key, Value value) {
  edit(key) = std::move(value);
  return *this;
}

Value& Value::edit(std::string_view key) {
  become_map(*this);
  MapBlock* map = own_map(*this, 0);
  if (MapEntry* entry = find_entry(*map, key)) return entry->value;
  const std::string_view interned = intern(key);
  map = own_map(*this, map->size + 1);
  MapEntry* added = new (map->entries() + map->size) MapEntry{interned, Value()};
  ++map->size;
  index_appended(*map);
  return added->value;
}

Value& Value::edit(std::initializer_list<std::string_view> path) {
  Value* at = this;
  for (const std::string_view key : path) at = &at->edit(key);
  return *at;
}

bool Value::erase(std::string_view key) {
  if (!contains(key)) return false;
  MapBlock* map = own_map(*this, 0);
  MapEntry* entry = find_entry(*map, key);
  entry->value.~Value();
  const auto position = static_cast<std::size_t>(entry - map->entries());
  move_bytes(entry, entry + 1, (map->size - position - 1) * sizeof(MapEntry));
  --map->size;
  if (map->index != nullptr) index_rebuild(*map);
  return true;
}

Value& Value::edit(std::size_t index) {
  CHECK(is_list() && index < size());
  return own_list(*this, 0)->items()[index];
}

void Value::push_back(Value value) {
  become_list(*this);
  insert(size(), std::move(value));
}

void Value::insert(std::size_t index, Value value) {
  become_list(*this);
  CHECK(index <= size());
  ListBlock* list = own_list(*this, size() + 1);
  Value* place = list->items() + index;
  move_bytes(place + 1, place, (list->size - index) * sizeof(Value));
  new (place) Value(std::move(value));
  ++list->size;
}

void Value::erase_at(std::size_t index) {
  CHECK(is_list() && index < size());
  ListBlock* list = own_list(*this, 0);
  Value* place = list->items() + index;
  place->~Value();
  move_bytes(place, place + 1, (list->size - index - 1) * sizeof(Value));
  --list->size;
}

void Value::sort_keys(bool deep) {
  if (is_map() && !empty()) {
    MapBlock* map = own_map(*this, 0);
    std::sort(map->entries(), map->entries() + map->size,
              [](const MapEntry& a, const MapEntry& b) { return a.key < b.key; });
    if (map->index != nullptr) index_rebuild(*map);
    if (!deep) return;
    for (std::uint32_t i = 0; i < map->size; ++i) map->entries()[i].value.sort_keys();
  } else if (is_list() && deep && !empty()) {
    ListBlock* list = own_list(*this, 0);
    for (std::uint32_t i = 0; i < list->size; ++i) list->items()[i].sort_keys();
  }
}

// --- comparing

bool Value::shares_with(const Value& other) const noexcept {
  return word_ == other.word_ && tail_ == other.tail_ && more_ == other.more_ && tag_ == other.tag_;
}

bool Value::operator==(const Value& other) const {
  if (is_number() && other.is_number()) {
    if (is_int() && other.is_int()) return as_int() == other.as_int();
    return number_of(*this) == number_of(other);
  }
  if (shares_with(other)) return true;
  if (kind() != other.kind()) return false;
  switch (kind()) {
    case ValueKind::string:
      return as_string() == other.as_string();
    case ValueKind::list: {
      const auto a = items(), b = other.items();
      return std::equal(a.begin(), a.end(), b.begin(), b.end());
    }
    case ValueKind::map: {
      if (size() != other.size()) return false;
      for (const MapEntry& entry : entries()) {
        const Value* theirs = other.find(entry.key);
        if (theirs == nullptr || !(entry.value == *theirs)) return false;
      }
      return true;
    }
    default:
      return false;
  }
}

std::size_t Value::memory_bytes() const {
  std::size_t bytes = sizeof(Value);
  switch (Access::rep(*this)) {
    case Rep::string:
      return bytes + sizeof(TextBlock) + Access::block<TextBlock>(*this)->size;
    case Rep::noted_integer:
    case Rep::noted_floating:
      return bytes + sizeof(NumberBlock) + Access::block<NumberBlock>(*this)->size;
    case Rep::list:
      bytes += sizeof(ListBlock) + (Access::block<ListBlock>(*this)->capacity - size()) * sizeof(Value);
      for (const Value& item : items()) bytes += item.memory_bytes();
      return bytes;
    case Rep::map: {
      const auto* map = Access::block<MapBlock>(*this);
      bytes += sizeof(MapBlock) + (map->capacity - size()) * sizeof(MapEntry);
      if (map->index != nullptr) bytes += (map->index_mask + 1) * sizeof(std::uint32_t);
      for (const MapEntry& entry : entries()) bytes += sizeof entry.key + entry.value.memory_bytes();
      return bytes;
    }
    default:
      return bytes;
  }
}

}  // namespace caisson::document
