// SPDX-License-Identifier: Apache-2.0
// Templates in labels and annotations of alerting rules: Go templates with the functions of Prometheus 3's template
// package ($labels, $value, humanize, query …). Any thread.
#pragma once
#include <functional>
#include <string>

#include "core/expr/go_template/function.h"
#include "observe/metrics/promql/engine.h"

namespace caisson::metrics {

// Answers a query of a rule at a time, in the language of its group; a vector or a scalar.
using RuleQuery = std::function<Result<promql::QueryResult>(const std::string& query, std::int64_t t_ms)>;

struct AlertTemplateData {
  Labels labels, external_labels;
  std::string external_url;
  double value = 0;
  std::int64_t now_ms = 0;
  // Answers {{ query "…" }}; absent: that function fails.
  RuleQuery query;
};

// Errors: bad_request in Go's words.
Result<void> check_alert_template(std::string_view text);
Result<std::string> expand_alert_template(std::string_view text, const AlertTemplateData& data);

// Those that notifications have too: match, reReplaceAll, title, toUpper …
go_template::FunctionTable text_template_functions();

std::string humanize(double v);
std::string humanize1024(double v);
std::string humanize_duration(double seconds);
std::string humanize_percentage(double v);

}  // namespace caisson::metrics
