// SPDX-License-Identifier: Apache-2.0
#include "core/document/blocks.h"

#include "core/document/intern.h"

namespace caisson::document {
namespace {

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

}  // namespace

ListBlock* new_list(std::size_t capacity) {
  auto* block = allocate_block<ListBlock>(capacity * sizeof(Value));
  block->size = 0;
  block->capacity = static_cast<std::uint32_t>(capacity);
  block->unused = 0;
  return block;
}

MapBlock* new_map(std::size_t capacity) {
  auto* block = allocate_block<MapBlock>(capacity * sizeof(MapEntry));
  block->size = 0;
  block->capacity = static_cast<std::uint32_t>(capacity);
  block->index_mask = 0;
  block->index = nullptr;
  return block;
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
      // A caller who asks often asks by an interned key, which is the entry's own text.
      if (own.size() == key.size() && (own.data() == key.data() || (*own.data() == first && own == key)))
        return &entries[i];
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

// --- what Values do with them

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
  auto& refs = *block<std::atomic<std::uint32_t>>(v);
  // Whoever has the only reference need not count it down, which would cost more than to look.
  if (refs.load(std::memory_order_acquire) != 1 && refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
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

Value map_of(std::vector<MapEntry> entries) {
  return ValueAccess::map_from(entries.data(), entries.size());
}

}  // namespace caisson::document
