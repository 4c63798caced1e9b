// SPDX-License-Identifier: Apache-2.0
// What CEL expressions of admission (policies, matchConditions of webhooks) see of a request: object, oldObject,
// request, authorizer. Follows apiserver 1.33's pkg/admission/plugin/cel and plugin/webhook/matchconditions.
// Threads: compiled conditions may be used from any thread at once.
#pragma once
#include <string>
#include <vector>

#include "cluster/apiserver/admission.h"
#include "cluster/apiserver/authorizer.h"
#include "cluster/schema/validate.h"
#include "core/expr/cel/cel.h"

namespace caisson::apiserver {

inline constexpr std::uint64_t kCostMaxPerExpression = 1'000'000;
inline constexpr std::uint64_t kCostMaxPerPolicy = 10'000'000;

// Kubernetes' options with the variables that every expression of admission has.
cel::EnvironmentOptions admission_environment();

// admission.k8s.io/v1 AdmissionRequest without uid, object and oldObject. `object` is null for a deletion.
Value request_value(const AdmissionRequest& request, const Value& object);

// Binds the variables of admission_environment.
void bind_request(cel::Bindings& bindings, const AdmissionRequest& request, const Value& object,
                  const Authorizer& authorizer);

// matchConditions: all must hold.
class MatchConditions {
 public:
  // `at`: the field's path in error texts. `errors` gets a finding for each name and expression that is wrong.
  static MatchConditions compile(const Value& conditions, const std::string& at,
                                 std::vector<schema::FieldError>& errors);
  bool empty() const { return conditions_.empty(); }
  // Errors: bad_request when none is false and one can't be evaluated.
  Result<bool> hold(const AdmissionRequest& request, const Value& object, const Authorizer& authorizer) const;

 private:
  struct Condition {
    std::string name;
    cel::Program program;
  };
  std::vector<Condition> conditions_;
};

}  // namespace caisson::apiserver
