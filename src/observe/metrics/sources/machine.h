// SPDX-License-Identifier: Apache-2.0
// What the machine and its containers use. The agent serves both; it alone may look into pods' network namespaces.
// Any thread.
#pragma once
#include <string>

#include "cluster/kube/object.h"
#include "observe/metrics/exposition/families.h"

namespace caisson::metrics {

// Names and labels of cAdvisor as the kubelet serves them, from the cgroups below `cgroup_root` ("/caisson-1a2b3c").
// A container that ended meanwhile is left out.
Exposition container_usage(const std::string& cgroup_root, const std::vector<kube::Object>& pods, std::int64_t now_ms);

// Names and labels of node_exporter 1.10: cpu, memory, load, disks, file systems, network, pressure, kernel. `proc` is
// /proc but in tests.
Exposition node_usage(const std::string& proc = "/proc");

}  // namespace caisson::metrics
