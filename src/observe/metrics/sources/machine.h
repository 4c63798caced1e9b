// SPDX-License-Identifier: Apache-2.0
// What the machine and its containers use. The agent serves both; it alone may look into pods' network namespaces.
// Any thread.
#pragma once
#include <functional>
#include <string>

#include "cluster/kube/object.h"
#include "observe/metrics/exposition/families.h"

namespace caisson::metrics {

// Names and labels of cAdvisor as the kubelet serves them, from the cgroups below `cgroup_root` ("/caisson-1a2b3c").
// A container that ended meanwhile is left out.
Exposition container_usage(const std::string& cgroup_root, const std::vector<kube::Object>& pods, std::int64_t now_ms);

// Names and labels of node_exporter 1.10: cpu, memory, load, disks, file systems, network, sockets, pressure, kernel.
// `proc` and `sys` are others in tests only.
Exposition node_usage(const std::string& proc = "/proc", const std::string& sys = "/sys");

// Internal: interfaces, protocols, sockets and the tables of connections have a file of their own.
void node_network(Families& out, const std::string& proc, const std::string& sys);

// What a kubelet says about itself under /metrics: its node, how many pods and containers run, and how full the volumes
// are that pods claim. `path_of` gives where a volume of a pod is mounted; empty when it is not.
using VolumePath = std::function<std::string(const kube::Object& pod, const std::string& volume)>;
Exposition kubelet_state(const std::string& node, const std::vector<kube::Object>& pods, const VolumePath& path_of);

}  // namespace caisson::metrics
