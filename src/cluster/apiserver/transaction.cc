// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/transaction.h"

#include <algorithm>

namespace caisson::apiserver {

std::optional<Found> Transaction::find(const store::Key& key) const {
  const auto it = staged_.find(key);
  if (it != staged_.end()) {
    if (it->second.removed) return std::nullopt;
    return Found{it->second.value, 0};
  }
  const store::ItemPtr item = store_.get(key.resource, key.ns, key.name);
  if (!item) return std::nullopt;
  return Found{item->value(), item->revision()};
}

Transaction::Staged& Transaction::stage(const store::Key& key, store::Revision read) {
  const auto [it, fresh] = staged_.try_emplace(key);
  if (fresh) {
    it->second.order = staged_.size();
    it->second.expected = read;
  }
  return it->second;
}

void Transaction::put(const store::Key& key, Value value, store::Revision read) {
  Staged& staged = stage(key, read);
  staged.value = std::move(value);
  staged.removed = false;
}

void Transaction::remove(const store::Key& key, Value last, store::Revision read) {
  Staged& staged = stage(key, read);
  staged.value = std::move(last);
  staged.removed = true;
}

std::vector<store::Change> Transaction::changes() {
  std::vector<std::pair<const store::Key*, Staged*>> order;
  for (auto& [key, staged] : staged_) order.emplace_back(&key, &staged);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second->order < b.second->order; });
  std::vector<store::Change> changes;
  written_.clear();
  for (auto& [key, staged] : order) {
    if (staged->removed && staged->expected == 0) continue;  // made and removed by the same transaction
    changes.push_back({.key = *key, .value = staged->value, .deletion = staged->removed, .expected = staged->expected});
    written_.push_back(staged);
  }
  return changes;
}

Result<void> Transaction::take(Result<std::vector<store::ItemPtr>> items) {
  if (!items.ok()) {
    const ErrorCode code = items.error().code;
    const bool race = code == ErrorCode::already_exists || code == ErrorCode::not_found;
    return Error{race ? ErrorCode::conflict : code, items.error().message};
  }
  for (std::size_t i = 0; i < written_.size(); ++i) {
    written_[i]->item = (*items)[i];
    written_[i]->value = (*items)[i]->value();
  }
  return {};
}

Result<void> Transaction::commit() {
  return take(store_.commit(changes()));
}

void Transaction::commit_then(std::function<void(Result<void>)> done) {
  store_.commit_then(changes(), [this, done = std::move(done)](Result<std::vector<store::ItemPtr>> items) {
    done(take(std::move(items)));
  });
}

Value Transaction::committed(const store::Key& key) const {
  const auto it = staged_.find(key);
  return it == staged_.end() ? Value() : it->second.value;
}

store::ItemPtr Transaction::stored(const store::Key& key) const {
  const auto it = staged_.find(key);
  return it == staged_.end() || it->second.removed ? nullptr : it->second.item;
}

}  // namespace caisson::apiserver
