// SPDX-License-Identifier: Apache-2.0
// Which pods must go because they, or the node, have used up memory, disk or processes. Pure decisions from numbers
// that stats.h reads; any thread. Follows Kubernetes 1.33: pkg/kubelet/eviction (hard thresholds, ranking) and local
// ephemeral storage (emptyDir.sizeLimit, limits of ephemeral-storage).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cluster/kube/object.h"
#include "core/base/clock.h"
#include "machine/node/stats.h"

namespace caisson::node {

inline constexpr std::int64_t kCriticalPriority = 2'000'000'000;  // system-cluster-critical and above

// Less than this left is pressure. The kubelet's: 100 MiB, 10 % of the disk; ours stops at 1 GiB of disk, because a
// developer's disk is big and often nearly full.
struct EvictionThresholds {
  std::uint64_t memory_bytes = 100u << 20;
  std::uint64_t disk_bytes = 1u << 30;
  double disk_share = 0.10;  // whichever is less
  double pids_share = 0.05;
};

struct Pressure {
  bool memory = false, disk = false, pids = false;
  bool any() const { return memory || disk || pids; }
  bool operator==(const Pressure&) const = default;
};
Pressure pressure_of(const HostResources& host, const EvictionThresholds& thresholds);
// What is shown: pressure stays for five minutes after the last sign of it, so that nothing flaps.
class PressureHistory {
 public:
  Pressure update(const Pressure& now_seen, Time now);

 private:
  Time memory_{}, disk_{}, pids_{};
};

struct PodUse {
  kube::Object pod;
  PodUsage usage;
};
struct Eviction {
  std::string uid, message;
  bool operator==(const Eviction&) const = default;
};
// Whether what the pod writes must be counted at all: a walk over a big volume is not free.
bool has_disk_limit(const kube::Object& pod);
// Pods that exceed a limit of their own.
std::vector<Eviction> over_own_limits(const std::vector<PodUse>& pods);
// The one that goes first under pressure: who uses more than asked for, then by priority, then by how much more.
// Nothing when only critical or idle pods are left.
std::optional<Eviction> first_under_pressure(const std::vector<PodUse>& pods, const Pressure& pressure);

}  // namespace caisson::node
