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
// `pod`, and the pods of `all`, are resolved (below). `volumes`: what its claims ask; none: nothing.
struct VolumeDemand;
Refusal filter(const Object& pod, const NodeState& node, const std::vector<NodeState>& all,
               const VolumeDemand* volumes = nullptr);
// The pod with its terms about other pods spelled out: namespaceSelector as the names of those of `namespaces` that it
// matches, matchLabelKeys and mismatchLabelKeys as requirements of the labelSelector.
Object resolved(const Object& pod, const std::vector<Object>& namespaces);

struct Choice {
  std::string node;     // empty: none will do
  std::string message;  // then: why, "0/1 nodes are available: 1 Insufficient memory. preemption: …"
};
Choice choose(const Object& pod, const std::vector<NodeState>& nodes, const VolumeDemand* volumes = nullptr);

// --- preemption.cc
// A node where the pod would fit if these pods of lower priority went: as few and as unimportant as possible.
struct Preemption {
  std::string node;  // empty: it would not help
  std::vector<Object> victims;
};
// Victims whose PodDisruptionBudget has nothing left (`budgets`: all there are) are taken only where nothing else
// helps.
Preemption plan_preemption(const Object& pod, const std::vector<NodeState>& nodes,
                           const VolumeDemand* volumes = nullptr, const std::vector<Object>& budgets = {});
std::int64_t priority(const Object& pod);

bool tolerates(const Value& tolerations, const Value& taint);
// A nodeSelectorTerms list against a node (labels and the field metadata.name).
bool matches_node_selector(const Value& node_selector, const Object& node);

}  // namespace caisson::controllers
