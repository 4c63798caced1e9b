// SPDX-License-Identifier: Apache-2.0
// OwnerGraph: who owns whom, over every kind, as the garbage collector has seen it. Source:
// pkg/controller/garbagecollector/graph.go. Any thread.
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/kube/object.h"

namespace caisson::controllers {

class OwnerGraph {
 public:
  struct Node {
    schema::Resource resource;
    kube::ObjectKey key;
    std::vector<kube::OwnerReference> owners;
    bool deleting = false, foreground = false, orphans = false;  // by deletionTimestamp and finalizers
    bool waits_for_dependents() const { return deleting && foreground; }
    bool lets_dependents_go() const { return deleting && orphans; }
  };

  // Take in a change; give the uids that must be looked at because of it.
  std::vector<std::string> put(const schema::Resource& resource, const kube::Object& object);
  std::vector<std::string> erase(const kube::Object& object);

  std::optional<Node> find(const std::string& uid) const;
  std::vector<std::string> dependents(const std::string& uid) const;
  // Those whose reference to `uid` blocks its foreground deletion.
  std::vector<std::string> blocking(const std::string& uid) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Node> nodes_;                        // GUARDED_BY(mutex_)
  std::map<std::string, std::set<std::string>> dependents_;  // by the owner's uid, known or not; GUARDED_BY(mutex_)
};

inline constexpr std::string_view kForegroundFinalizer = "foregroundDeletion";
inline constexpr std::string_view kOrphanFinalizer = "orphan";

}  // namespace caisson::controllers
