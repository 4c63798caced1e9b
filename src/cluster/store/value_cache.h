// SPDX-License-Identifier: Apache-2.0
// ValueCache: the parsed forms of a store's items that are kept, as far as there is room. An object takes three to four
// times its JSON when it is parsed, so of thousands only those in use stay.
//
// Invariant: an item that has a parsed form is in the cache, once, from `entered` until the cache has it forgotten.
// What was asked for since its last turn gets another one (CLOCK). Threads: any.
#pragma once
#include <deque>
#include <memory>
#include <mutex>

#include "cluster/store/item.h"

namespace caisson::store {

class ValueCache {
 public:
  // Of the JSON of what is kept, in bytes.
  explicit ValueCache(std::size_t json_bytes_max) : json_bytes_max_(json_bytes_max) {}

  void entered(const ItemPtr& item);
  // Forgets what nobody asked for since the last call.
  void age();
  std::size_t json_bytes() const;

 private:
  struct Held {
    std::weak_ptr<const Item> item;
    std::size_t json_bytes;
  };

  const std::size_t json_bytes_max_;
  mutable std::mutex mutex_;  // an item's lock is taken with it held, never the other way round
  std::deque<Held> held_;     // GUARDED_BY(mutex_): the next one's turn first
  std::size_t json_bytes_ = 0;
};

}  // namespace caisson::store
