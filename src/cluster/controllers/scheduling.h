// SPDX-License-Identifier: Apache-2.0
// Which node for a pod: filters, which say in upstream's words why a node is no choice, and scores. Pure functions; any
// thread. Source: pkg/scheduler/framework/plugins (noderesources, nodeaffinity, tainttoleration, interpodaffinity,
// podtopologyspread; v1.33).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cluster/controllers/pods.h"

namespace caisson::controllers {

// Amounts by resource: cpu in thousandths, others in whole units.
using Amounts = std::map<std::string, std::int64_t, std::less<>>;
// What a pod asks for: the sum of its containers, or its largest init container where that is more; sidecars count
// throughout.
Amounts requests(const Object& pod);
// For scores, a container that asks for nothing still counts 100m and 200Mi, as upstream.
Amounts requests_for_score(const Object& pod);

struct NodeState {
  Object node;
  std::vector<Object> pods;  // bound or about to be; none that is finished
  Amounts allocatable, used, used_for_score;
  void add(const Object& pod);
  void remove(const Object& pod);
};
NodeState node_state(const Object& node, const std::vector<Object>& pods);

// Why a node will not do. `helped_by_preemption`: it would when pods of it went.
struct Refusal {
  std::vector<std::string> reasons;  // empty: it will do
  bool helped_by_preemption = false;
};
Refusal filter(const Object& pod, const NodeState& node, const std::vector<NodeState>& all);

struct Choice {
  std::string node;     // empty: none will do
  std::string message;  // then: why, "0/1 nodes are available: 1 Insufficient memory. preemption: …"
};
Choice choose(const Object& pod, const std::vector<NodeState>& nodes);

// --- preemption.cc
// A node where the pod would fit if these pods of lower priority went: as few and as unimportant as possible.
struct Preemption {
  std::string node;  // empty: it would not help
  std::vector<Object> victims;
};
Preemption plan_preemption(const Object& pod, const std::vector<NodeState>& nodes);
std::int64_t priority(const Object& pod);

bool tolerates(const Value& tolerations, const Value& taint);
// A nodeSelectorTerms list against a node (labels and the field metadata.name).
bool matches_node_selector(const Value& node_selector, const Object& node);

}  // namespace caisson::controllers
