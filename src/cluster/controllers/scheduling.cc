// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/scheduling.h"

#include <algorithm>

#include "cluster/controllers/names.h"
#include "cluster/controllers/scheduling_topology.h"
#include "cluster/controllers/volume_topology.h"
#include "cluster/kube/quantity.h"
#include "cluster/kube/selector.h"
#include "core/base/text.h"

namespace caisson::controllers {
namespace {

using kube::LabelSelector;

std::int64_t amount(std::string_view resource, const Value& quantity) {
  const std::string text = quantity.scalar_text();
  const auto parsed = resource == "cpu" ? kube::parse_quantity_milli(text) : kube::parse_quantity(text);
  return parsed.ok() ? *parsed : 0;  // the server has refused what is no quantity
}

void add_to(Amounts& sum, const Amounts& more, std::int64_t sign = 1) {
  for (const auto& [resource, value] : more) sum[resource] += sign * value;
}
void raise_to(Amounts& least, const Amounts& other) {
  for (const auto& [resource, value] : other) least[resource] = std::max(least[resource], value);
}

Amounts container_requests(const Value& container, bool for_score) {
  Amounts out;
  if (for_score) out = {{"cpu", 100}, {"memory", 200ll << 20}};
  for (const auto& entry : container["resources"]["requests"].entries())
    out[std::string(entry.key)] = amount(entry.key, entry.value);
  return out;
}

Amounts sum_requests(const Object& pod, bool for_score) {
  Amounts total, init_most, sidecars;
  for (const Value& container : pod.spec()["containers"].items())
    add_to(total, container_requests(container, for_score));
  for (const Value& container : pod.spec()["initContainers"].items()) {
    Amounts now = container_requests(container, for_score);
    if (container["restartPolicy"].as_string() == "Always") {
      add_to(total, now);
      add_to(sidecars, now);
      now = sidecars;
    } else {
      add_to(now, sidecars);
    }
    raise_to(init_most, now);
  }
  raise_to(total, init_most);
  for (const auto& entry : pod.spec()["overhead"].entries())
    total[std::string(entry.key)] += amount(entry.key, entry.value);
  return total;
}

// --- one function a filter plug-in; an empty text is consent

bool ports_clash(const Object& pod, const NodeState& node) {
  struct Port {
    std::string ip, protocol;
    std::int64_t number;
  };
  const auto host_ports = [](const Object& from) {
    std::vector<Port> out;
    for (const Value& container : from.spec()["containers"].items()) {
      for (const Value& port : container["ports"].items()) {
        if (const auto number = port["hostPort"].as_int(); number > 0) {
          out.push_back({port["hostIP"].as_string("0.0.0.0").empty() ? "0.0.0.0"
                                                                     : std::string(port["hostIP"].as_string("0.0.0.0")),
                         std::string(port["protocol"].as_string("TCP")), number});
        }
      }
    }
    return out;
  };
  const std::vector<Port> wanted = host_ports(pod);
  if (wanted.empty()) return false;
  for (const Object& other : node.pods) {
    for (const Port& taken : host_ports(other)) {
      for (const Port& port : wanted) {
        const bool same_ip = port.ip == taken.ip || port.ip == "0.0.0.0" || taken.ip == "0.0.0.0";
        if (port.number == taken.number && port.protocol == taken.protocol && same_ip) return true;
      }
    }
  }
  return false;
}

Refusal refuse_resources(const Object& pod, const NodeState& node) {
  Refusal out;
  out.helped_by_preemption = true;
  const auto allocatable = [&node](std::string_view resource) {
    const auto found = node.allocatable.find(resource);
    return found == node.allocatable.end() ? 0 : found->second;
  };
  if (static_cast<std::int64_t>(node.pods.size()) + 1 > allocatable("pods")) out.reasons.push_back("Too many pods");
  for (const auto& [resource, wanted] : requests(pod)) {
    if (wanted == 0) continue;
    const auto used = node.used.find(resource);
    if (wanted + (used == node.used.end() ? 0 : used->second) > allocatable(resource))
      out.reasons.push_back("Insufficient " + resource);
  }
  return out;
}

// A claim that one pod at a time may use, and another does.
bool claim_is_in_use(const VolumeDemand& volumes, const std::vector<NodeState>& all) {
  for (const ClaimDemand& demand : volumes.claims) {
    const auto modes = demand.claim.spec()["accessModes"].items();
    if (std::find(modes.begin(), modes.end(), Value("ReadWriteOncePod")) == modes.end()) continue;
    for (const NodeState& state : all) {
      for (const Object& other : state.pods) {
        const auto names = claim_names(other);
        if (other.ns() == demand.claim.ns() &&
            std::find(names.begin(), names.end(), demand.claim.name()) != names.end())
          return true;
      }
    }
  }
  return false;
}

// --- scores, each 0 to 100

double free_share(const NodeState& node, const Amounts& wanted, std::string_view resource) {
  const auto of = [&](const Amounts& amounts) {
    const auto found = amounts.find(resource);
    return found == amounts.end() ? 0.0 : static_cast<double>(found->second);
  };
  const double all = of(node.allocatable), used = of(node.used_for_score) + of(wanted);
  return all <= 0 || used > all ? 0 : (all - used) / all;
}

double score_resources(const Object& pod, const NodeState& node) {
  const Amounts wanted = requests_for_score(pod);
  const double cpu = free_share(node, wanted, "cpu"), memory = free_share(node, wanted, "memory");
  const double balanced = 1 - std::abs(cpu - memory) / 2;
  return 100 * (cpu + memory) / 2 + 100 * balanced;
}

double score_node_affinity(const Object& pod, const Object& node) {
  double sum = 0, most = 0;
  for (const Value& preferred :
       pod.spec()["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"].items()) {
    const double weight = static_cast<double>(preferred["weight"].as_int());
    Value selector = Value::map();
    selector.edit("nodeSelectorTerms").push_back(preferred["preference"]);
    most += weight;
    if (matches_node_selector(selector, node)) sum += weight;
  }
  return most == 0 ? 0 : 100 * sum / most;
}

double score_taints(const Object& pod, const Object& node) {
  double untolerated = 0;
  for (const Value& taint : node.spec()["taints"].items()) {
    if (taint["effect"].as_string() == "PreferNoSchedule" && !tolerates(pod.spec()["tolerations"], taint))
      untolerated += 1;
  }
  return 100 / (1 + untolerated);
}

// Pods of one controller go apart, by node.
double score_spread(const Object& pod, const NodeState& node) {
  const auto owner = pod.controller();
  if (!owner) return 0;
  const auto siblings = std::count_if(node.pods.begin(), node.pods.end(),
                                      [&](const Object& p) { return p.is_controlled_by(owner->uid); });
  return 100.0 / static_cast<double>(1 + siblings);
}

double score(const Object& pod, const NodeState& node, const std::vector<NodeState>& all) {
  return score_resources(pod, node) + 2 * score_node_affinity(pod, node.node) + 3 * score_taints(pod, node.node) +
         2 * score_spread(pod, node) + 2 * score_pod_affinity(pod, node, all) +
         2 * score_preferred_spread(pod, node, all);
}

std::string counted(const std::map<std::string, int>& reasons) {
  std::vector<std::string> parts;
  for (const auto& [reason, count] : reasons) parts.push_back(std::to_string(count) + " " + reason);
  std::sort(parts.begin(), parts.end());
  return join(parts, ", ") + ".";
}

}  // namespace

Amounts requests(const Object& pod) {
  return sum_requests(pod, false);
}
Amounts requests_for_score(const Object& pod) {
  return sum_requests(pod, true);
}

void NodeState::add(const Object& pod) {
  pods.push_back(pod);
  add_to(used, requests(pod));
  add_to(used_for_score, requests_for_score(pod));
}

void NodeState::remove(const Object& pod) {
  const auto found = std::find_if(pods.begin(), pods.end(), [&](const Object& p) { return p.uid() == pod.uid(); });
  if (found == pods.end()) return;
  pods.erase(found);
  add_to(used, requests(pod), -1);
  add_to(used_for_score, requests_for_score(pod), -1);
}

NodeState node_state(const Object& node, const std::vector<Object>& pods) {
  NodeState out;
  out.node = node;
  const Value& from = node.status()["allocatable"].empty() ? node.status()["capacity"] : node.status()["allocatable"];
  for (const auto& entry : from.entries()) out.allocatable[std::string(entry.key)] = amount(entry.key, entry.value);
  for (const Object& pod : pods) out.add(pod);
  return out;
}

bool tolerates(const Value& tolerations, const Value& taint) {
  for (const Value& toleration : tolerations.items()) {
    const std::string_view effect = toleration["effect"].as_string(), key = toleration["key"].as_string();
    if (!effect.empty() && effect != taint["effect"].as_string()) continue;
    if (!key.empty() && key != taint["key"].as_string()) continue;
    if (toleration["operator"].as_string() == "Exists") return true;
    if (!key.empty() && toleration["value"].as_string() == taint["value"].as_string()) return true;
  }
  return false;
}

bool matches_node_selector(const Value& node_selector, const Object& node) {
  for (const Value& term : node_selector["nodeSelectorTerms"].items()) {
    if (term["matchExpressions"].empty() && term["matchFields"].empty()) continue;  // an empty term matches nothing
    const auto labels = LabelSelector::from(Value{{"matchExpressions", term["matchExpressions"]}});
    const auto fields = LabelSelector::from(Value{{"matchExpressions", term["matchFields"]}});
    const Value own{{"metadata.name", node.name()}};
    if (labels.ok() && fields.ok() && labels->matches(node.metadata()["labels"]) && fields->matches(own)) return true;
  }
  return false;
}

// In upstream's order: the first plug-in that refuses speaks for the node.
Refusal filter(const Object& pod, const NodeState& node, const std::vector<NodeState>& all,
               const VolumeDemand* volumes) {
  const Value cordoned{{"key", kTaintUnschedulable}, {"effect", "NoSchedule"}};
  if (node.node.spec()["unschedulable"].as_bool() && !tolerates(pod.spec()["tolerations"], cordoned)) {
    return {{"node(s) were unschedulable"}, false};
  }
  if (const Value* taint = untolerated_taint(pod, node.node))
    return {{"node(s) had untolerated taint {" + (*taint)["key"].str() + ": " + (*taint)["value"].str() + "}"}, false};
  if (!fits_node_affinity(pod, node.node)) return {{"node(s) didn't match Pod's node affinity/selector"}, false};
  if (ports_clash(pod, node)) return {{"node(s) didn't have free ports for the requested pod ports"}, true};
  if (Refusal resources = refuse_resources(pod, node); !resources.reasons.empty()) return resources;
  if (volumes) {
    if (const std::string reason = refuse_volumes(*volumes, node.node); !reason.empty()) return {{reason}, false};
    if (claim_is_in_use(*volumes, all))
      return {{"node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by "
               "another pod"},
              true};
  }
  if (const std::string reason = refuse_spread(pod, node, all); !reason.empty()) {
    return {{reason}, reason.find("missing required label") == std::string::npos};
  }
  if (const std::string reason = refuse_pods(pod, node, all); !reason.empty()) {
    return {{reason}, reason != "node(s) didn't match pod affinity rules"};
  }
  return {};
}

Choice choose(const Object& pod, const std::vector<NodeState>& nodes, const VolumeDemand* volumes) {
  if (nodes.empty()) return {"", "no nodes available to schedule pods"};
  Choice best;
  double best_score = 0;
  std::map<std::string, int> reasons, preemption;
  for (const NodeState& node : nodes) {
    const Refusal refusal = filter(pod, node, nodes, volumes);
    for (const std::string& reason : refusal.reasons) reasons[reason] += 1;
    if (!refusal.reasons.empty()) {
      preemption[refusal.helped_by_preemption ? "No preemption victims found for incoming pod"
                                              : "Preemption is not helpful for scheduling"] += 1;
      continue;
    }
    if (volumes && volumes->chosen_node == node.node.name()) return {node.node.name(), ""};
    const double points = score(pod, node, nodes);
    if (!best.node.empty() && points <= best_score) continue;
    best.node = node.node.name();
    best_score = points;
  }
  if (!best.node.empty()) return best;
  const std::string none = "0/" + std::to_string(nodes.size()) + " nodes are available: ";
  const bool never = pod.spec()["preemptionPolicy"].as_string() == "Never";
  best.message = none + counted(reasons) +
                 " preemption: " + (never ? "not eligible due to preemptionPolicy=Never." : none + counted(preemption));
  return best;
}

}  // namespace caisson::controllers
