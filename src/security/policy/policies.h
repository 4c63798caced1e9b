// SPDX-License-Identifier: Apache-2.0
// The policies in force, compiled once, by the kind and the operation that they speak of: a request meets only the
// rules that can match it. Any thread; readers take a snapshot and never wait for a writer's compiling.
#pragma once
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cluster/kube/client.h"
#include "security/policy/cel_policy.h"
#include "security/policy/engine.h"

namespace caisson::policy {

struct PolicySnapshot {
  std::vector<std::shared_ptr<const Policy>> policies;  // sorted by key
  std::vector<std::shared_ptr<const CelPolicy>> cel_policies;
  Engine::Exceptions exceptions;
  std::uint64_t generation = 0;  // grows with every change
  bool asks_for_roles = false;   // whether a rule looks at roles or clusterRoles
  bool changes_objects = false;  // whether a policy may change what is admitted: mutations, digests of images

  // Policies with a rule that can match a request on `kind` by `operation`, sorted by key. Lives as the snapshot does.
  std::span<const Policy* const> for_request(std::string_view kind, std::string_view operation) const;

  // By "Pod/CREATE"; under "*/CREATE" for the kinds that no policy names.
  std::unordered_map<std::string, std::vector<const Policy*>> index;
};

class Policies {
 public:
  Policies();
  // Reads every policy, exception and CEL policy there is. Errors: those of the client; a policy that can't be compiled
  // is logged and left out.
  Result<void> load(kube::Client& client);
  // One object changed or went.
  void set(const Value& object);
  void remove(const Value& object);
  std::shared_ptr<const PolicySnapshot> snapshot() const;

 private:
  void rebuild();  // REQUIRES the lock
  std::shared_ptr<const CelPolicy> with_exceptions(const std::shared_ptr<const CelPolicy>& policy) const;  // the same
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Value> objects_;  // GUARDED_BY(mutex_), by kind, namespace and name
  std::unordered_map<std::string, std::shared_ptr<const Policy>> compiled_;
  std::unordered_map<std::string, std::shared_ptr<const CelPolicy>> compiled_cel_;
  std::shared_ptr<const PolicySnapshot> snapshot_;
  std::uint64_t generation_ = 0;
};

// What policies never see, as Kyverno's default filters have it: the platform's own namespaces and records.
bool is_filtered(std::string_view group, std::string_view kind, std::string_view ns);

// The resources that hold policies and exceptions.
std::vector<schema::Resource> policy_resources();

}  // namespace caisson::policy
