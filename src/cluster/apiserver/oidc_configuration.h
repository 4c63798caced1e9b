// SPDX-License-Identifier: Apache-2.0
// An AuthenticationConfiguration, read and checked: what oidc.cc works by. Internal to the room. Never changes once
// made.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/document/value.h"
#include "core/expr/cel/cel.h"

namespace caisson::apiserver {

// A claim by name, with a prefix for its values; or an expression over `claims`.
struct ClaimSource {
  std::string claim, prefix;
  std::optional<cel::Program> expression;
  bool given() const { return !claim.empty() || expression.has_value(); }
};

struct OidcIssuer {
  std::string url, discovery_url, ca_pem;
  std::vector<std::string> audiences;
  ClaimSource username, groups, uid;
  std::vector<std::pair<std::string, cel::Program>> extra;
  struct ClaimRule {
    std::string claim, required_value;
    std::optional<cel::Program> expression;
    std::string message;
  };
  std::vector<ClaimRule> claim_rules;
  struct UserRule {
    cel::Program expression;
    std::string message;
  };
  std::vector<UserRule> user_rules;
};

// Errors: invalid, with every field that is wrong.
Result<std::vector<OidcIssuer>> read_oidc_issuers(const Value& configuration, const std::string& own_issuer);

}  // namespace caisson::apiserver
