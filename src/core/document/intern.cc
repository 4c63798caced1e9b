// SPDX-License-Identifier: Apache-2.0
// The table of map keys: sharded by hash, filled only. A small cache in each thread keeps parsers off the locks.
#include <array>
#include <memory>
#include <mutex>

#include "core/document/intern.h"
#include "core/document/value_access.h"

namespace caisson::document {
namespace {

constexpr std::size_t kShards = 64;
constexpr std::size_t kArenaBytesMin = 1024, kArenaBytesMax = 16 * 1024;

struct Shard {
  std::mutex mutex;
  std::vector<const char*> slots = std::vector<const char*>(64, nullptr);  // guarded by mutex; text after a KeyHeader
  std::size_t used = 0;
  std::vector<std::unique_ptr<char[]>> arenas;
  std::size_t arena_bytes = kArenaBytesMin;  // of the next one: a short run of the program touches few pages
  std::size_t arena_left = 0;
  char* arena_next = nullptr;

  char* take(std::size_t bytes) {
    bytes = (bytes + 7) & ~std::size_t{7};
    if (bytes > arena_bytes / 4) {
      arenas.push_back(std::make_unique_for_overwrite<char[]>(bytes));  // a long key has one for itself
      return arenas.back().get();
    }
    if (bytes > arena_left) {
      arenas.push_back(std::make_unique_for_overwrite<char[]>(arena_bytes));
      arena_next = arenas.back().get();
      arena_left = arena_bytes;
      arena_bytes = std::min(arena_bytes * 2, kArenaBytesMax);
    }
    char* taken = arena_next;
    arena_next += bytes;
    arena_left -= bytes;
    return taken;
  }

  void grow() {
    std::vector<const char*> bigger(slots.size() * 2, nullptr);
    for (const char* text : slots) {
      if (text == nullptr) continue;
      std::size_t at = key_header(text).hash & (bigger.size() - 1);
      while (bigger[at] != nullptr) at = (at + 1) & (bigger.size() - 1);
      bigger[at] = text;
    }
    slots.swap(bigger);
  }

  std::string_view find_or_add(std::string_view key, std::uint32_t hash) {
    const std::lock_guard lock(mutex);
    std::size_t at = hash & (slots.size() - 1);
    for (; slots[at] != nullptr; at = (at + 1) & (slots.size() - 1)) {
      const KeyHeader header = key_header(slots[at]);
      if (header.hash == hash && std::string_view(slots[at], header.size) == key) return {slots[at], header.size};
    }
    const KeyHeader header{hash, static_cast<std::uint32_t>(key.size())};
    char* place = take(sizeof header + key.size() + 1);
    std::memcpy(place, &header, sizeof header);
    char* text = place + sizeof header;
    if (!key.empty()) std::memcpy(text, key.data(), key.size());
    text[key.size()] = 0;
    slots[at] = text;
    if (++used * 2 > slots.size()) grow();
    return {text, key.size()};
  }
};

// Never destroyed: keys outlive every static Value.
std::array<Shard, kShards>& shards() {
  static auto* all = new std::array<Shard, kShards>();
  return *all;
}

}  // namespace

std::uint32_t hash_key(std::string_view key) {
  std::uint64_t h = 0x9E3779B97F4A7C15ull ^ key.size();
  std::size_t i = 0;
  for (; i + 8 <= key.size(); i += 8) {
    std::uint64_t chunk;
    std::memcpy(&chunk, key.data() + i, 8);
    h = (h ^ chunk) * 0xff51afd7ed558ccdull;
    h ^= h >> 32;
  }
  std::uint64_t rest = 0;
  if (i < key.size()) std::memcpy(&rest, key.data() + i, key.size() - i);
  h = (h ^ rest) * 0xc4ceb9fe1a85ec53ull;
  h ^= h >> 29;
  h *= 0xff51afd7ed558ccdull;
  return static_cast<std::uint32_t>(h >> 32);
}

std::string_view intern(std::string_view key) {
  static const std::string_view empty = shards()[0].find_or_add({}, hash_key({}));
  if (key.empty()) return empty;
  thread_local std::array<std::string_view, 512> cache{};
  const std::uint32_t hash = hash_key(key);
  std::string_view& seen = cache[hash % cache.size()];
  if (seen != key) seen = shards()[hash >> 26].find_or_add(key, hash);
  return seen;
}

}  // namespace caisson::document
