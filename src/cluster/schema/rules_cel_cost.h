// SPDX-License-Identifier: Apache-2.0
// What the validation rules of a definition may cost, estimated before one of them runs: 10,000,000 to a rule, all its
// places in one object together, 100,000,000 to a version's schema. Follows apiextensions-apiserver 1.33
// (pkg/apis/apiextensions/validation: validation.go, cel_validation.go). Internal to the room. One thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cluster/schema/validate.h"
#include "core/expr/cel/cel.h"

namespace caisson::schema {

// How often a place can be there in one object; nothing: no bound is stated.
using Cardinality = std::optional<std::uint64_t>;
// Of what is in the lists, maps and objects of `schema`, which itself is there `own` times.
Cardinality cardinality_below(const Value& schema, const Cardinality& own);

class RuleCosts {
 public:
  // A rule at `field` ("….x-kubernetes-validations[0].rule") and an expression for its message. `schema` is that of
  // their `self`.
  void add_rule(const std::string& field, const cel::Program& rule, const Value& schema, const Cardinality& times,
                std::vector<FieldError>& out);
  void add_message(const std::string& field, const cel::Program& message, const Value& schema,
                   std::vector<FieldError>& out);
  // Once, after all rules of the schema at `field`.
  void finish(const std::string& field, std::vector<FieldError>& out) const;

 private:
  void observe(const std::string& field, std::uint64_t cost);

  struct One {
    std::string field;
    std::uint64_t cost;
  };
  std::uint64_t total_ = 0;
  std::vector<One> dearest_;  // the dearest first
};

}  // namespace caisson::schema
