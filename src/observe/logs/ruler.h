// SPDX-License-Identifier: Apache-2.0
// Rules over logs, as Loki's ruler has them: rule files whose expressions are LogQL. They are run by the rules of
// metrics (metrics/rules/manager.h), so what they record and their alerts are with all others; here is what that asks
// of the logs, and Loki's API over them. Any thread.
#pragma once
#include <span>

#include "core/base/clock.h"
#include "observe/logs/store/store.h"
#include "observe/metrics/server.h"

namespace caisson::logs {

// Files are in ConfigMaps labelled loki_rule, as the chart of Loki has it. `store` and `clock` outlive it.
metrics::RuleLanguage rule_language(const Store& store, Clock& clock);

// `path` is behind /loki/api/v1/rules: "", "/<file>", "/<file>/<group>", percent-encoded or not. Answers in YAML; 404 as Loki's. Rules are
// changed through their ConfigMaps: other methods than GET are 405.
http::Response answer_rules(std::span<const metrics::GroupView> groups, std::string_view method, std::string_view path);

}  // namespace caisson::logs
