// SPDX-License-Identifier: Apache-2.0
// A ValidatingAdmissionPolicy's expressions, compiled once, and one request's evaluation of them, within Kubernetes'
// limits on cost. Follows pkg/admission/plugin/policy/validating of apiserver 1.33. Threads: a program may be used from
// any thread at once; an evaluation belongs to one.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/apiserver/admission.h"
#include "cluster/apiserver/authorizer.h"
#include "cluster/apiserver/policy_match.h"
#include "core/expr/cel/cel.h"

namespace caisson::apiserver {

struct PolicyProgram {
  struct Named {
    std::string name;
    cel::Program program;
  };
  struct Validation {
    cel::Program program;
    std::optional<cel::Program> message_expression;
    std::string text, message, reason;
  };
  std::string name;
  bool ignores_failure = false;
  Value param_kind;  // {apiVersion, kind}, or null
  ResourceMatch match;
  cel::Type variables_type;
  std::vector<Named> conditions, variables;
  std::vector<Named> annotations;  // of the audit event, by key
  std::vector<Validation> validations;

  // Errors: invalid, with the field of the policy and what is wrong: "spec.validations[0].expression: Invalid value:
  // …".
  static Result<PolicyProgram> compile(const Value& policy);
};

// Why a request is to be refused; under failurePolicy Fail also what could not be evaluated.
struct PolicyFinding {
  std::string message;
  std::string reason;  // "Invalid", "Forbidden" …; empty: Invalid
  int index = -1;      // of the validation
};

struct PolicyInput {
  const AdmissionRequest& request;
  const Value& object;  // null for a deletion
  const Value& ns;      // the namespace's object, or null
  const Value* params;  // nullptr: none
  const Authorizer& authorizer;
};

// Empty: the policy has nothing against it (or is not for it). Notes the policy's annotations in the request.
std::vector<PolicyFinding> evaluate(const PolicyProgram& policy, const PolicyInput& input);

}  // namespace caisson::apiserver
