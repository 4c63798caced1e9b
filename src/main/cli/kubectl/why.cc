// SPDX-License-Identifier: Apache-2.0
// why: for each node, what speaks against a pod that waits. The scheduler's own filters over what the API shows.
#include <cstdio>
#include <map>

#include "cluster/controllers/scheduling.h"
#include "cluster/controllers/volume_topology.h"
#include "cluster/controllers/volumes.h"
#include "core/base/text.h"
#include "main/cli/kubectl/why.h"

namespace caisson::cli::kubectl {
namespace {

using controllers::NodeState;

// The volumes and classes as they were when the command began; a claim is read when a pod names it.
controllers::VolumeLookup lookup(const Call& call, std::vector<Object> volumes, std::vector<Object> classes) {
  const auto named = [](const std::vector<Object>& list, const std::string& name) {
    for (const Object& one : list) {
      if (one.name() == name) return std::optional<Object>(one);
    }
    return std::optional<Object>();
  };
  return {[&call](const kube::ObjectKey& key) {
            auto claim = call.session.client->get(schema::kPersistentVolumeClaims, key);
            return claim.ok() ? std::optional<Object>(std::move(claim).value()) : std::optional<Object>();
          },
          [named, volumes](const std::string& name) { return named(volumes, name); },
          [named, classes](const std::string& name) { return named(classes, name); }, [volumes] { return volumes; }};
}

Result<std::vector<NodeState>> node_states(const Call& call, const std::vector<Object>& namespaces) {
  std::map<std::string, std::vector<Object>> pods_by_node;
  for (const Object& other : TRY(call.session.client->list(schema::kPods, {})).items) {
    const std::string node = other.spec()["nodeName"].str();
    if (!node.empty() && !controllers::is_finished(other))
      pods_by_node[node].push_back(controllers::resolved(other, namespaces));
  }
  std::vector<NodeState> states;
  for (const Object& node : TRY(call.session.client->list(schema::kNodes, {})).items)
    states.push_back(controllers::node_state(node, pods_by_node[node.name()]));
  return states;
}

Result<void> explain(const Call& call, const Target& target) {
  const Object pod(target.object);
  const std::string bound = pod.spec()["nodeName"].str(), shown = target.shown();
  if (!bound.empty()) {
    std::printf("%s is on node %s\n", shown.c_str(), bound.c_str());
    return {};
  }
  if (const Value& gates = pod.spec()["schedulingGates"]; !gates.empty()) {
    std::vector<std::string> names;
    for (const Value& gate : gates.items()) names.push_back(gate["name"].str());
    std::printf("%s is held back by scheduling gates: %s\n", shown.c_str(), join(names, ", ").c_str());
    return {};
  }
  const std::vector<Object> namespaces = TRY(call.session.client->list(schema::kNamespaces, {})).items;
  const std::vector<NodeState> states = TRY(node_states(call, namespaces));
  const auto volumes = TRY(call.session.client->list(controllers::persistent_volumes(), {})).items;
  const auto classes = TRY(call.session.client->list(controllers::storage_classes(), {})).items;
  const controllers::VolumeDemand demand = controllers::volume_demand(pod, lookup(call, volumes, classes));
  const Value& scheduled = kube::condition(pod, "PodScheduled");
  std::printf("%s waits for a node%s%s\n", shown.c_str(), scheduled.is_null() ? "" : ": ",
              scheduled["message"].str().c_str());
  if (!demand.problem.empty()) {
    std::printf("no node will do: %s\n", demand.problem.c_str());
    return {};
  }
  const Object wanting = controllers::resolved(pod, namespaces);
  std::vector<std::vector<std::string>> rows{{"NODE", "VERDICT"}};
  for (const NodeState& state : states) {
    const controllers::Refusal refusal = controllers::filter(wanting, state, states, &demand);
    rows.push_back({state.node.name(), refusal.reasons.empty()
                                           ? "would do"
                                           : join(refusal.reasons, ", ") +
                                                 (refusal.helped_by_preemption ? " (preemption could help)" : "")});
  }
  print_columns(rows);
  return {};
}

}  // namespace

Result<int> run_why(Call& call) {
  std::vector<std::string> words = call.arguments;
  if (words.size() == 1 && words[0].find('/') == std::string::npos) words.insert(words.begin(), "pod");
  for (const Target& target : TRY(read_targets(call, words))) {
    if (target.resource != schema::kPods) return usage("only a pod can be asked for: caisson why pod NAME");
    TRY(explain(call, target));
  }
  return 0;
}

}  // namespace caisson::cli::kubectl
