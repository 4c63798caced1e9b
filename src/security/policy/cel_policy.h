// SPDX-License-Identifier: Apache-2.0
// Policies written in CEL: ValidatingPolicy, MutatingPolicy, GeneratingPolicy, DeletingPolicy, ImageValidatingPolicy
// (policies.kyverno.io) and ValidatingAdmissionPolicy, MutatingAdmissionPolicy (admissionregistration.k8s.io). Follows
// Kyverno 1.19 and Kubernetes 1.33. Compiled once; any thread.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "security/policy/engine.h"

namespace caisson::policy {

enum class CelForm { validating, mutating, generating, deleting, image_validating };

// One expression and what it gave, for people.
struct CelStep {
  std::string what, expression, value, error;
};

class CelPolicy {
 public:
  static bool is_one(const Value& object);
  // Errors: invalid, which names the expression that can't be compiled.
  static Result<CelPolicy> compile(const Value& object);

  CelForm form() const;
  const std::string& name() const;
  const Value& object() const;
  bool denies() const;  // whether a violation refuses a request (validationActions, failureAction)

  // Whether its resource rules (those for controllers, too) name the kind; "*" counts.
  bool names(std::string_view group, std::string_view version, std::string_view plural) const;

  // A PolicyException of policies.kyverno.io that speaks of this policy. Errors: as compile.
  Result<void> add_exception(const Value& exception);

  // Nothing: the policy does not speak of the request. `patched` becomes what a mutating policy makes of the object.
  // `params`: the objects that a binding of the policy names; empty: none.
  std::optional<RuleResponse> evaluate(const Request& request, const Value& namespace_object, const Value& params,
                                       const Lookups& lookups, Value& patched) const;
  // Every condition, variable and validation with its value. Empty: the policy does not speak of the request.
  std::vector<CelStep> trace(const Request& request, const Value& namespace_object, const Lookups& lookups) const;
  // Of an ImageValidatingPolicy: the object with digests at its images, where the policy wants them. The object itself
  // when it does not speak of the request. Errors: those of the registry.
  Result<Value> with_digests(const Request& request, const Value& namespace_object, const Lookups& lookups) const;

 private:
  struct Impl;
  explicit CelPolicy(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

// A binding (ValidatingAdmissionPolicyBinding, MutatingAdmissionPolicyBinding) of the policy of that name.
bool is_binding(const Value& object);
bool binding_matches(const Value& binding, const Target& target);

}  // namespace caisson::policy
