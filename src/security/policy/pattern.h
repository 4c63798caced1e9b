// SPDX-License-Identifier: Apache-2.0
// A pattern against a resource, with anchors. Follows Kyverno 1.19, pkg/engine/validate. Pure; any thread.
#pragma once
#include <string>

#include "core/document/value.h"

namespace caisson::policy {

struct PatternOutcome {
  enum class Kind { pass, fail, skip, error } kind = Kind::pass;
  std::string path;     // where it failed: "/spec/containers/0/image/"
  std::string message;  // why
  bool passed() const { return kind == Kind::pass; }
};

// `pattern` has its variables substituted. Nesting beyond 200 levels is an error.
PatternOutcome match_pattern(const Value& resource, const Value& pattern);

}  // namespace caisson::policy
