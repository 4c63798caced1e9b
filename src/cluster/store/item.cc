// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/item.h"

#include <array>
#include <mutex>
#include <set>
#include <utility>

#include "cluster/store/value_cache.h"
#include "core/base/check.h"
#include "core/document/json.h"

namespace caisson::store {
namespace {

// A mutex in each item would take as much as a small object's key. Items share these by address.
std::mutex& mutex_of(const void* item) {
  static std::array<std::mutex, 64> mutexes;
  return mutexes[(reinterpret_cast<std::uintptr_t>(item) >> 6) % mutexes.size()];
}

const std::string* intern_resource(const std::string& resource) {
  static std::mutex mutex;
  static std::set<std::string>* known =
      new std::set<std::string>;  // never destroyed: items may outlive static destruction
  const std::lock_guard lock(mutex);
  return &*known->insert(resource).first;
}

}  // namespace

std::string Key::path() const {
  return ns.empty() ? name : ns + "/" + name;
}

Item::Item(const Key& key, Revision revision, std::string bytes, Value value, std::shared_ptr<ValueCache> cache)
    : resource_(intern_resource(key.resource)),
      path_(key.path()),
      ns_length_(static_cast<std::uint32_t>(key.ns.size())),
      revision_(revision),
      bytes_(std::move(bytes)),
      value_(std::move(value)),
      cache_(std::move(cache)) {}

Value Item::value() const {
  Value value;
  {
    const std::lock_guard lock(mutex_of(this));
    used_ = true;
    if (!value_.is_null()) return value_;
    auto parsed = json::parse(bytes_);
    CHECK(parsed.ok());  // the store wrote these bytes itself, or LogFile::load checked them
    value = value_ = std::move(parsed).value();
  }
  if (cache_) cache_->entered(shared_from_this());
  return value;
}

Value Item::parsed() const {
  const std::lock_guard lock(mutex_of(this));
  used_ = true;
  return value_;
}

bool Item::forget_value() const {
  Value forgotten;  // destroyed without the lock
  const std::lock_guard lock(mutex_of(this));
  if (std::exchange(used_, false)) return false;
  std::swap(forgotten, value_);
  return true;
}

}  // namespace caisson::store
