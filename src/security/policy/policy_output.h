// SPDX-License-Identifier: Apache-2.0
// What policies found, for people (a table), for programs (JSON, a PolicyReport), for code scanning (SARIF 2.1.0) and
// for CI (JUnit). Pure; any thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "security/policy/evaluate.h"

namespace caisson::policy {

struct Finding {
  std::string policy, rule, message, category, severity;
  Status status = Status::pass;
  Value resource;
};
struct Counts {
  std::size_t pass = 0, fail = 0, warn = 0, error = 0, skip = 0;
};

// `audit_warn`: violations of policies that only audit are warnings.
void add_findings(const Evaluation& evaluation, bool audit_warn, std::vector<Finding>& out);
Counts count(const std::vector<Finding>& findings);
// `format`: "" (a table), "json", "yaml", "sarif", "junit". Errors: bad_request for another.
Result<std::string> print_findings(const std::vector<Finding>& findings, const std::string& format);
// The entries of a report's `results` and its `summary`. `seconds`: when.
Value report_results(const std::vector<Finding>& findings, std::int64_t seconds);
Value report_summary(const Counts& counts);

}  // namespace caisson::policy
