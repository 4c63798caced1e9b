// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/owner_graph.h"

namespace caisson::controllers {

std::vector<std::string> OwnerGraph::put(const schema::Resource& resource, const kube::Object& object) {
  const std::string uid = object.uid();
  Node node{resource,
            object.key(),
            object.owners(),
            object.deleting(),
            object.has_finalizer(kForegroundFinalizer),
            object.has_finalizer(kOrphanFinalizer)};
  const std::lock_guard lock(mutex_);
  const auto before = nodes_.find(uid);
  bool look = !node.owners.empty();
  std::vector<std::string> out;
  if (before != nodes_.end()) {
    const Node& was = before->second;
    std::set<std::string> owners_before, owners_now;
    for (const auto& owner : was.owners) owners_before.insert(owner.uid + (owner.block_owner_deletion ? "!" : ""));
    for (const auto& owner : node.owners) owners_now.insert(owner.uid + (owner.block_owner_deletion ? "!" : ""));
    look = owners_before != owners_now;
    for (const auto& owner : was.owners) {
      dependents_[owner.uid].erase(uid);
      if (look) out.push_back(owner.uid);  // it may have waited for this one
    }
  }
  if (node.waits_for_dependents() || node.lets_dependents_go()) look = true;
  for (const auto& owner : node.owners) dependents_[owner.uid].insert(uid);
  // What an owner waits for is deleted only when somebody looks at it.
  if (node.waits_for_dependents() && !(before != nodes_.end() && before->second.waits_for_dependents())) {
    if (const auto children = dependents_.find(uid); children != dependents_.end()) {
      out.insert(out.end(), children->second.begin(), children->second.end());
    }
  }
  nodes_[uid] = std::move(node);
  if (look) out.push_back(uid);
  return out;
}

std::vector<std::string> OwnerGraph::erase(const kube::Object& object) {
  const std::string uid = object.uid();
  const std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  if (const auto found = nodes_.find(uid); found != nodes_.end()) {
    for (const auto& owner : found->second.owners) {
      dependents_[owner.uid].erase(uid);
      if (dependents_[owner.uid].empty()) dependents_.erase(owner.uid);
      const auto waiting = nodes_.find(owner.uid);
      if (waiting != nodes_.end() && waiting->second.waits_for_dependents()) out.push_back(owner.uid);
    }
    nodes_.erase(found);
  }
  if (const auto children = dependents_.find(uid); children != dependents_.end()) {
    out.insert(out.end(), children->second.begin(), children->second.end());
  }
  return out;
}

std::optional<OwnerGraph::Node> OwnerGraph::find(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = nodes_.find(uid);
  return found == nodes_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::string> OwnerGraph::dependents(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = dependents_.find(uid);
  if (found == dependents_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::vector<std::string> OwnerGraph::blocking(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  const auto found = dependents_.find(uid);
  if (found == dependents_.end()) return out;
  for (const std::string& child : found->second) {
    for (const auto& owner : nodes_.at(child).owners) {
      if (owner.uid == uid && owner.block_owner_deletion) out.push_back(child);
    }
  }
  return out;
}

}  // namespace caisson::controllers
