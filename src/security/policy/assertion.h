// SPDX-License-Identifier: Apache-2.0
// Assertion trees (validate.assert): a document whose keys select or compute and whose leaves are compared. Follows
// kyverno-json 0.0.5 as Kyverno 1.19 uses it, and for bindings its documentation: a binding is seen below its key, not
// beside it. Compiled once; any thread.
//
//   (expression)      JMESPath over the value here (community edition); (cel; expression) CEL over `object`
//   ~name.key         each item or member of it by itself; $name is its index or key below
//   key->name         $name is what the key selects, below
//   \key\             the key as it is written
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"
#include "core/expr/jmespath/jmespath.h"

namespace caisson::policy {

class Assertion {
 public:
  // Errors: invalid, which names the key: an expression or a compiler that can't be, nesting beyond 100 levels.
  static Result<Assertion> compile(const Value& source);

  // The $names that its expressions read and that are not bound within.
  const std::vector<std::string>& free_names() const;

  // What is not as asserted, in Kyverno's words; empty: it holds. Errors: bad_request for what can't be evaluated or
  // compared.
  Result<std::vector<std::string>> check(const Value& value, const Value& bindings,
                                         const jmespath::Environment& environment) const;

  struct Tree;  // assertion.cc

 private:
  explicit Assertion(std::shared_ptr<const Tree> tree) : tree_(std::move(tree)) {}
  std::shared_ptr<const Tree> tree_;
};

}  // namespace caisson::policy
