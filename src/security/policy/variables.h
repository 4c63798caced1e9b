// SPDX-License-Identifier: Apache-2.0
// Substitution of {{ expressions }} and $(references) in a document: keys and values, nested, escaped by a backslash.
// Follows Kyverno 1.19, pkg/engine/variables. One thread, as its Context.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"
#include "core/expr/jmespath/jmespath.h"

namespace caisson::policy {

class Context;

// Errors: not_found for a missing key, bad_request for what can't be evaluated; both name the variable and the path.
Result<Value> substitute(const Value& document, Context& context);
// Text that stands alone: a message, a list's expression.
Result<std::string> substitute_text(std::string_view text, Context& context);

bool has_variables(const Value& document);

// A document that is substituted often: what it is made of is seen once. Does not change; any thread.
class Template {
 public:
  Template() = default;
  // `compiles`: a variable that stands alone is compiled now rather than looked up each time.
  explicit Template(Value document, bool compiles = false);
  Result<Value> substitute(Context& context) const;  // as substitute(document, context)

 private:
  Value document_;
  bool has_variables_ = false;
  bool names_object_ = false;                     // of a DELETE it reads another object
  std::optional<jmespath::Expression> variable_;  // all that the document is
};
// The variables of a text with their braces, outermost first found; for checks of policies.
std::vector<std::string_view> variables_in(std::string_view text);

}  // namespace caisson::policy
