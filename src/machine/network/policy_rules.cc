// SPDX-License-Identifier: Apache-2.0
// See policy_rules.h.
#include "machine/network/policy_rules.h"

#include <set>

#include "cluster/kube/selector.h"
#include "core/base/text.h"
#include "machine/network/netlink.h"

namespace caisson::network {
namespace {

using Texts = std::set<std::string>;

std::string protocol_of(const Value& port) {
  return to_lower(port["protocol"].as_string("TCP"));
}

std::string braces(const Texts& elements) {
  std::string out = "{ ";
  for (const auto& element : elements) out += (out.size() > 2 ? ", " : "") + element;
  return out + " }";
}

bool selects(const Value& selector, const Value& labels) {
  const auto parsed = kube::LabelSelector::from(selector);
  return parsed.ok() && parsed->matches(labels);  // one that can't be read never passed admission
}

struct PortRange {
  std::string protocol, name;  // name: of a named port; else first and last
  int first = 0, last = 0;
};

std::vector<PortRange> ranges_of(const Value& ports) {
  std::vector<PortRange> out;
  for (const Value& port : ports.items()) {
    PortRange one{protocol_of(port), "", 0, 65535};
    if (port["port"].is_int()) {
      one.first = static_cast<int>(port["port"].as_int());
      one.last = static_cast<int>(port["endPort"].as_int(one.first));
    } else {
      one.name = port["port"].str();
    }
    out.push_back(std::move(one));
  }
  return out;
}

// The ports as matches on the packet, one for each range; nftables joins what it can.
Texts port_matches(const std::vector<PortRange>& ranges) {
  Texts out;
  for (const auto& range : ranges) {
    if (!range.name.empty()) continue;
    const std::string head = "meta l4proto " + range.protocol;
    if (range.first == 0 && range.last == 65535) {
      out.insert(head + " ");
    } else {
      out.insert(head + " th dport " + std::to_string(range.first) +
                 (range.last > range.first ? "-" + std::to_string(range.last) : "") + " ");
    }
  }
  return out;
}

class Rules {
 public:
  Rules(const kube::Object& policy, const PolicyWorld& world, bool ingress)
      : policy_(policy), world_(world), ingress_(ingress), peer_(ingress ? "ip saddr " : "ip daddr ") {}

  std::string chain() {
    for (const Value& rule : policy_.spec()[ingress_ ? "ingress" : "egress"].items()) add(rule);
    std::string out;
    for (const auto& line : lines_) out += "    " + line + "accept\n";
    return out;
  }

 private:
  void add(const Value& rule) {
    const Value& peers = rule[ingress_ ? "from" : "to"];
    std::vector<const PolicyPod*> pods;
    Texts blocks;
    for (const Value& peer : peers.items()) {
      if (const Value& block = peer["ipBlock"]; !block.is_null()) {
        blocks.insert(block_match(block));
        continue;
      }
      for (const auto& pod : world_.pods)
        if (is_peer(peer, pod)) pods.push_back(&pod);
    }
    const std::vector<PortRange> ranges = ranges_of(rule["ports"]);
    Texts ports = port_matches(ranges);
    if (ranges.empty()) ports.insert("");
    for (const auto& port : ports) {
      if (peers.empty()) lines_.insert(port);
      for (const auto& block : blocks) lines_.insert(block + port);
      for (const auto& match : pod_matches(pods)) lines_.insert(match + port);
    }
    for (const auto& range : ranges)
      if (!range.name.empty()) add_named(range, peers.empty(), pods, blocks);
  }

  bool is_peer(const Value& peer, const PolicyPod& pod) const {
    if (const Value& namespaces = peer["namespaceSelector"]; !namespaces.is_null()) {
      const auto labels = world_.namespace_labels.find(pod.ns);
      if (!selects(namespaces, labels == world_.namespace_labels.end() ? Value() : labels->second)) return false;
    } else if (pod.ns != policy_.ns()) {
      return false;
    }
    return peer["podSelector"].is_null() || selects(peer["podSelector"], pod.labels);
  }

  std::string block_match(const Value& block) const {
    Texts except;
    for (const Value& one : block["except"].items()) except.insert(one.str());
    std::string out = peer_ + block["cidr"].str() + " ";
    for (const auto& one : except) out += peer_ + "!= " + one + " ";  // may overlap: so no set of intervals
    return out;
  }

  Texts pod_matches(const std::vector<const PolicyPod*>& pods) const {
    Texts addresses, out;
    for (const PolicyPod* pod : pods) {
      if (pod->only_port)
        out.insert(peer_ + pod->ip + " meta l4proto { tcp, udp } th dport " + std::to_string(pod->only_port) + " ");
      else
        addresses.insert(pod->ip);
    }
    if (!addresses.empty()) out.insert(peer_ + braces(addresses) + " ");
    return out;
  }

