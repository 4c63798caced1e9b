// SPDX-License-Identifier: Apache-2.0
// Recorded series that dashboards of Kubernetes ask for by name: those of kubernetes-mixin 1.4 and of node_exporter's
// mixin, over this program's own targets. These carry the label node, so that no rule joins to find it.
#pragma once
#include "observe/metrics/rules/rule.h"

namespace caisson::metrics {

Result<std::vector<RuleGroup>> recording_rules();

}  // namespace caisson::metrics
