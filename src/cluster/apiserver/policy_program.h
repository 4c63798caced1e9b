// SPDX-License-Identifier: Apache-2.0
// The expressions of a ValidatingAdmissionPolicy or MutatingAdmissionPolicy, compiled once, and one request's
// evaluation of them (policy_evaluation.cc), within Kubernetes' limits on cost. Follows pkg/admission/plugin/policy of
// apiserver 1.33. Threads: a program may be used from any thread at once; an evaluation belongs to one.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/apiserver/admission.h"
#include "cluster/apiserver/authorizer.h"
#include "cluster/apiserver/policy_match.h"
#include "cluster/schema/validate.h"
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
  struct Mutation {
    bool json_patch = false;  // else an ApplyConfiguration
    cel::Program program;
  };
  std::string name;
  bool ignores_failure = false;
  Value param_kind;  // {apiVersion, kind}, or null
  ResourceMatch match;
  cel::Type variables_type;
  std::vector<Named> conditions, variables;
  std::vector<Named> annotations;  // of the audit event, by key
  std::vector<Validation> validations;
  std::vector<Mutation> mutations;
  bool reinvoked = false;  // reinvocationPolicy IfNeeded

  // `errors` gets a finding for each expression that is wrong; one that is missing is no finding here (rules of the
  // schema tell of it), it is left out.
  static PolicyProgram compile(const Value& policy, std::vector<schema::FieldError>& errors);
  // Errors: invalid, with the first finding: "spec.validations[0].expression: Invalid value: …".
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

// Whether the policy's matchConditions hold. Errors: bad_request when none is false and one can't be evaluated; under
// failurePolicy Ignore they then do not hold.
Result<bool> conditions_hold(const PolicyProgram& policy, const PolicyInput& input);

// What a mutation makes of `input.object`: not defaulted, and its form not looked at. Errors: bad_request for what the
// author of the policy did wrong, internal for a result with fields that `kind` has not.
Result<Value> mutated(const PolicyProgram& policy, const PolicyProgram::Mutation& mutation, const PolicyInput& input,
                      const schema::KindSchema& kind);

// A policy that is about to be stored: its expressions must compile. Of other objects nothing is said.
Result<void> check_policy_expressions(const AdmissionRequest& request, const Value& object);

}  // namespace caisson::apiserver