  // What a named port means is up to the pod that is connected to: the selected one for ingress, the peer for egress.
  void add_named(const PortRange& range, bool any_peer, const std::vector<const PolicyPod*>& peers,
                 const Texts& blocks) {
    std::map<int, Texts> by_port;  // addresses of the pods that are connected to
    const auto note = [&](const PolicyPod& pod) {
      const auto found = pod.ports.find(range.protocol + "/" + range.name);
      if (found != pod.ports.end()) by_port[found->second].insert(pod.ip);
    };
    for (const auto& pod : world_.pods)
      if (ingress_ ? pod.ns == policy_.ns() : any_peer) note(pod);
    if (!ingress_)
      for (const PolicyPod* peer : peers) note(*peer);
    for (const auto& [port, addresses] : by_port) {
      const std::string to = "ip daddr " + braces(addresses) + " meta l4proto " + range.protocol + " th dport " +
                             std::to_string(port) + " ";
      if (!ingress_ || any_peer) {
        lines_.insert(to);
        continue;
      }
      for (const auto& match : pod_matches(peers)) lines_.insert(match + to);
      for (const auto& block : blocks) lines_.insert(block + to);
    }
  }

  const kube::Object& policy_;
  const PolicyWorld& world_;
  const bool ingress_;
  const std::string peer_;
  Texts lines_;
};

bool has_direction(const kube::Object& policy, bool ingress) {
  const Value& types = policy.spec()["policyTypes"];
  if (types.empty()) return ingress || !policy.spec()["egress"].empty();
  for (const Value& type : types.items())
    if (type.as_string() == (ingress ? "Ingress" : "Egress")) return true;
  return false;
}

// One direction of the table: the policies' chains, a chain for each group of pods, and which pod goes where.
std::string direction(const PolicyWorld& world, bool ingress, Texts& isolated) {
  const std::string name = ingress ? "ingress" : "egress";
  std::map<std::vector<std::size_t>, Texts> groups;  // by the policies that select them
  for (const auto& pod : world.pods) {
    if (pod.only_port) continue;
    std::vector<std::size_t> selecting;
    for (std::size_t i = 0; i < world.policies.size(); ++i) {
      const auto& policy = world.policies[i];
      if (policy.ns() == pod.ns && has_direction(policy, ingress) && selects(policy.spec()["podSelector"], pod.labels))
        selecting.push_back(i);
    }
    if (!selecting.empty()) groups[selecting].insert(pod.ip);
  }
  std::set<std::size_t> used;
  for (const auto& [selecting, pods] : groups) used.insert(selecting.begin(), selecting.end());
  std::string out;
  for (const std::size_t i : used) {
    out += "  chain " + name + "_policy" + std::to_string(i) + " {  # " + world.policies[i].key().str() + "\n" +
           Rules(world.policies[i], world, ingress).chain() + "  }\n";
  }
  Texts elements;
  int number = 0;
  for (const auto& [selecting, pods] : groups) {
    const std::string chain = name + "_group" + std::to_string(number++);
    out += "  chain " + chain + " {\n";
    for (const std::size_t i : selecting) out += "    jump " + name + "_policy" + std::to_string(i) + "\n";
    out += "    goto refuse\n  }\n";
    for (const auto& ip : pods) {
      elements.insert(ip + " : goto " + chain);
      isolated.insert(ip);
    }
  }
  out += "  map " + name + " { type ipv4_addr : verdict;" +
         (elements.empty() ? std::string() : " elements = " + braces(elements) + ";") + " }\n";
  return out;
}

constexpr std::string_view kRefuse = R"(
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject with icmp type admin-prohibited
  }
)";
// `accept` ends one of these, not the packet's way: it passes egress and ingress.
constexpr std::string_view kHooks = R"(
  chain leave {
    ct state established,related accept
    ip saddr . ip daddr @self accept
    ip saddr vmap @egress
  }
  chain enter {
    ct state established,related accept
    ip saddr . ip daddr @self accept
    ip daddr vmap @ingress
  }
  chain forward_out { type filter hook forward priority -20; policy accept; jump leave; }
  chain forward_in { type filter hook forward priority -10; policy accept; jump enter; }
  chain to_node { type filter hook input priority -20; policy accept; jump leave; }
}
)";

}  // namespace

std::optional<PolicyPod> policy_pod(const kube::Object& pod, const std::string& ip) {
  const std::string_view phase = pod.status()["phase"].as_string();
  if (phase == "Succeeded" || phase == "Failed" || pod.spec()["hostNetwork"].as_bool()) return std::nullopt;
  PolicyPod out{pod.ns(), ip.empty() ? pod.status()["podIP"].str() : ip, pod.metadata()["labels"], {}, 0};
  if (out.ip.empty()) return std::nullopt;
  for (const char* list : {"initContainers", "containers"}) {
    for (const Value& container : pod.spec()[list].items())
      for (const Value& port : container["ports"].items())
        if (!port["name"].as_string().empty())
          out.ports.try_emplace(protocol_of(port) + "/" + port["name"].str(),
                                static_cast<int>(port["containerPort"].as_int()));
  }
  return out;
}

std::string policy_table_name(const TableOptions& options) {
  return options.table() + "_policy";
}

std::string make_policy_table(const TableOptions& options, const PolicyWorld& world) {
  const std::string name = policy_table_name(options);
  const std::string removed = "add table " + name + "\ndelete table " + name + "\n";
  Texts isolated;
  const std::string chains = direction(world, true, isolated) + direction(world, false, isolated);
  if (isolated.empty()) return removed;
  Texts self;  // a pod always reaches itself, by way of its Service too
  for (const auto& ip : isolated) self.insert(ip + " . " + ip);
  return removed + "table " + name + " {\n  set self { type ipv4_addr . ipv4_addr; elements = " + braces(self) + "; }" +
         std::string(kRefuse) + chains + std::string(kHooks);
}

}  // namespace caisson::network
