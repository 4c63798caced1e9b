// SPDX-License-Identifier: Apache-2.0
// Unit tests of rules in promtool's format: series as text, evaluated in memory, compared with the alerts and samples
// that are expected. Source: Prometheus' documentation, "Unit testing for rules". Pure but for the rule files, which
// are read relative to the test file.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"

namespace caisson::metrics {

struct RuleTestReport {
  std::size_t tests = 0;
  std::vector<std::string> failures;  // one for each expectation that is not met
};

// Errors: bad_request when the file, a rule file or a series can't be read.
Result<RuleTestReport> run_rule_tests(const std::string& path);

}  // namespace caisson::metrics
