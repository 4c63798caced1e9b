// SPDX-License-Identifier: Apache-2.0
// Instance: everything by which one running platform differs from another on the same machine: its id, address ranges,
// ports, directories. Made once by `caisson up`, kept in <data_dir>/instance.json, read by the server, the agent and
// `caisson down`.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::platform {

struct Ports {
  int api = 6443, portal = 8080, registry = 5000, http = 80, https = 443;
  bool operator==(const Ports&) const = default;
};

// Ports on the node's address, for pods (TLS). They belong to an address of this instance, so they are the same in
// every one.
inline constexpr int kNodeApiPort = 6443, kNodePortalPort = 8443, kNodeRegistryPort = 5000;

// What a person may set: by flag, or by the same name in caisson.yaml. Empty and 0 mean "the default".
struct Settings {
  std::string data_dir = "/var/lib/caisson";
  std::string listen = "127.0.0.1";  // for API, portal, registry and ingress
  Ports ports;
  std::string pod_cidr, service_cidr;      // empty: the first free pair, kept from then on
  std::string node_name;                   // empty: the host's name
  int nodes = 0;                           // how many share this machine (nodes.h); 0: as before, or one
  std::string node_monitor_grace = "40s";  // a node that is silent for longer is NotReady (Go's duration)
  std::string stand_ins = "auto";          // auto | always | never: base images from distribution packages
  std::string package_cache;               // directory shared between instances; empty: below data_dir
  std::string collect_every = "1h";  // how often images and layers that nobody needs are looked for (Go's duration)
  bool trust_host_ca = true;         // builds get the host's CA bundle (companies' TLS proxies)
  std::string audit_policy;  // file with an audit.k8s.io/v1 Policy; empty: the built-in one; "none": no audit log
  std::string authentication_config;  // file with an AuthenticationConfiguration (OIDC); empty: none
  int server_uid = 64731;             // the server's user id; needs no account
};

inline constexpr int kNodesMax = 16;

struct Instance {
  Settings settings;
  std::string id;  // 6 hex digits

  std::string path(std::string_view below) const { return settings.data_dir + "/" + std::string(below); }
  std::string node_address() const;  // the first address of the pod range
  std::string service_address(int offset) const;
  std::string link_prefix() const { return "c" + id; }
};

// Reads a caisson.yaml over `base`. Errors: bad_request with file, line and the known names.
Result<Settings> load_settings(const std::string& path, Settings base);

// Errors: not_found "no platform in DIR: start one with 'caisson up --data-dir DIR'".
Result<Instance> load_instance(const std::string& data_dir);
// Loads or founds the instance; fixed parts (id, ranges) stay, the rest follows `settings`. Errors: conflict when a
// port or range is taken, with the flag that changes it.
Result<Instance> prepare_instance(const Settings& settings);

// A /16 or so as text; true when no route or address of this machine overlaps it.
Result<bool> range_is_free(std::string_view cidr, std::string_view own_prefix);
// Fills in the ranges that are empty: those of the instance in data_dir, or the first pair that nothing on this machine
// uses. Errors: conflict "range 10.42.0.0/16 is in use on this machine …; choose another with --pod-cidr".
Result<void> settle_ranges(Settings& settings);

struct PortTaken {
  int port = 0;
  std::string flag;  // "--api-port"
  int reason = 0;    // errno of bind(2)
};
// What this instance's own ingress holds is free. Errors: bad_request when --listen is no IPv4 address.
Result<std::vector<PortTaken>> ports_taken(const Settings& settings);
// Errors: already_exists "127.0.0.1:6443 is in use; choose another with --api-port".
Result<void> check_ports_free(const Settings& settings);

}  // namespace caisson::platform
