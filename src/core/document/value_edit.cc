// SPDX-License-Identifier: Apache-2.0
// Edits: copy on write.
#include <algorithm>

#include "core/base/check.h"
#include "core/document/blocks.h"

namespace caisson::document {
namespace {

using Access = ValueAccess;

std::size_t grown(std::size_t capacity, std::size_t needed) {
  const std::size_t next = capacity < 4 ? 4 : capacity + capacity / 2;
  return next < needed ? needed : next;
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

}  // namespace

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

}  // namespace caisson::document
