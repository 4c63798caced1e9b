// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/pod_security.h"

#include <algorithm>
#include <string>

namespace caisson::schema {
namespace {

using Faults = std::vector<PodSecurityFault>;
using Names = std::span<const std::string_view>;

bool contains(Names names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Where a check looks; a fault's field is written only where one is found.
struct Place {
  PodSecurityFault::Of of = PodSecurityFault::Of::pod;
  std::size_t index = 0;
};
std::string operator+(const Place& at, std::string_view field) {
  std::string out = "spec";
  const std::string_view list = list_of(at.of);
  if (!list.empty()) out.append(".").append(list).append("[").append(std::to_string(at.index)).append("]");
  return out.append(field);
}
void found(Faults& faults, const Place& at, const std::string& field, std::vector<std::string> values) {
  faults.push_back({at.of, at.index, field, std::move(values)});
}
constexpr Place kPod, kAnnotation{PodSecurityFault::Of::annotation};

std::string annotation(std::string_view key) {
  return "metadata.annotations[" + std::string(key) + "]";
}

template <typename Call>  // (const Value& container, const Place&)
void each_container(const Value& spec, const Call& call) {
  using Of = PodSecurityFault::Of;
  for (const Of of : {Of::container, Of::init_container, Of::ephemeral_container}) {
    const Value& containers = spec[list_of(of)];
    for (std::size_t i = 0; i < containers.size(); ++i) call(containers[i], Place{of, i});
  }
}
bool is_windows(const PodView& pod) {
  return pod.minor >= 25 && pod.spec["os"]["name"].as_string() == "windows";
}

void privileged(const PodView& pod, Faults& faults) {
  each_container(pod.spec, [&](const Value& c, const Place& at) {
    if (c["securityContext"]["privileged"].as_bool()) found(faults, at, at + ".securityContext.privileged", {"true"});
  });
}

void capabilities_baseline(const PodView& pod, Faults& faults) {
  static constexpr std::string_view kAllowed[] = {"AUDIT_WRITE", "CHOWN",  "DAC_OVERRIDE",     "FOWNER",  "FSETID",
                                                  "KILL",        "MKNOD",  "NET_BIND_SERVICE", "SETFCAP", "SETGID",
                                                  "SETPCAP",     "SETUID", "SYS_CHROOT"};
  each_container(pod.spec, [&](const Value& c, const Place& at) {
    std::vector<std::string> bad;
    for (const Value& name : c["securityContext"]["capabilities"]["add"].items())
      if (!contains(kAllowed, name.as_string())) bad.push_back(name.str());
    if (!bad.empty()) found(faults, at, at + ".securityContext.capabilities.add", bad);
  });
}

void host_namespaces(const PodView& pod, Faults& faults) {
  for (const char* field : {"hostNetwork", "hostPID", "hostIPC"})
    if (pod.spec[field].as_bool()) found(faults, kPod, "spec." + std::string(field), {"true"});
}

void host_path_volumes(const PodView& pod, Faults& faults) {
  const Value& volumes = pod.spec["volumes"];
  for (std::size_t i = 0; i < volumes.size(); ++i)
    if (const Place volume{PodSecurityFault::Of::volume, i}; volumes[i]["hostPath"].is_map())
      found(faults, volume, volume + ".hostPath", {volumes[i]["hostPath"]["path"].str()});
}

void host_ports(const PodView& pod, Faults& faults) {
  each_container(pod.spec, [&](const Value& c, const Place& at) {
    const Value& ports = c["ports"];
    for (std::size_t i = 0; i < ports.size(); ++i)
      if (ports[i]["hostPort"].as_int() != 0)
        found(faults, at, at + ".ports[" + std::to_string(i) + "].hostPort", {ports[i]["hostPort"].scalar_text()});
  });
}

void host_probes(const PodView& pod, Faults& faults) {
  const auto check = [&](const Value& handler, const Place& at, const char* prefix, const char* name) {
    for (const char* kind : {"httpGet", "tcpSocket"}) {
      const std::string_view host = handler[kind]["host"].as_string();
      if (!host.empty() && host != "127.0.0.1" && host != "::1" && host != "localhost")
        found(faults, at, at + prefix + name + "." + kind + ".host", {std::string(host)});
    }
  };
  each_container(pod.spec, [&](const Value& c, const Place& at) {
    for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"}) check(c[probe], at, ".", probe);
    for (const char* hook : {"postStart", "preStop"}) check(c["lifecycle"][hook], at, ".lifecycle.", hook);
  });
}

void app_armor(const PodView& pod, Faults& faults) {
  constexpr std::string_view kPrefix = "container.apparmor.security.beta.kubernetes.io/";
  for (const auto& entry : pod.metadata["annotations"].entries()) {
    if (!entry.key.starts_with(kPrefix)) continue;
    const std::string_view profile = entry.value.as_string();
    if (!profile.empty() && profile != "runtime/default" && !profile.starts_with("localhost/"))
      found(faults, kAnnotation, annotation(entry.key), {std::string(profile)});
  }
  const auto check = [&](const Value& context, const Place& at) {
    const Value& type = context["appArmorProfile"]["type"];
    if (!type.is_null() && type.as_string() != "RuntimeDefault" && type.as_string() != "Localhost")
      found(faults, at, at + ".securityContext.appArmorProfile.type", {type.str()});
  };
  check(pod.spec["securityContext"], kPod);
  each_container(pod.spec, [&](const Value& c, const Place& at) { check(c["securityContext"], at); });
}

void proc_mount(const PodView& pod, Faults& faults) {
  each_container(pod.spec, [&](const Value& c, const Place& at) {
    const Value& mount = c["securityContext"]["procMount"];
    if (!mount.is_null() && mount.as_string() != "Default")
      found(faults, at, at + ".securityContext.procMount", {mount.str()});
  });
}

void selinux(const PodView& pod, Faults& faults) {
  static constexpr std::string_view kTypes[] = {"", "container_t", "container_init_t", "container_kvm_t"};
  const auto check = [&](const Value& context, const Place& at) {
    const Value& options = context["seLinuxOptions"];
    constexpr std::string_view kBase = ".securityContext.seLinuxOptions.";
    const std::string_view type = options["type"].as_string();
    if (!contains(kTypes, type) && !(pod.minor >= 31 && type == "container_engine_t"))
      found(faults, at, at + kBase + "type", {std::string(type)});
    for (const char* field : {"user", "role"})
      if (!options[field].as_string().empty()) found(faults, at, at + kBase + field, {options[field].str()});
  };
  check(pod.spec["securityContext"], kPod);
  each_container(pod.spec, [&](const Value& c, const Place& at) { check(c["securityContext"], at); });
}

bool is_seccomp_allowed(std::string_view type) {
  return type == "RuntimeDefault" || type == "Localhost";
}

// Before 1.19 profiles stood in annotations.
void seccomp_annotations(const PodView& pod, Faults& faults) {
  const auto check = [&](const std::string& key) {
    const Value* value = pod.metadata["annotations"].find(key);
    if (value == nullptr) return;
    const std::string_view profile = value->as_string();
    if (profile != "runtime/default" && profile != "docker/default" && !profile.starts_with("localhost/"))
      found(faults, kAnnotation, annotation(key), {std::string(profile)});
  };
  check("seccomp.security.alpha.kubernetes.io/pod");
  each_container(pod.spec, [&](const Value& c, const Place&) {
    check("container.seccomp.security.alpha.kubernetes.io/" + c["name"].str());
  });
}

void seccomp_baseline(const PodView& pod, Faults& faults) {
  if (pod.minor < 19) return seccomp_annotations(pod, faults);
  const auto check = [&](const Value& context, const Place& at) {
    const Value& type = context["seccompProfile"]["type"];
    if (!type.is_null() && !is_seccomp_allowed(type.as_string()))
      found(faults, at, at + ".securityContext.seccompProfile.type", {type.str()});
  };
  check(pod.spec["securityContext"], kPod);
  each_container(pod.spec, [&](const Value& c, const Place& at) { check(c["securityContext"], at); });
}

void sysctls(const PodView& pod, Faults& faults) {
  struct Allowed {
    std::string_view name;
    int since;
  };
  static constexpr Allowed kAllowed[] = {{"kernel.shm_rmid_forced", 0},
                                         {"net.ipv4.ip_local_port_range", 0},
                                         {"net.ipv4.tcp_syncookies", 0},
                                         {"net.ipv4.ping_group_range", 0},
                                         {"net.ipv4.ip_unprivileged_port_start", 0},
                                         {"net.ipv4.ip_local_reserved_ports", 27},
                                         {"net.ipv4.tcp_keepalive_time", 29},
                                         {"net.ipv4.tcp_fin_timeout", 29},
                                         {"net.ipv4.tcp_keepalive_intvl", 29},
                                         {"net.ipv4.tcp_keepalive_probes", 29},
                                         {"net.ipv4.tcp_rmem", 32},
                                         {"net.ipv4.tcp_wmem", 32}};
  const Value& list = pod.spec["securityContext"]["sysctls"];
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string_view name = list[i]["name"].as_string();
    const bool allowed = std::any_of(std::begin(kAllowed), std::end(kAllowed),
                                     [&](const Allowed& one) { return one.name == name && pod.minor >= one.since; });
    if (!allowed)
      found(faults, kPod, "spec.securityContext.sysctls[" + std::to_string(i) + "].name", {std::string(name)});
  }
}

void windows_host_process(const PodView& pod, Faults& faults) {
  const auto check = [&](const Value& context, const Place& at) {
    if (context["windowsOptions"]["hostProcess"].as_bool())
      found(faults, at, at + ".securityContext.windowsOptions.hostProcess", {"true"});
  };
  check(pod.spec["securityContext"], kPod);
  each_container(pod.spec, [&](const Value& c, const Place& at) { check(c["securityContext"], at); });
}

// --- restricted

void privilege_escalation(const PodView& pod, Faults& faults) {
  if (is_windows(pod)) return;
  each_container(pod.spec, [&](const Value& c, const Place& at) {
    const Value& allowed = c["securityContext"]["allowPrivilegeEscalation"];
    if (allowed.is_null())
      found(faults, at, at + ".securityContext.allowPrivilegeEscalation", {});
    else if (allowed.as_bool())
      found(faults, at, at + ".securityContext.allowPrivilegeEscalation", {"true"});
  });
}

void capabilities_restricted(const PodView& pod, Faults& faults) {
  if (is_windows(pod)) return;
  each_container(pod.spec, [&](const Value& c, const Place& at) {
    const Value& capabilities = c["securityContext"]["capabilities"];
    std::vector<std::string> dropped, added;
    bool drops_all = false;
    for (const Value& name : capabilities["drop"].items()) {
      dropped.push_back(name.str());
      drops_all = drops_all || name.as_string() == "ALL";
    }
    for (const Value& name : capabilities["add"].items())
      if (name.as_string() != "NET_BIND_SERVICE") added.push_back(name.str());
    if (!drops_all) found(faults, at, at + ".securityContext.capabilities.drop", dropped);
    if (!added.empty()) found(faults, at, at + ".securityContext.capabilities.add", added);
  });
}

void restricted_volumes(const PodView& pod, Faults& faults) {
  static constexpr std::string_view kAllowed[] = {"configMap", "csi",   "downwardAPI",           "emptyDir",
                                                  "ephemeral", "image", "persistentVolumeClaim", "projected",
                                                  "secret"};
  const Value& volumes = pod.spec["volumes"];
  for (std::size_t i = 0; i < volumes.size(); ++i) {
    for (const auto& entry : volumes[i].entries()) {
      if (entry.key == "name" || entry.value.is_null() || contains(kAllowed, entry.key)) continue;
      const Place volume{PodSecurityFault::Of::volume, i};
      found(faults, volume, volume + "." + std::string(entry.key), {std::string(entry.key)});
    }
  }
}

void run_as_non_root(const PodView& pod, Faults& faults) {
  const Value& at_pod = pod.spec["securityContext"]["runAsNonRoot"];
  if (at_pod.is_bool() && !at_pod.as_bool()) found(faults, kPod, "spec.securityContext.runAsNonRoot", {"false"});
  each_container(pod.spec, [&](const Value& c, const Place& at) {
    const Value& own = c["securityContext"]["runAsNonRoot"];
    if (own.is_bool() && !own.as_bool())
      found(faults, at, at + ".securityContext.runAsNonRoot", {"false"});
    else if (own.is_null() && !at_pod.as_bool())
      found(faults, at, at + ".securityContext.runAsNonRoot", {});
  });
}

void run_as_user(const PodView& pod, Faults& faults) {
  const auto check = [&](const Value& context, const Place& at) {
    const Value& user = context["runAsUser"];
    if (user.is_number() && user.as_int() == 0) found(faults, at, at + ".securityContext.runAsUser", {"0"});
  };
  check(pod.spec["securityContext"], kPod);
  each_container(pod.spec, [&](const Value& c, const Place& at) { check(c["securityContext"], at); });
}

void seccomp_restricted(const PodView& pod, Faults& faults) {
  if (is_windows(pod)) return;
  const Value& at_pod = pod.spec["securityContext"]["seccompProfile"]["type"];
  const bool pod_fine = is_seccomp_allowed(at_pod.as_string());
  if (!at_pod.is_null() && !pod_fine) found(faults, kPod, "spec.securityContext.seccompProfile.type", {at_pod.str()});
  each_container(pod.spec, [&](const Value& c, const Place& at) {
    const Value& own = c["securityContext"]["seccompProfile"]["type"];
    if (!own.is_null() && !is_seccomp_allowed(own.as_string()))
      found(faults, at, at + ".securityContext.seccompProfile.type", {own.str()});
    else if (own.is_null() && !pod_fine)
      found(faults, at, at + ".securityContext.seccompProfile.type", {});
  });
}

constexpr PodSecurityCheck kChecks[] = {
    {"privileged", "Privileged Containers", "privileged", true, 0, privileged},
    {"capabilities_baseline", "Capabilities", "non-default capabilities", true, 0, capabilities_baseline},
    {"hostNamespaces", "Host Namespaces", "host namespaces", true, 0, host_namespaces},
    {"hostPathVolumes", "HostPath Volumes", "hostPath volumes", true, 0, host_path_volumes},
    {"hostPorts", "Host Ports", "hostPort", true, 0, host_ports},
    {"hostProbesAndHostLifecycle", "Host Probes / Lifecycle Hooks", "probe or lifecycle host", true, 34, host_probes},
    {"appArmorProfile", "AppArmor", "forbidden AppArmor profile", true, 0, app_armor},
    {"procMount", "/proc Mount Type", "procMount", true, 0, proc_mount},
    {"seLinuxOptions", "SELinux", "seLinuxOptions", true, 0, selinux},
    {"seccompProfile_baseline", "Seccomp", "seccompProfile", true, 0, seccomp_baseline},
    {"sysctls", "Sysctls", "forbidden sysctls", true, 0, sysctls},
    {"windowsHostProcess", "HostProcess", "hostProcess", true, 0, windows_host_process},
    {"allowPrivilegeEscalation", "Privilege Escalation", "allowPrivilegeEscalation != false", false, 8,
     privilege_escalation},
    {"capabilities_restricted", "Capabilities", "unrestricted capabilities", false, 22, capabilities_restricted},
    {"restrictedVolumes", "Volume Types", "restricted volume types", false, 0, restricted_volumes},
    {"runAsNonRoot", "Running as Non-root", "runAsNonRoot != true", false, 0, run_as_non_root},
    {"runAsUser", "Running as Non-root user", "runAsUser=0", false, 23, run_as_user},
    {"seccompProfile_restricted", "Seccomp", "seccompProfile", false, 19, seccomp_restricted},
};

}  // namespace

std::string_view list_of(PodSecurityFault::Of of) {
  using Of = PodSecurityFault::Of;
  switch (of) {
    case Of::container:
      return "containers";
    case Of::init_container:
      return "initContainers";
    case Of::ephemeral_container:
      return "ephemeralContainers";
    case Of::volume:
      return "volumes";
    default:
      return {};
  }
}

std::span<const PodSecurityCheck> pod_security_checks() {
  return kChecks;
}

}  // namespace caisson::schema
