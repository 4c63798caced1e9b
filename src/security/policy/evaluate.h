// SPDX-License-Identifier: Apache-2.0
// Policies of every form, asked of one resource as the command line asks: mutate, verify images, validate, generate.
// What `policy test` and `policy apply` share. One thread.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"
#include "security/policy/engine.h"
#include "security/policy/explain.h"
#include "security/policy/test_files.h"

namespace caisson::policy {

// What one policy said of one resource in one stage.
struct Evaluation {
  std::string policy;
  bool ruleless = false;  // of a form without rules: the whole policy answers
  Value resource, patched;
  std::vector<RuleResponse> rules;
  Value annotations;  // of the policy: title, category, severity
};

class PolicySet {
 public:
  PolicySet();
  ~PolicySet();

  // Documents that are no policies are left aside. A policy that can't be compiled is remembered as invalid.
  void add(const Value& document);
  Result<void> add_exception(const Value& document);
  std::string invalid(const std::string& policy) const;  // why; empty: it is fine or unknown
  const std::map<std::string, std::string>& invalid_policies() const;
  std::size_t size() const;

  // `operation` empty: what the inputs say, else CREATE. Rules that change existing objects look at `targets`.
  std::vector<Evaluation> evaluate(const Value& resource, const std::string& operation, const TestInputs& inputs,
                                   const std::vector<Value>& targets, const Lookups& lookups) const;
  // How each policy (or the one rule) came to its result; as evaluate, each for itself.
  std::vector<Explanation> explain(const Value& resource, const std::string& only_rule, const TestInputs& inputs,
                                   const Lookups& lookups) const;
  // Whether a policy names the kind (kinds written as "*" count for none): what to read from a cluster.
  bool speaks_of(const std::string& group, const std::string& version, const std::string& kind,
                 const std::string& plural) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::policy
