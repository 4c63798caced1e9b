// SPDX-License-Identifier: Apache-2.0
// Admission policies of the store with their bindings: compiled when one of them changed, else taken as they are. What
// ValidatingAdmissionPolicy and MutatingAdmissionPolicy share (pkg/admission/plugin/policy/generic of apiserver 1.33).
// Threads: any.
#pragma once
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/apiserver/policy_match.h"
#include "cluster/apiserver/policy_program.h"
#include "cluster/store/store.h"

namespace caisson::apiserver {

// A policy as one of its bindings asks it.
struct BoundPolicy {
  std::string name;  // of the binding
  std::shared_ptr<const PolicyProgram> policy;
  ResourceMatch match;  // of the binding; the policy has its own
  Value param_ref;      // null: none
  Value actions;        // validationActions as written

  bool matches(const AdmissionRequest& request, const Value& object, const Value& ns) const {
    return policy->match.matches(request, object, ns) && match.matches(request, object, ns);
  }
  bool has_action(std::string_view action) const;
};

class PolicyBindings {
 public:
  using List = std::vector<BoundPolicy>;
  // The resources in which policies and bindings are stored:
  // "validatingadmissionpolicies.admissionregistration.k8s.io".
  PolicyBindings(const store::Store& store, std::string policies, std::string bindings)
      : store_(store), policies_(std::move(policies)), bindings_(std::move(bindings)) {}

  // By name of the policy, then of the binding. A stored policy that does not compile is logged and left out.
  Result<std::shared_ptr<const List>> current() const;

 private:
  Result<std::shared_ptr<const List>> compile() const;

  const store::Store& store_;
  const std::string policies_, bindings_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const List> known_;  // GUARDED_BY(mutex_)
  mutable store::Revision revision_ = 0;       // GUARDED_BY(mutex_)
};

// The objects that a binding's paramRef names; one null when the policy takes no parameters, none when nothing is found
// and the binding allows that. Errors: why there are none.
Result<std::vector<Value>> params_of(const BoundPolicy& bound, const AdmissionRequest& request,
                                     const schema::Schema& schema);

// Policies do not govern what configures admission, or one could lock everybody out; nor questions that are not stored.
bool is_exempt_from_policies(const AdmissionRequest& request);

}  // namespace caisson::apiserver
