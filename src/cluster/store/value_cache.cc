// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/value_cache.h"

namespace caisson::store {

void ValueCache::entered(const ItemPtr& item) {
  const std::lock_guard lock(mutex_);
  held_.push_back({item, item->bytes().size()});
  json_bytes_ += item->bytes().size();
  while (json_bytes_ > json_bytes_max_ && !held_.empty()) {
    Held next = std::move(held_.front());
    held_.pop_front();
    const ItemPtr oldest = next.item.lock();
    if (oldest && !oldest->forget_value())
      held_.push_back(std::move(next));
    else
      json_bytes_ -= next.json_bytes;
  }
}

void ValueCache::age() {
  const std::lock_guard lock(mutex_);
  std::erase_if(held_, [this](const Held& held) {
    const ItemPtr item = held.item.lock();
    if (item && !item->forget_value()) return false;
    json_bytes_ -= held.json_bytes;
    return true;
  });
}

std::size_t ValueCache::json_bytes() const {
  const std::lock_guard lock(mutex_);
  return json_bytes_;
}

}  // namespace caisson::store
