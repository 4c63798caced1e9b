// SPDX-License-Identifier: Apache-2.0
#include "cluster/store/item.h"

#include <array>
#include <mutex>
#include <set>

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

Item::Item(const Key& key, Revision revision, std::string bytes, Value value)
    : resource_(intern_resource(key.resource)),
      path_(key.path()),
      ns_length_(static_cast<std::uint32_t>(key.ns.size())),
      revision_(revision),
      bytes_(std::move(bytes)),
      value_(std::move(value)),
      used_(!value_.is_null()) {}

Value Item::value() const {
  const std::lock_guard lock(mutex_of(this));
  used_ = true;
  if (value_.is_null()) {
    auto parsed = json::parse(bytes_);
    CHECK(parsed.ok());  // the store wrote these bytes itself, or LogFile::load checked them
    value_ = std::move(parsed).value();
  }
  return value_;
}

bool Item::forget_value() const {
  const std::lock_guard lock(mutex_of(this));
  if (used_ || value_.is_null()) {
    used_ = false;
    return false;
  }
  value_ = Value();
  return true;
}

}  // namespace caisson::store
