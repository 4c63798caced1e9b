// SPDX-License-Identifier: Apache-2.0
// Filters and scores that look at where other pods are: affinity between pods, and spreading. Pure functions; internal
// to the scheduler. Source: pkg/scheduler/framework/plugins/{interpodaffinity,podtopologyspread} (v1.33).
#pragma once
#include "cluster/controllers/scheduling.h"

namespace caisson::controllers {

// Why the node will not do, in upstream's words; "" when it will.
std::string refuse_spread(const Object& pod, const NodeState& node, const std::vector<NodeState>& all);
std::string refuse_pods(const Object& pod, const NodeState& node, const std::vector<NodeState>& all);

double score_pod_affinity(const Object& pod, const NodeState& node, const std::vector<NodeState>& all);
// Constraints with ScheduleAnyway, 0 to 100; without any, 100.
double score_preferred_spread(const Object& pod, const NodeState& node, const std::vector<NodeState>& all);

bool fits_node_affinity(const Object& pod, const Object& node);  // nodeSelector and required node affinity
// The first taint with NoSchedule or NoExecute that the pod does not tolerate; nullptr: none.
const Value* untolerated_taint(const Object& pod, const Object& node);

}  // namespace caisson::controllers
