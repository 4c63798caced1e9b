// SPDX-License-Identifier: Apache-2.0
// What a node refuses before it makes anything of a pod, after the kubelet's admission (Kubernetes 1.33, pkg/kubelet:
// sysctl allow-list, AppArmor, operating system). A pod that is refused ends as Failed. Pure functions; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "cluster/kube/object.h"
#include "machine/node/eviction.h"

namespace caisson::node {

struct Refusal {
  std::string reason, message;
  bool operator==(const Refusal&) const = default;
};
struct HostAbilities {
  bool apparmor = false;
  std::string no_user_namespaces;  // why a pod can't have one of its own; empty: it can
};
// `directory`: where pods are. What the pod does not ask for is not looked at.
HostAbilities host_abilities(const kube::Object& pod, const std::string& directory);

std::optional<Refusal> refusal_of(const kube::Object& pod, const HostAbilities& host);

// Under pressure of disk or processes nothing new is begun, under pressure of memory nothing BestEffort; critical pods
// are.
std::optional<Refusal> refusal_under_pressure(const kube::Object& pod, const Pressure& pressure);

enum class SysctlScope { network, ipc, none };  // whose namespace it belongs to; none: the whole host's
SysctlScope sysctl_scope(std::string_view name);
// Whether a pod may set it without endangering others: Kubernetes' "safe" set.
bool is_safe_sysctl(std::string_view name);

}  // namespace caisson::node
