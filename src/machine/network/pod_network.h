// SPDX-License-Identifier: Apache-2.0
// The links and addresses of pods: a routed veth pair per pod, no bridge between them, so that every packet passes the
// host's routing (and with it nftables) whatever bridge-nf-call-iptables says. After Calico's addressing: the pod has
// IP/32 and a default route by 169.254.1.1, which the host end answers for; the host has a route IP/32 to its end.
//
// Invariant: an address is given to one pod at a time, and which pod is on disk (<state_dir>/pods) before a link
// exists; so after a crash open() knows every link by its pod. Host-level names: bridge without ports `c<id>br` (holds
// the node's address, the first of the pod range, and 169.254.1.1), host ends `c<id>v<n>` where n is the offset of the
// address in the pod range of the instance. Several nodes of one instance share the bridge: each has a part of the
// range and its own state_dir; the one that holds the first part makes what they share. Threads: every method may be
// called from any thread.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace caisson::network {

// The gateway of what is sent to an address of the pod range that has no pod: on the bridge, where nobody is. The table
// of services knows such packets by it, and refuses them.
constexpr std::string_view kNowhere = "169.254.1.2";

class PodNetwork {
 public:
  struct Options {
    std::string instance;                   // six hex digits
    std::string pod_cidr = "10.42.0.0/16";  // of the instance
    std::string service_cidr = "10.43.0.0/16";
    std::string node_cidr;  // the part of pod_cidr that this node's pods get; empty: all of it
    std::string state_dir;  // <data>/network
    int mtu = 0;            // of pod links; 0: that of the host's default route, or 1500
  };

  // Makes what is missing of bridge, addresses, routes and sysctls (ip_forward, route_localnet, rp_filter; their former
  // values are kept in <state_dir>/sysctls before they are changed). Links of pods that are there stay untouched.
  // Errors: invalid (a CIDR that can't be used), already_exists (a range that overlaps a route of this host, with the
  // route), unavailable (another part than the first, and what the nodes share is not there).
  static Result<PodNetwork> open(const Options& options);
  PodNetwork(PodNetwork&&) noexcept;
  PodNetwork& operator=(PodNetwork&&) noexcept;
  ~PodNetwork();  // leaves everything in place: pods outlive the agent

  const std::string& node_address() const;  // the first of node_cidr: "10.42.0.1"
  const std::string& bridge() const;        // "c1a2b3cbr"

  // Gives the pod its link `eth0` (and lo up) in the network namespace at `netns_path`, and its address. Idempotent: a
  // pod that is attached keeps its address, and what a crash left half made is completed. `want_ip` asks for an address
  // (an agent that recovers a running pod). Errors: already_exists (want_ip belongs to another pod), unavailable (the
  // range is used up), not_found (no such namespace).
  Result<std::string> attach(std::string_view pod_uid, const std::string& netns_path, std::string_view want_ip = {});
  // Removes link and route and frees the address (used again last). Fine when there is none.
  Result<void> detach(std::string_view pod_uid);

  std::optional<std::string> find(std::string_view pod_uid) const;    // the pod's address
  std::vector<std::pair<std::string, std::string>> attached() const;  // {pod uid, address}
  // Detaches every pod that is not among `pod_uids`: what a crash of the agent left.
  Result<void> keep_only(const std::vector<std::string>& pod_uids);

 private:
  struct Impl;
  explicit PodNetwork(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// For `caisson down`, also after a crash: removes by id every link, route and the nftables table of the instance, ends
// its nginx, puts the recorded sysctls back (unless another instance still runs on this host and needs them: then they
// pass to its record). Goes on after an error and gives the first one.
Result<void> cleanup(const std::string& instance, const std::string& data_dir);

}  // namespace caisson::network
