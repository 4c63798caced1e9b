// SPDX-License-Identifier: Apache-2.0
// The blocks behind Values (value_access.h): making them, and finding a key in a map. For this room's files about
// Value only; what they do to a block, its owner must be the only one of.
#pragma once
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/document/value_access.h"

namespace caisson::document {

template <class Block>
Block* allocate_block(std::size_t payload_bytes) {
  void* memory = std::malloc(sizeof(Block) + payload_bytes);
  if (memory == nullptr) throw std::bad_alloc();
  auto* block = static_cast<Block*>(memory);
  new (&block->refs) std::atomic<std::uint32_t>(1);
  return block;
}

inline std::uint64_t word_of(const void* block) {
  return reinterpret_cast<std::uint64_t>(block);
}

// Values are moved by their bytes: a block owns them, and the old one is freed without destroying them.
inline void move_bytes(void* to, const void* from, std::size_t bytes) {
  std::memmove(to, from, bytes);
}

// Empty, with room for so many.
ListBlock* new_list(std::size_t capacity);
MapBlock* new_map(std::size_t capacity);

// The index of a large map: to be told of an entry that was put behind the others, and of any other change.
void index_appended(MapBlock& map);
void index_rebuild(MapBlock& map);

MapEntry* find_entry(MapBlock& map, std::string_view key);
// The same by an interned key, which is known by its address.
MapEntry* find_interned(MapBlock& map, std::string_view key);

}  // namespace caisson::document
