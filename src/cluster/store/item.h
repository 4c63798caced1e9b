// SPDX-License-Identifier: Apache-2.0
// Item: one version of one object as the store keeps it: its JSON bytes, and its parsed Value while somebody asks for
// it (value_cache.h). Invariant: never changes; bytes and value() are the same document. Threads: any.
#pragma once
#include <atomic>
#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/document/value.h"

namespace caisson::store {

using Revision = std::int64_t;

struct Key {
  std::string resource;  // "deployments.apps", "pods"
  std::string ns;        // empty for cluster-scoped resources
  std::string name;
  std::string path() const;  // "ns/name", or "name": what lists are sorted by
  std::string str() const { return resource + "/" + path(); }
  auto operator<=>(const Key&) const = default;
};

class ValueCache;

class Item : public std::enable_shared_from_this<Item> {
 public:
  // With its parsed form, or null; who makes it enters it in `cache` (may be null: a form is kept for ever).
  Item(const Key& key, Revision revision, std::string bytes, Value value, std::shared_ptr<ValueCache> cache = nullptr);

  const std::string& resource() const { return *resource_; }
  std::string_view ns() const { return std::string_view(path_).substr(0, ns_length_); }
  std::string_view name() const { return std::string_view(path_).substr(ns_length_ ? ns_length_ + 1 : 0); }
  const std::string& path() const { return path_; }
  Key key() const { return {resource(), std::string(ns()), std::string(name())}; }
  Revision revision() const { return revision_; }
  const std::string& bytes() const { return bytes_; }

  Value value() const;   // parsed on first use, then shared for as long as the cache has room
  Value parsed() const;  // the same if it is there already, else null
  // Of the cache: forgets the parsed form unless somebody asked for it since the last call; gives whether it is gone.
  bool forget_value() const;

 private:
  const std::string* resource_;  // interned for ever: there are few
  std::string path_;
  std::uint32_t ns_length_;
  mutable bool used_ = false;  // as value_
  Revision revision_;
  std::string bytes_;
  mutable Value value_;  // guarded by a mutex of item.cc's pool
  std::shared_ptr<ValueCache> cache_;
};
using ItemPtr = std::shared_ptr<const Item>;

}  // namespace caisson::store
