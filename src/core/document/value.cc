// SPDX-License-Identifier: Apache-2.0
// Making, reading and comparing Values. Edits: value_edit.cc.
#include "core/document/value.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/base/check.h"
#include "core/document/blocks.h"
#include "core/document/number.h"

namespace caisson::document {
namespace {

using Access = ValueAccess;

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
  auto* block = allocate_block<NumberBlock>(text.size());
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
  auto* block = allocate_block<TextBlock>(value.size());
  block->size = static_cast<std::uint32_t>(value.size());
  std::memcpy(block->text, value.data(), value.size());
  Access::set(*this, Rep::string, word_of(block));
}

Value::Value(std::vector<Value> items) : Value(Access::list_from(items.data(), items.size())) {}

Value::Value(std::initializer_list<std::pair<std::string_view, Value>> entries) : Value() {
  Access::set(*this, Rep::map, word_of(new_map(entries.size())));
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
