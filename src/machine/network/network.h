// SPDX-License-Identifier: Apache-2.0
// The doors of the room for main/platform: services, cluster DNS and ingress, as reconcilers of one runtime and the
// data planes that they feed. PodNetwork (pod_network.h) must be open first; it holds the addresses that these listen
// on.
//
// Threads: any. The returned objects borrow the runtime's client, live as long as the runtime or shorter, and are
// destroyed before it only after it has stopped.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "cluster/kube/reconciler.h"
#include "core/base/result.h"
#include "machine/network/policy_gate.h"
#include "machine/network/withdrawal.h"

namespace caisson::network {

// --- Services: ClusterIP, NodePort, headless; nftables table caisson_<id>.
struct ServiceOptions {
  std::string instance;
  std::string pod_cidr = "10.42.0.0/16", service_cidr = "10.43.0.0/16";
  std::string node_address;  // PodNetwork::node_address()
};
class Services : public Withdrawal {
 public:
  // Blocks until every Service and EndpointSlice that the informers hold now is in force. Errors: timeout, or nftables'
  // own words.
  virtual Result<void> wait_applied(Duration time_max) const = 0;
  // Counts applied transactions; a change that reads a greater one afterwards is in force.
  virtual std::uint64_t generation() const = 0;
};
Result<std::shared_ptr<Services>> add_services(kube::Runtime& runtime, const ServiceOptions& options);

// --- Load balancers: addresses for Services of type LoadBalancer from MetalLB's IPAddressPools, announced by ARP on
// this machine's links as its L2Advertisements say. What can't be given is told by an Event of the Service.
struct LoadBalancerOptions {
  std::string instance;
  std::string node_name;  // of the Node object
};
void add_load_balancer(kube::Runtime& runtime, const LoadBalancerOptions& options);

// --- NetworkPolicy: nftables table caisson_<id>_policy; only there while a policy selects a pod.
class Policies : public PolicyGate {
 public:
  // Blocks until every NetworkPolicy, Pod and Namespace that the informers hold now is in force. Errors: timeout.
  virtual Result<void> wait_applied(Duration time_max) const = 0;
};
Result<std::shared_ptr<Policies>> add_policies(kube::Runtime& runtime, const ServiceOptions& options);

// --- DNS: authoritative for cluster.local, forwards everything else.
struct DnsOptions {
  std::string address;  // the node's
  int port = 53;        // 0: a free one (tests)
  std::string domain = "cluster.local";
  std::string registry_address;                  // of registry.caisson.internal; empty: not answered
  std::string resolv_conf = "/etc/resolv.conf";  // the host's resolvers; read again when it changes
};
class Dns {
 public:
  virtual ~Dns() = default;  // stops the thread, closes the sockets
  virtual int port() const = 0;
};
// Answers SERVFAIL for cluster names until the informers are synced.
Result<std::shared_ptr<Dns>> add_dns(kube::Runtime& runtime, const DnsOptions& options);

// --- Ingress: nginx with Lua; endpoints, routes and certificates change without reload.
struct IngressOptions {
  std::string instance;
  std::string directory;              // <data>/nginx
  std::string address = "127.0.0.1";  // to listen on
  int http_port = 80, https_port = 443;
  std::string class_name = "nginx";                      // also the default for an Ingress that names none
  std::string status_address = "127.0.0.1";              // written to status.loadBalancer
  std::string default_certificate_pem, default_key_pem;  // for names without a certificate; by the platform's CA
};
class Ingress : public Withdrawal {
 public:
  virtual int http_port() const = 0;
  virtual int https_port() const = 0;
  virtual Result<void> wait_applied(Duration time_max) const = 0;
};
// Starts nginx, or takes over the one that a former agent of this instance left running. Destroying the object leaves
// it running; cleanup() ends it. Errors: already_exists "127.0.0.1:80 is in use", not_found (nginx or a module of it is
// not installed).
Result<std::shared_ptr<Ingress>> add_ingress(kube::Runtime& runtime, const IngressOptions& options);

// Both at once, for the node.
std::unique_ptr<Withdrawal> both(std::shared_ptr<const Withdrawal> a, std::shared_ptr<const Withdrawal> b);

}  // namespace caisson::network
