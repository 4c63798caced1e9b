// SPDX-License-Identifier: Apache-2.0
// What generate rules with `synchronize` made goes with what it was made for: with its trigger; and what a policy
// itself says (`data`) with the policy, unless that says orphanDownstreamOnPolicyDelete. Follows Kyverno 1.19. One
// thread: the scan's. A policy that goes while nobody scans leaves what it made.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "cluster/kube/client.h"
#include "security/policy/policies.h"

namespace caisson::policy {

class Downstream {
 public:
  explicit Downstream(kube::Client& client) : client_(client) {}

  void scan_begins();
  void saw(const kube::Object& object) { uids_.insert(object.uid()); }  // of a kind that a policy speaks of
  void missed() { complete_ = false; }  // not all of them were seen: no trigger is known to be gone
  void scan_ended(const PolicySnapshot& snapshot, const std::vector<schema::Resource>& resources);

 private:
  struct Source {  // a rule
    std::string policy, ns, rule;
    bool goes_with_policy = false;
    std::vector<schema::Resource> kinds;
  };
  static std::vector<Source> sources_of(const PolicySnapshot& snapshot, const std::vector<schema::Resource>& resources);
  // Those whose trigger is gone, or all.
  void remove(const Source& source, bool all) const;

  kube::Client& client_;
  std::set<std::string> uids_;
  bool complete_ = true;
  std::vector<Source> known_;  // by the scan before
};

}  // namespace caisson::policy
