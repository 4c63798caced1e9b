// SPDX-License-Identifier: Apache-2.0
// Transaction: the store as one request sees it while it plans its writes: what it staged itself, else what is stored.
// Committing expects every object that was read for writing to be unchanged, so a verb that lost a race is simply run
// again. One thread at a time.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/store/store.h"

namespace caisson::apiserver {

struct Found {
  Value value;
  store::Revision revision = 0;  // 0: staged by this transaction
};

class Transaction {
 public:
  explicit Transaction(store::Store& store) : store_(store) {}

  std::optional<Found> find(const store::Key& key) const;
  // `read`: the revision that find gave; 0 when there was none.
  void put(const store::Key& key, Value value, store::Revision read);
  void remove(const store::Key& key, Value last, store::Revision read);
  bool empty() const { return staged_.empty(); }

  // Errors: conflict when an object changed since it was staged; too_large, unavailable.
  Result<void> commit();
  // The same without waiting (store::Store::commit_then). This must live until `done` was called.
  void commit_then(std::function<void(Result<void>)> done);
  // After commit: the object as stored, or the last state of a removed one.
  Value committed(const store::Key& key) const;
  store::ItemPtr stored(const store::Key& key) const;  // null when it was removed

 private:
  struct Staged {
    Value value;
    bool removed = false;
    store::Revision expected = 0;  // 0: was not there
    std::size_t order = 0;
    store::ItemPtr item;  // after the commit
  };
  Staged& stage(const store::Key& key, store::Revision read);
  std::vector<store::Change> changes();  // and remembers in written_ whose they are
  Result<void> take(Result<std::vector<store::ItemPtr>> items);

  store::Store& store_;
  std::map<store::Key, Staged> staged_;
  std::vector<Staged*> written_;
};

}  // namespace caisson::apiserver
