// SPDX-License-Identifier: Apache-2.0
// The flags of `caisson policy`, which are those of Kyverno's command line: one table reads them and shows them as help.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "main/cli/policy_serve.h"

namespace caisson::cli {

enum class PolicyVerb { test, apply, explain, serve, query, function };

struct PolicyArguments {
  std::vector<std::string> words;                  // what is no flag
  std::vector<std::string> resources, exceptions;  // may be repeated
  std::string output, values, user_info, file_name = "kyverno-test.yaml", input, query, rule;
  Global global;
  PolicyServeOptions serve;
  bool fail_only = false, audit_warn = false, detailed = false, compact = false, cluster = false, registry = false;
  bool help = false;
};

std::optional<PolicyVerb> policy_verb(std::string_view name);  // "apply", "jp query"

// "--flag value", "--flag=value", "-f value". Errors: bad_request for a flag that `verb` does not take, or that lacks
// its value.
Result<PolicyArguments> read_policy_arguments(PolicyVerb verb, const std::vector<std::string>& words);

// What --help shows: of one verb, or of all.
std::string policy_help(PolicyVerb verb);
std::string policy_help();

}  // namespace caisson::cli
