// SPDX-License-Identifier: Apache-2.0
// What preflight knows of a machine. `read_machine` looks at it without changing it; the readers of /proc and of nft's
// answers are pure. Sources: proc(5), kernel Documentation/admin-guide/cgroup-v2, libnftables-json(5). Any thread.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "main/platform/instance.h"

namespace caisson::platform {

// A port of the settings that can't be taken.
struct PortUse {
  int port = 0;
  std::string flag;    // "--http-port"
  std::string why;     // the kernel's word: "Address already in use"
  std::string holder;  // "nginx (process 812)"; empty when unknown
  bool operator==(const PortUse&) const = default;
};

// A base chain of somebody else's firewall that drops or rejects what it was not told to let pass. A packet must pass
// every base chain of its hook, so an accept in Caisson's own table does not help.
struct Barrier {
  enum class Owner { docker, ufw, firewalld, other } owner = Owner::other;
  std::string family, table, chain;
  bool forward = true;  // of the forward hook; otherwise input
  bool opened = false;  // it names the pod range already
  bool operator==(const Barrier&) const = default;
};

struct Listener {
  std::string address;  // hexadecimal as in /proc/net/tcp
  int port = 0;
  std::uint64_t inode = 0;
  bool operator==(const Listener&) const = default;
};

struct Machine {
  bool root = true;
  std::string kernel;  // "6.1.0-18-amd64"
  enum class Cgroups { none, v1, v2 } cgroups = Cgroups::v2;
  std::vector<std::string> controllers;  // those that are there
  bool cgroups_read_only = false;
  bool overlay = true;
  std::vector<std::string> missing_packages;
  std::string disk;                              // the directory that exists, at or above the data directory
  std::optional<std::uint64_t> disk_free_bytes;  // absent: could not be read
  std::string file_system;  // when overlayfs can't write its layers there: "nfs", "overlay"; otherwise empty
  bool disk_noexec = false;
  std::uint64_t memory_bytes = 0, memory_available_bytes = 0;
  bool null_device = true;
  int supervisor = 0;  // the process of this platform when it runs already
  std::vector<PortUse> ports_taken;
  std::string port_error;              // the settings themselves are wrong: "--listen x is not an IPv4 address"
  std::string pod_cidr, service_cidr;  // those it has or would take
  std::string range_error;             // why not
  std::string nft_error;               // empty when nftables answers, or when it could not be asked without root
  std::vector<Barrier> barriers;
  std::vector<std::string> neighbours;  // "dockerd", "nginx", "ufw", "firewalld", "kubelet": running, not ours
  std::map<std::string, std::string>
      proxies;                    // variables of this process by lower-case name: http_proxy, https_proxy, no_proxy
  std::string proxy_before_sudo;  // a proxy variable that sudo dropped
};

Machine read_machine(const Settings& settings);

// The listening sockets of /proc/net/tcp or tcp6.
std::vector<Listener> parse_listeners(std::string_view text);
// The chains of `nft -j list chains` that stand in the way; tables of any Caisson instance are left out.
std::vector<Barrier> parse_barriers(std::string_view json);
// Whether the text of a table (`nft list table`) lets the range pass: all of it names the range where it must.
bool names_range(std::string_view table_text, const Barrier& barrier, const std::string& cidr);

}  // namespace caisson::platform
