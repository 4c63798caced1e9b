// SPDX-License-Identifier: Apache-2.0
// The node: what the kubelet is in Kubernetes, inside the agent. Runs the pods that are bound to it, tells their
// status, keeps its Node object and Lease, and answers logs, exec, attach and port-forward. Follows Kubernetes 1.33.
//
// A pod's state is on disk below <data>/pods/<uid>, containers belong to their monitors: the agent may be killed at any
// instruction, and the next one goes on without a container having noticed. Threads: any. Owned pools do the work; the
// reconciler runtime only says which pod to look at.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "artifact/container/containers.h"
#include "cluster/kube/reconciler.h"
#include "core/base/trace.h"
#include "core/http/server.h"
#include "machine/network/pod_network.h"
#include "machine/network/policy_gate.h"
#include "machine/network/withdrawal.h"
#include "machine/node/eviction.h"
#include "machine/node/images.h"

namespace caisson::node {

struct NodeOptions {
  std::string name;       // of the Node object
  std::string instance;   // six hex digits
  std::string cgroup;     // absolute, of all its pods; empty: /caisson-<instance>
  std::string data_dir;   // logs/, volumes/, seccomp/: one for all nodes of the machine
  std::string state_dir;  // pods/, containers/, manifests/: this node's own; empty: data_dir
  std::string address;    // PodNetwork::node_address()
  std::string cluster_dns = "10.43.0.10";
  std::string cluster_domain = "cluster.local";
  std::string pod_cidr = "10.42.0.0/16";
  std::string version = "v1.33.0";  // of the kubelet that this one behaves as
  int pods_max = 250;
  int machine_shares = 1;     // how many nodes share this machine: each offers its part of it to pods
  int machine_part = 0;       // which of them it is: user namespaces of two nodes have no host id in common
  bool control_plane = true;  // the label node-role.kubernetes.io/control-plane
  Duration lease_every = std::chrono::seconds(10);
  EvictionThresholds eviction;
  Duration housekeeping_every = std::chrono::seconds(10);
  std::string runc = "runc", conmon = "conmon";
};

// Borrowed; must outlive the node. HTTP servers that use its handler end before it.
struct NodeParts {
  kube::Runtime* runtime = nullptr;
  ImageProvider* images = nullptr;
  network::PodNetwork* network = nullptr;
  const network::Withdrawal* withdrawal = nullptr;  // may be null: then pods are signalled at once
  network::PolicyGate* policies = nullptr;          // may be null: then no NetworkPolicy is waited for
  SpanSink* spans = nullptr;                        // may be null
};

// How long pods have to end when the machine is shut down: first those of usual priority, all at once, then critical
// ones (system-cluster-critical and above). What the first leave of their time, the others have. As the kubelet's
// shutdownGracePeriod and shutdownGracePeriodCriticalPods; a pod never has more than its own grace period.
struct ShutdownGrace {
  Duration usual{}, critical{};
};

class Node {
 public:
  // Adds its reconcilers to the runtime (before Runtime::start). Takes up the containers that run. Errors: as
  // Containers::open.
  static Result<std::unique_ptr<Node>> start(const NodeParts& parts, NodeOptions options);
  ~Node();  // pods go on

  // /containerLogs, /exec, /attach, /portForward (docs/architecture.md), /stats/summary; 404 for other paths.
  http::Handler handler();
  // Ends what runs, each pod as a deletion would end it (withdrawn, preStop, signal, SIGKILL), but leaves pods in the
  // API: they start again with the next agent. Nothing is started from the call on. Blocks; gives the pods that still
  // run.
  std::vector<std::string> shut_down(const ShutdownGrace& grace);
  // For build steps: the same containers, so that one cleanup finds all.
  container::Containers& containers();

 private:
  struct Impl;
  explicit Node(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace caisson::node
