// SPDX-License-Identifier: Apache-2.0
// Informer: a shared, indexed cache of one kind, kept by list and watch; lists again on 410, with back-off. In process
// the objects are the store's own (no second copy).
//
// Any thread. Handlers run on the watch's thread, in order, and must not block: they add keys to a queue.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cluster/kube/client.h"
#include "cluster/kube/selector.h"

namespace caisson::kube {

class Informer {
 public:
  Informer(Client& client, Resource resource, ListOptions options = {}, Clock& clock = system_clock());
  ~Informer();

  const Resource& resource() const;
  void start();         // idempotent
  void stop();          // for good: no handler runs any more when it returns; what is known stays readable
  bool synced() const;  // the first list is in
  bool wait_synced(Duration time_max) const;

  std::optional<Object> find(const ObjectKey& key) const;
  std::vector<Object> list(std::string_view ns = {}, const LabelSelector& selector = {}) const;  // sorted by key
  std::vector<Object> controlled_by(std::string_view uid) const;  // by controller owner reference
  // Own index: `keys` gives an object's index values; add before start.
  void add_index(std::string name, std::function<std::vector<std::string>(const Object&)> keys);
  std::vector<Object> by_index(std::string_view name, std::string_view key) const;

  // old is null for added, new is null for deleted. Handlers added late get every object as added.
  using Handler = std::function<void(const Object* before, const Object* after)>;
  void on_change(Handler handler);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace caisson::kube
