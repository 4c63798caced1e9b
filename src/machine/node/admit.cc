// SPDX-License-Identifier: Apache-2.0
#include "machine/node/admit.h"

#include <algorithm>

#include "artifact/container/user_namespace.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "machine/node/plan.h"

namespace caisson::node {
namespace {

// pkg/kubelet/sysctl/safe_sysctls.go; "/" for "." as in the host's own names is accepted as well.
constexpr std::string_view kSafeSysctls[] = {"kernel.shm_rmid_forced",
                                             "net.ipv4.ip_local_port_range",
                                             "net.ipv4.tcp_syncookies",
                                             "net.ipv4.ping_group_range",
                                             "net.ipv4.ip_unprivileged_port_start",
                                             "net.ipv4.ip_local_reserved_ports",
                                             "net.ipv4.tcp_keepalive_time",
                                             "net.ipv4.tcp_fin_timeout",
                                             "net.ipv4.tcp_keepalive_intvl",
                                             "net.ipv4.tcp_keepalive_probes",
                                             "net.ipv4.tcp_rmem",
                                             "net.ipv4.tcp_wmem"};

bool wants_apparmor(const Value& context) {
  const std::string_view type = context["appArmorProfile"]["type"].as_string();
  return type == "Localhost";  // RuntimeDefault is met by what there is
}

std::optional<Refusal> refused_sysctls(const kube::Object& pod) {
  for (const auto& sysctl : pod.spec()["securityContext"]["sysctls"].items()) {
    const std::string name = replace_all(sysctl["name"].str(), "/", ".");
    const SysctlScope scope = sysctl_scope(name);
    const bool host_owns = (scope == SysctlScope::network && pod.spec()["hostNetwork"].as_bool()) ||
                           (scope == SysctlScope::ipc && pod.spec()["hostIPC"].as_bool());
    if (is_safe_sysctl(name) && !host_owns) continue;
    return Refusal{"SysctlForbidden",
                   host_owns ? "sysctl \"" + name + "\" is the host's: the pod shares that namespace with it"
                             : "forbidden sysctl: \"" + name + "\" not allowlisted"};
  }
  return std::nullopt;
}

std::optional<Refusal> refused_user_namespace(const Value& spec, const HostAbilities& host) {
  if (spec["hostUsers"].as_bool(true)) return std::nullopt;
  for (const char* shared : {"hostNetwork", "hostPID", "hostIPC"})
    if (spec[shared].as_bool())
      return Refusal{"UserNamespacesNotSupported",
                     std::string("hostUsers: false and ") + shared + ": true exclude each other"};
  if (host.no_user_namespaces.empty()) return std::nullopt;
  return Refusal{"UserNamespacesNotSupported",
                 "hostUsers: false is not supported on this machine: " + host.no_user_namespaces};
}

}  // namespace

HostAbilities host_abilities(const kube::Object& pod, const std::string& directory) {
  const auto enabled = read_file("/sys/module/apparmor/parameters/enabled");
  HostAbilities host{.apparmor = enabled.ok() && trim(*enabled) == "Y", .no_user_namespaces = {}};
  if (!pod.spec()["hostUsers"].as_bool(true)) host.no_user_namespaces = container::why_no_user_namespaces(directory);
  return host;
}

SysctlScope sysctl_scope(std::string_view name) {
  if (name.starts_with("net.")) return SysctlScope::network;
  for (const std::string_view head : {"kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."})
    if (name.starts_with(head)) return SysctlScope::ipc;
  return SysctlScope::none;
}

bool is_safe_sysctl(std::string_view name) {
  return std::find(std::begin(kSafeSysctls), std::end(kSafeSysctls), name) != std::end(kSafeSysctls);
}

std::optional<Refusal> refusal_of(const kube::Object& pod, const HostAbilities& host) {
  const Value& spec = pod.spec();
  if (const auto os = spec["os"]["name"].as_string(); !os.empty() && os != "linux")
    return Refusal{"PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"};
  if (auto refused = refused_sysctls(pod)) return refused;
  // Silently giving less isolation than was asked for would be worse than not to run.
  if (auto refused = refused_user_namespace(spec, host)) return refused;
  bool apparmor = wants_apparmor(spec["securityContext"]);
  for (const char* list : {"initContainers", "containers"})
    for (const auto& container : spec[list].items())
      apparmor = apparmor || wants_apparmor(container["securityContext"]);
  if (apparmor && !host.apparmor)
    return Refusal{"AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host"};
  return std::nullopt;
}

std::optional<Refusal> refusal_under_pressure(const kube::Object& pod, const Pressure& pressure) {
  if (pod.spec()["priorityClassName"].as_string().starts_with("system-")) return std::nullopt;
  std::vector<std::string> conditions;
  if (pressure.memory && qos_class(pod) == "BestEffort") conditions.emplace_back("MemoryPressure");
  if (pressure.disk) conditions.emplace_back("DiskPressure");
  if (pressure.pids) conditions.emplace_back("PIDPressure");
  if (conditions.empty()) return std::nullopt;
  return Refusal{std::string(kEvicted), "The node had condition: [" + join(conditions, ", ") + "]. "};
}

}  // namespace caisson::node
