// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/policy_status.h"

#include "cluster/apiserver/policy_types.h"
#include "cluster/controllers/names.h"

namespace caisson::controllers {
namespace {

const kube::Resource& policies() {
  static const kube::Resource kPolicies{"admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy",
                                        "validatingadmissionpolicies", false};
  return kPolicies;
}

class PolicyStatusReconciler : public kube::Reconciler {
 public:
  PolicyStatusReconciler(kube::Runtime& runtime, const schema::Schema& schema)
      : client_(runtime.client()), schema_(schema) {}
  std::string_view name() const override { return "validatingadmissionpolicy-status"; }

  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override {
    const auto policy = client_.get(policies(), key);
    if (!policy.ok() && policy.error().code == ErrorCode::not_found) return kube::Requeue::never();
    if (!policy.ok()) return policy.error();
    const std::int64_t generation = (*policy)["metadata"]["generation"].as_int();
    if ((*policy)["status"]["observedGeneration"].as_int() >= generation) return kube::Requeue::never();
    kube::Object wanted = *policy;
    wanted.edit({"status"})
        .set("observedGeneration", generation)
        .set("typeChecking", apiserver::type_checking(policy->value(), schema_));
    TRY(client_.update(wanted, by_manager("status")));
    return kube::Requeue::never();
  }

 private:
  kube::Client& client_;
  const schema::Schema& schema_;
};

}  // namespace

void add_policy_status(kube::Runtime& runtime, const schema::Schema& schema) {
  runtime.watch(policies(), runtime.add(std::make_unique<PolicyStatusReconciler>(runtime, schema), 1));
}

}  // namespace caisson::controllers
