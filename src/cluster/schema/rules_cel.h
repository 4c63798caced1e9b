// SPDX-License-Identifier: Apache-2.0
// Validation rules of CustomResourceDefinitions (x-kubernetes-validations), as apiextensions-apiserver 1.33 checks
// them: compiled once with the definition, evaluated for each object within Kubernetes' limits on cost (1,000,000 to a
// rule, 10,000,000 to an object). Internal to the room. Threads: any.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "cluster/schema/validate.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::schema {

class CelRules {
 public:
  // Null when the schema has no rules. Errors: invalid, naming the rule ("AT.properties[spec]
  // .x-kubernetes-validations[0].rule: …").
  static Result<std::shared_ptr<const CelRules>> compile(const Value& schema, const std::string& at);
  // All that is wrong with the rules of a schema, as a definition's validation says it.
  static void check(const Value& schema, const std::string& at, std::vector<FieldError>& out);
  ~CelRules();
  // `before` is null for a new object: rules that use oldSelf are left out then, unless optionalOldSelf.
  void validate(const Value& object, const Value* before, std::vector<FieldError>& out) const;

  struct Node;

 private:
  explicit CelRules(std::unique_ptr<const Node> root);
  std::unique_ptr<const Node> root_;
};

// Appends what the rules of a custom kind find; of others nothing. When `out` has errors that leave the object's form
// in doubt, it says instead that rules were not checked, as Kubernetes does.
void check_cel_rules(const KindSchema& kind, const Value* before, const Value& object, std::vector<FieldError>& out);

}  // namespace caisson::schema
