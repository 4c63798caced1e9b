// SPDX-License-Identifier: Apache-2.0
// Whose children these are: adoption of orphans that match a selector, release of children that no longer do, and what
// a controller has asked for but does not see yet. Source: pkg/controller/controller_ref_manager.go,
// controller_utils.go (v1.33).
//
// Threads: any.
#pragma once
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cluster/kube/client.h"
#include "cluster/kube/informer.h"
#include "cluster/kube/selector.h"

namespace caisson::controllers {

// Of `candidates` (one kind, one namespace) those that `owner` controls afterwards. Orphans are adopted only while the
// live owner is still the one meant and is not being deleted.
Result<std::vector<kube::Object>> claim(kube::Client& client, const schema::Resource& owner_resource,
                                        const kube::Object& owner, const kube::LabelSelector& selector,
                                        const schema::Resource& child_resource,
                                        const std::vector<kube::Object>& candidates);

// Whether pods of the template will be the owner's own. The API server sees to it; a controller that trusted it blindly
// would make pods that it does not count.
bool selects_template(const kube::LabelSelector& selector, const Value& pod_template);

// Keeps a controller from making or deleting children twice because its cache is a step behind: until the cache shows
// what was asked for (or 30 seconds have gone) the owner's children must not be counted.
class Expectations {
 public:
  Expectations(const kube::Informer& children, Clock& clock) : children_(children), clock_(clock) {}

  void created(const kube::ObjectKey& owner, const kube::Object& child);
  void deleted(const kube::ObjectKey& owner, const kube::Object& child);
  bool met(const kube::ObjectKey& owner);
  void forget(const kube::ObjectKey& owner);

 private:
  struct Expected {
    kube::ObjectKey key;
    std::string uid;
    bool gone;  // else: there
    Duration since;
  };
  bool is_met(const Expected& expected) const;

  const kube::Informer& children_;
  Clock& clock_;
  std::mutex mutex_;
  std::map<kube::ObjectKey, std::vector<Expected>> expected_;  // GUARDED_BY(mutex_)
};

}  // namespace caisson::controllers
