// SPDX-License-Identifier: Apache-2.0
// Source: pkg/scheduler/framework/plugins/defaultpreemption, framework/preemption (v1.33). PodDisruptionBudgets are not
// weighed.
#include <algorithm>
#include <tuple>

#include "cluster/controllers/scheduling.h"

namespace caisson::controllers {
namespace {

// The more important first; of equals the one that runs longer.
bool more_important(const Object& a, const Object& b) {
  if (priority(a) != priority(b)) return priority(a) > priority(b);
  return a.created() < b.created();
}

bool fits(const Object& pod, const NodeState& node, const std::vector<NodeState>& all) {
  return filter(pod, node, all).reasons.empty();
}

// Everybody less important goes; then, the most important first, whoever may stay after all.
std::vector<Object> victims_on(const Object& pod, std::size_t at, std::vector<NodeState> nodes) {
  NodeState& node = nodes[at];
  std::vector<Object> lower;
  for (const Object& other : node.pods) {
    if (priority(other) < priority(pod)) lower.push_back(other);
  }
  for (const Object& other : lower) node.remove(other);
  if (lower.empty() || !fits(pod, node, nodes)) return {};
  std::stable_sort(lower.begin(), lower.end(), more_important);
  std::vector<Object> out;
  for (const Object& other : lower) {
    node.add(other);
    if (fits(pod, node, nodes)) continue;
    node.remove(other);
    out.push_back(other);
  }
  return out;
}

// Smaller is better: the most important victim, then their sum, then their number.
std::tuple<std::int64_t, std::int64_t, std::size_t> cost(const std::vector<Object>& victims) {
  std::int64_t highest = INT64_MIN, sum = 0;
  for (const Object& victim : victims) {
    highest = std::max(highest, priority(victim));
    sum += priority(victim);
  }
  return {highest, sum, victims.size()};
}

}  // namespace

std::int64_t priority(const Object& pod) {
  return pod.spec()["priority"].as_int();
}

Preemption plan_preemption(const Object& pod, const std::vector<NodeState>& nodes) {
  Preemption best;
  if (pod.spec()["preemptionPolicy"].as_string() == "Never") return best;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Refusal refusal = filter(pod, nodes[i], nodes);
    if (refusal.reasons.empty() || !refusal.helped_by_preemption) continue;
    std::vector<Object> victims = victims_on(pod, i, nodes);
    if (victims.empty() || (!best.node.empty() && cost(best.victims) <= cost(victims))) continue;
    best = {nodes[i].node.name(), std::move(victims)};
  }
  return best;
}

}  // namespace caisson::controllers
