// SPDX-License-Identifier: Apache-2.0
// Source: pkg/scheduler/framework/plugins/defaultpreemption, framework/preemption (v1.33).
#include <algorithm>
#include <tuple>

#include "cluster/controllers/scheduling.h"
#include "cluster/controllers/volume_topology.h"
#include "cluster/kube/selector.h"

namespace caisson::controllers {
namespace {

// The more important first; of equals the one that runs longer.
bool more_important(const Object& a, const Object& b) {
  if (priority(a) != priority(b)) return priority(a) > priority(b);
  return a.created() < b.created();
}

bool fits(const Object& pod, const NodeState& node, const std::vector<NodeState>& all, const VolumeDemand* volumes) {
  return filter(pod, node, all, volumes).reasons.empty();
}

// Which of the pods could not go without going below what a budget allows, when those before them go.
std::vector<bool> violating(const std::vector<Object>& pods, const std::vector<Object>& budgets) {
  std::vector<std::int64_t> left;
  std::vector<kube::LabelSelector> selectors;
  for (const Object& budget : budgets) {
    left.push_back(budget.status()["disruptionsAllowed"].as_int());
    auto selector = kube::LabelSelector::from(budget.spec()["selector"]);
    selectors.push_back(selector.ok() ? std::move(selector).value() : kube::LabelSelector());
  }
  std::vector<bool> out;
  for (const Object& pod : pods) {
    bool violates = false;
    for (std::size_t i = 0; i < budgets.size(); ++i) {
      if (budgets[i].ns() != pod.ns() || selectors[i].everything() || !selectors[i].matches(pod.metadata()["labels"]))
        continue;
      if (budgets[i].status()["disruptedPods"].contains(pod.name())) continue;  // counted already
      if (--left[i] < 0) violates = true;
    }
    out.push_back(violates);
  }
  return out;
}

struct Victims {
  std::vector<Object> pods;
  std::size_t violations = 0;
};

// Everybody less important goes; then whoever may stay after all stays: first those that a budget holds, and of each
// kind the most important.
Victims victims_on(const Object& pod, std::size_t at, std::vector<NodeState> nodes, const VolumeDemand* volumes,
                   const std::vector<Object>& budgets) {
  NodeState& node = nodes[at];
  std::vector<Object> lower;
  for (const Object& other : node.pods) {
    if (priority(other) < priority(pod)) lower.push_back(other);
  }
  for (const Object& other : lower) node.remove(other);
  if (lower.empty() || !fits(pod, node, nodes, volumes)) return {};
  std::stable_sort(lower.begin(), lower.end(), more_important);
  const std::vector<bool> held = violating(lower, budgets);
  Victims out;
  for (const bool turn : {true, false}) {
    for (std::size_t i = 0; i < lower.size(); ++i) {
      if (held[i] != turn) continue;
      node.add(lower[i]);
      if (fits(pod, node, nodes, volumes)) continue;
      node.remove(lower[i]);
      out.pods.push_back(lower[i]);
      out.violations += turn ? 1 : 0;
    }
  }
  return out;
}

// Smaller is better: broken budgets, the most important victim, the sum of their importance, their number; of equals
// the node whose most important victim started last.
using Cost = std::tuple<std::size_t, std::int64_t, std::int64_t, std::size_t, std::int64_t>;
Cost cost(const Victims& victims) {
  std::int64_t highest = INT64_MIN, sum = 0, started = INT64_MAX;
  for (const Object& victim : victims.pods) {
    const auto start = parse_time(victim.status()["startTime"].as_string());
    const std::int64_t at = start ? start->time_since_epoch().count() : INT64_MAX;
    if (priority(victim) > highest)
      started = at;
    else if (priority(victim) == highest)
      started = std::min(started, at);
    highest = std::max(highest, priority(victim));
    sum += priority(victim);
  }
  return {victims.violations, highest, sum, victims.pods.size(), -started};
}

}  // namespace

std::int64_t priority(const Object& pod) {
  return pod.spec()["priority"].as_int();
}

Preemption plan_preemption(const Object& pod, const std::vector<NodeState>& nodes, const VolumeDemand* volumes,
                           const std::vector<Object>& budgets) {
  Preemption best;
  Cost best_cost;
  if (pod.spec()["preemptionPolicy"].as_string() == "Never") return best;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Refusal refusal = filter(pod, nodes[i], nodes, volumes);
    if (refusal.reasons.empty() || !refusal.helped_by_preemption) continue;
    Victims victims = victims_on(pod, i, nodes, volumes, budgets);
    if (victims.pods.empty() || (!best.node.empty() && best_cost <= cost(victims))) continue;
    best_cost = cost(victims);
    best = {nodes[i].node.name(), std::move(victims.pods)};
  }
  return best;
}

}  // namespace caisson::controllers
