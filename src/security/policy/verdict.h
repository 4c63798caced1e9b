// SPDX-License-Identifier: Apache-2.0
// What the policies in force would say of an object before anybody asks to write it: the mutations that admission would
// make, then its validations. Images are not asked for (no signatures, no digests). What a sync is told before it
// begins. Any thread.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cluster/kube/client.h"
#include "core/base/clock.h"
#include "security/policy/policies.h"

namespace caisson::policy {

struct ForeseenViolation {
  std::string policy, rule, message;
  bool enforced = false;  // admission would refuse the object
};

class Verdict {
 public:
  // `user`: who will write the objects, for rules that speak of users. `client` reads namespaces and what rules look
  // up.
  Verdict(std::shared_ptr<const Policies> policies, kube::Client& client, UserInfo user, Clock& clock = system_clock());
  ~Verdict();

  // Changes whenever the answer may: with the policies.
  std::uint64_t generation() const;
  // `object` has apiVersion, kind, metadata with its namespace. An object that is not known by kind meets the rules
  // that name its kind.
  std::vector<ForeseenViolation> of(const Value& object) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::policy
