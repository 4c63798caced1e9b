// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/scheduling_topology.h"

#include <algorithm>

#include "cluster/kube/selector.h"

namespace caisson::controllers {
namespace {

using kube::LabelSelector;

constexpr const char* kAffinities[] = {"podAffinity", "podAntiAffinity"};

std::string_view topology_value(const Object& node, std::string_view key) {
  return node.label(key);
}

// Whether `other` is one that a (resolved) term of `pod` speaks of: of the term's namespaces, else of the pod's own.
bool term_selects(const Value& term, const Object& pod, const Object& other) {
  const auto namespaces = term["namespaces"].items();
  const bool same_ns = namespaces.empty() ? other.ns() == pod.ns()
                                          : std::any_of(namespaces.begin(), namespaces.end(),
                                                        [&](const Value& ns) { return ns.as_string() == other.ns(); });
  if (!same_ns) return false;
  const auto selector = LabelSelector::from(term["labelSelector"]);
  return selector.ok() && selector->matches(other.metadata()["labels"]);
}

const Value& required_terms(const Object& pod, std::string_view kind) {
  return pod.spec()["affinity"][kind]["requiredDuringSchedulingIgnoredDuringExecution"];
}

// How many pods, that `selects` takes, run in the same domain as `node`.
template <class Selects>
std::int64_t count_in_domain(const std::vector<NodeState>& all, const Object& node, std::string_view key,
                             Selects selects) {
  const std::string_view domain = topology_value(node, key);
  std::int64_t count = 0;
  for (const NodeState& other : all) {
    if (domain.empty() || topology_value(other.node, key) != domain) continue;
    count += std::count_if(other.pods.begin(), other.pods.end(), selects);
  }
  return count;
}

// --- spreading

bool is_required(const Value& constraint) {
  return constraint["whenUnsatisfiable"].as_string() != "ScheduleAnyway";
}

bool has_every_key(const Object& pod, const Object& node) {
  for (const Value& constraint : pod.spec()["topologySpreadConstraints"].items()) {
    if (is_required(constraint) && topology_value(node, constraint["topologyKey"].as_string()).empty()) return false;
  }
  return true;
}

// Whether a node's pods, and its domain, count for the constraint (nodeAffinityPolicy, nodeTaintsPolicy).
bool is_included(const Value& constraint, const Object& pod, const Object& node) {
  if (constraint["nodeAffinityPolicy"].as_string("Honor") == "Honor" && !fits_node_affinity(pod, node)) return false;
  return constraint["nodeTaintsPolicy"].as_string("Ignore") != "Honor" || untolerated_taint(pod, node) == nullptr;
}

// Matching pods by domain, over the nodes that count.
std::map<std::string_view, std::int64_t> spread_counts(const Value& constraint, const LabelSelector& selector,
                                                       const Object& pod, const std::vector<NodeState>& all) {
  const std::string_view key = constraint["topologyKey"].as_string();
  std::map<std::string_view, std::int64_t> out;
  for (const NodeState& state : all) {
    if (!has_every_key(pod, state.node) || !is_included(constraint, pod, state.node)) continue;
    out[topology_value(state.node, key)] +=
        std::count_if(state.pods.begin(), state.pods.end(), [&](const Object& other) {
          return other.ns() == pod.ns() && !other.deleting() && selector.matches(other.metadata()["labels"]);
        });
  }
  return out;
}

// --- terms spelled out

Value in_requirement(std::string_view key, const char* op, std::string_view value) {
  return Value{{"key", key}, {"operator", op}, {"values", Value(std::vector<Value>{Value(value)})}};
}

// matchLabelKeys: the pod's own values of these keys become part of the selector. Keys that the pod has not are left
// out.
bool add_label_keys(Value& term, const Object& pod) {
  bool changed = false;
  for (const auto& [list, op] : {std::pair("matchLabelKeys", "In"), {"mismatchLabelKeys", "NotIn"}}) {
    for (const Value& key : term[list].items()) {
      const Value* value = pod.metadata()["labels"].find(key.as_string());
      if (value == nullptr || term["labelSelector"].is_null()) continue;
      Value& expressions = term.edit("labelSelector").edit("matchExpressions");
      const Value added = in_requirement(key.as_string(), op, value->as_string());
      const auto have = expressions.items();
      if (std::find(have.begin(), have.end(), added) == have.end()) expressions.push_back(added);
      changed = true;
    }
  }
  return changed;
}

bool name_namespaces(Value& term, const std::vector<Object>& namespaces) {
  const Value* given = term.find("namespaceSelector");
  if (given == nullptr || given->is_null()) return false;
  const auto selector = LabelSelector::from(*given);
  Value names = term["namespaces"].is_null() ? Value::list() : term["namespaces"];
  for (const Object& ns : namespaces) {
    if (selector.ok() && selector->matches(ns.metadata()["labels"])) names.push_back(ns.name());
  }
  if (names.empty()) names.push_back("");  // no namespace at all, where an empty list would be the pod's own
  term.set("namespaces", std::move(names));
  term.erase("namespaceSelector");
  return true;
}

bool resolve_term(Value& term, const Object& pod, const std::vector<Object>& namespaces) {
  const bool labels = add_label_keys(term, pod), names = name_namespaces(term, namespaces);
  return labels || names;
}

bool needs_resolving(const Object& pod) {
  for (const Value& constraint : pod.spec()["topologySpreadConstraints"].items()) {
    if (!constraint["matchLabelKeys"].empty()) return true;
  }
  const auto of_term = [](const Value& term) {
    return term.contains("namespaceSelector") || !term["matchLabelKeys"].empty() || !term["mismatchLabelKeys"].empty();
  };
  for (const char* kind : kAffinities) {
    for (const Value& term : required_terms(pod, kind).items()) {
      if (of_term(term)) return true;
    }
    for (const Value& preferred :
         pod.spec()["affinity"][kind]["preferredDuringSchedulingIgnoredDuringExecution"].items()) {
      if (of_term(preferred["podAffinityTerm"])) return true;
    }
  }
  return false;
}

}  // namespace

Object resolved(const Object& pod, const std::vector<Object>& namespaces) {
  if (!needs_resolving(pod)) return pod;
  Object out = pod;
  for (std::size_t i = 0; i < pod.spec()["topologySpreadConstraints"].size(); ++i)
    add_label_keys(out.edit({"spec", "topologySpreadConstraints"}).edit(i), pod);
  for (const char* kind : kAffinities) {
    const Value& affinity = pod.spec()["affinity"][kind];
    for (std::size_t i = 0; i < affinity["requiredDuringSchedulingIgnoredDuringExecution"].size(); ++i)
      resolve_term(out.edit({"spec", "affinity", kind, "requiredDuringSchedulingIgnoredDuringExecution"}).edit(i), pod,
                   namespaces);
    for (std::size_t i = 0; i < affinity["preferredDuringSchedulingIgnoredDuringExecution"].size(); ++i)
      resolve_term(out.edit({"spec", "affinity", kind, "preferredDuringSchedulingIgnoredDuringExecution"})
                       .edit(i)
                       .edit("podAffinityTerm"),
                   pod, namespaces);
  }
  return out;
}

bool fits_node_affinity(const Object& pod, const Object& node) {
  const Value& selector = pod.spec()["nodeSelector"];
  if (!selector.empty() && !LabelSelector::of(selector).matches(node.metadata()["labels"])) return false;
  const Value& required = pod.spec()["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
  return required.is_null() || matches_node_selector(required, node);
}

const Value* untolerated_taint(const Object& pod, const Object& node) {
  for (const Value& taint : node.spec()["taints"].items()) {
    if (taint["effect"].as_string() != "PreferNoSchedule" && !tolerates(pod.spec()["tolerations"], taint))
      return &taint;
  }
  return nullptr;
}

std::string refuse_spread(const Object& pod, const NodeState& node, const std::vector<NodeState>& all) {
  for (const Value& constraint : pod.spec()["topologySpreadConstraints"].items()) {
    if (!is_required(constraint)) continue;
    const std::string_view domain = topology_value(node.node, constraint["topologyKey"].as_string());
    if (domain.empty()) return "node(s) didn't match pod topology spread constraints (missing required label)";
    const auto selector = LabelSelector::from(constraint["labelSelector"]);
    if (!selector.ok()) continue;
    const auto counts = spread_counts(constraint, *selector, pod, all);
    std::int64_t least = counts.empty() ? 0 : INT64_MAX;
    for (const auto& [name, count] : counts) least = std::min(least, count);
    // Fewer domains than wanted: as if there were an empty one.
    if (static_cast<std::int64_t>(counts.size()) < constraint["minDomains"].as_int(1)) least = 0;
    const auto here = counts.find(domain);
    const std::int64_t self = selector->matches(pod.metadata()["labels"]) ? 1 : 0;
    if ((here == counts.end() ? 0 : here->second) + self - least > constraint["maxSkew"].as_int(1))
      return "node(s) didn't match pod topology spread constraints";
  }
  return "";
}

std::string refuse_pods(const Object& pod, const NodeState& node, const std::vector<NodeState>& all) {
  for (const Value& term : required_terms(pod, "podAffinity").items()) {
    const std::string_view key = term["topologyKey"].as_string();
    const auto selected = [&](const Object& other) { return term_selects(term, pod, other); };
    if (count_in_domain(all, node.node, key, selected) > 0) continue;
    // The first of a group that wants to be together may go anywhere that has the label.
    bool any = false;
    for (const NodeState& other : all) any |= std::any_of(other.pods.begin(), other.pods.end(), selected);
    if (any || !selected(pod) || topology_value(node.node, key).empty())
      return "node(s) didn't match pod affinity rules";
  }
  for (const Value& term : required_terms(pod, "podAntiAffinity").items()) {
    const auto selected = [&](const Object& other) { return term_selects(term, pod, other); };
    if (count_in_domain(all, node.node, term["topologyKey"].as_string(), selected) > 0)
      return "node(s) didn't match pod anti-affinity rules";
  }
  for (const NodeState& other : all) {
    for (const Object& theirs : other.pods) {
      for (const Value& term : required_terms(theirs, "podAntiAffinity").items()) {
        const std::string_view key = term["topologyKey"].as_string();
        const bool same_domain = !topology_value(node.node, key).empty() &&
                                 topology_value(node.node, key) == topology_value(other.node, key);
        if (same_domain && term_selects(term, theirs, pod))
          return "node(s) didn't satisfy existing pods anti-affinity rules";
      }
    }
  }
  return "";
}

double score_pod_affinity(const Object& pod, const NodeState& node, const std::vector<NodeState>& all) {
  double sum = 0;
  for (const auto& [kind, sign] : {std::pair{"podAffinity", 1.0}, std::pair{"podAntiAffinity", -1.0}}) {
    for (const Value& preferred :
         pod.spec()["affinity"][kind]["preferredDuringSchedulingIgnoredDuringExecution"].items()) {
      const Value& term = preferred["podAffinityTerm"];
      const auto selected = [&](const Object& other) { return term_selects(term, pod, other); };
      sum += sign * static_cast<double>(preferred["weight"].as_int()) *
             static_cast<double>(count_in_domain(all, node.node, term["topologyKey"].as_string(), selected));
    }
  }
  return sum;
}

double score_preferred_spread(const Object& pod, const NodeState& node, const std::vector<NodeState>& all) {
  double sum = 0, terms = 0;
  for (const Value& constraint : pod.spec()["topologySpreadConstraints"].items()) {
    const auto selector = LabelSelector::from(constraint["labelSelector"]);
    if (is_required(constraint) || !selector.ok()) continue;
    terms += 1;
    const std::string_view domain = topology_value(node.node, constraint["topologyKey"].as_string());
    if (domain.empty()) continue;  // no share of it
    const auto counts = spread_counts(constraint, *selector, pod, all);
    const auto here = counts.find(domain);
    sum += 100.0 / static_cast<double>(1 + (here == counts.end() ? 0 : here->second));
  }
  return terms == 0 ? 100 : sum / terms;
}

}  // namespace caisson::controllers
