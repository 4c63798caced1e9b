// SPDX-License-Identifier: Apache-2.0
// A pattern against a resource, with anchors. Follows Kyverno 1.19, pkg/engine/validate. Pure; any thread.
#pragma once
#include <memory>
#include <string>

#include "core/document/value.h"

namespace caisson::policy {

struct PatternOutcome {
  enum class Kind { pass, fail, skip, error } kind = Kind::pass;
  std::string path;     // where it failed: "/spec/containers/0/image/"
  std::string message;  // why
  bool passed() const { return kind == Kind::pass; }
};

struct PatternTree;

// Read once, asked often. `source` has no variables, or they are substituted. Nesting beyond 200 levels is an error of
// the match.
class Pattern {
 public:
  explicit Pattern(const Value& source);
  PatternOutcome match(const Value& resource) const;
  bool fits(const Value& resource) const;  // whether match() passes

 private:
  std::shared_ptr<const PatternTree> tree_;
};

// For a pattern that is met once.
PatternOutcome match_pattern(const Value& resource, const Value& pattern);

}  // namespace caisson::policy
