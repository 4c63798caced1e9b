// SPDX-License-Identifier: Apache-2.0
// Recording and alerting rules as data. Formats: Prometheus 3 rule files ("groups:") and the spec of a PrometheusRule,
// which is the same. Pure functions; any thread.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/document/value.h"
#include "observe/metrics/model/labels.h"

namespace caisson::metrics {

using Pairs = std::vector<std::pair<std::string, std::string>>;  // sorted by name

struct Rule {
  std::string record, alert;  // one of them
  std::string expr;
  std::int64_t for_ms = 0, keep_firing_for_ms = 0;
  Pairs labels, annotations;  // templates in an alerting rule
  bool operator==(const Rule&) const = default;
};

struct RuleGroup {
  std::string file, name;  // file: where it came from ("prometheusrule/shop/web")
  std::int64_t interval_ms = 0, query_offset_ms = 0;
  std::size_t limit = 0;  // of series or alerts that one rule may give; 0: none
  std::string language;   // of its expressions; empty: PromQL
  std::vector<Rule> rules;
  bool operator==(const RuleGroup&) const = default;
};

// Says what is wrong with an expression.
using CheckExpression = std::function<Result<void>(const std::string& expr)>;
Result<void> check_promql(const std::string& expr);

// Errors: bad_request, which names group, rule and what is wrong, an expression that `check` refuses among it.
Result<std::vector<RuleGroup>> parse_rule_groups(const Value& document, const std::string& file,
                                                 std::int64_t default_interval_ms,
                                                 const CheckExpression& check = check_promql);

}  // namespace caisson::metrics
