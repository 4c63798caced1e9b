// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/pod_security.h"

#include <functional>
#include <optional>
#include <set>

#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

using Violation = PodSecurityViolation;
using Names = std::vector<std::string>;
using Texts = std::set<std::string>;

struct Pod {
  const Value& metadata;
  const Value& spec;
  int minor;
  const Value& context() const { return spec["securityContext"]; }
  bool windows() const { return spec["os"]["name"].as_string() == "windows"; }
  // Init containers first, as the reference visits them.
  void each_container(const std::function<void(const Value&)>& visit) const {
    for (const char* list : {"initContainers", "containers", "ephemeralContainers"})
      for (const Value& container : spec[list].items()) visit(container);
  }
};
using Finding = std::optional<Violation>;

std::string quoted(const Names& names) {
  return "\"" + join(names, "\", \"") + "\"";
}
std::string quoted(const Texts& texts) {
  return quoted(Names(texts.begin(), texts.end()));
}
std::string containers_text(const Names& names) {
  return (names.size() == 1 ? "container " : "containers ") + quoted(names);
}
// "pod and container "a"": who set something wrong.
std::string setters_text(bool pod, const Names& containers) {
  if (containers.empty()) return "pod";
  return (pod ? "pod and " : "") + containers_text(containers);
}

Names containers_where(const Pod& pod, const std::function<bool(const Value&)>& wrong) {
  Names names;
  pod.each_container([&](const Value& container) {
    if (wrong(container)) names.push_back(container["name"].str());
  });
  return names;
}

// --- baseline, in the order of the checks' names

Finding app_armor(const Pod& pod) {
  Texts values;
  const auto wrong = [&](const Value& profile) {
    const std::string type = profile["type"].str();
    if (profile.is_null() || type == "RuntimeDefault" || type == "Localhost") return false;
    values.insert(type);
    return true;
  };
  std::vector<std::string> setters;
  if (wrong(pod.context()["appArmorProfile"])) setters.emplace_back("pod");
  const Names names =
      containers_where(pod, [&](const Value& c) { return wrong(c["securityContext"]["appArmorProfile"]); });
  if (!names.empty()) setters.push_back(containers_text(names));
  Names all(values.begin(), values.end());
  Texts annotations;
  for (const auto& [key, value] : pod.metadata["annotations"].entries()) {
    const std::string_view profile = value.as_string();
    if (key.starts_with("container.apparmor.security.beta.kubernetes.io/") && !profile.empty() &&
        profile != "runtime/default" && !profile.starts_with("localhost/"))
      annotations.insert(std::string(key) + "=\"" + std::string(profile) + "\"");
  }
  all.insert(all.end(), annotations.begin(), annotations.end());
  if (!annotations.empty()) setters.emplace_back(annotations.size() == 1 ? "annotation" : "annotations");
  if (setters.empty()) return std::nullopt;
  return Violation{all.size() == 1 ? "forbidden AppArmor profile" : "forbidden AppArmor profiles",
                   join(setters, " and ") + " must not set AppArmor profile type to " + quoted(all)};
}

Finding capabilities_baseline(const Pod& pod) {
  static const std::set<std::string_view> kAllowed = {"AUDIT_WRITE", "CHOWN",  "DAC_OVERRIDE",     "FOWNER",  "FSETID",
                                                      "KILL",        "MKNOD",  "NET_BIND_SERVICE", "SETFCAP", "SETGID",
                                                      "SETPCAP",     "SETUID", "SYS_CHROOT"};
  Texts added;
  const Names names = containers_where(pod, [&](const Value& c) {
    bool wrong = false;
    for (const Value& capability : c["securityContext"]["capabilities"]["add"].items()) {
      if (kAllowed.contains(capability.as_string())) continue;
      added.insert(capability.str());
      wrong = true;
    }
    return wrong;
  });
  if (names.empty()) return std::nullopt;
  return Violation{"non-default capabilities", containers_text(names) + " must not include " + quoted(added) +
                                                   " in securityContext.capabilities.add"};
}

Finding host_namespaces(const Pod& pod) {
  Names set;
  for (const char* field : {"hostNetwork", "hostPID", "hostIPC"})
    if (pod.spec[field].as_bool()) set.push_back(std::string(field) + "=true");
  if (set.empty()) return std::nullopt;
  return Violation{"host namespaces", join(set, ", ")};
}

Finding host_path_volumes(const Pod& pod) {
  Names names;
  for (const Value& volume : pod.spec["volumes"].items())
    if (!volume["hostPath"].is_null()) names.push_back(volume["name"].str());
  if (names.empty()) return std::nullopt;
  return Violation{"hostPath volumes", (names.size() == 1 ? "volume " : "volumes ") + quoted(names)};
}

Finding host_ports(const Pod& pod) {
  Texts ports;
  const Names names = containers_where(pod, [&](const Value& c) {
    bool wrong = false;
    for (const Value& port : c["ports"].items()) {
      if (port["hostPort"].as_int() == 0) continue;
      ports.insert(std::to_string(port["hostPort"].as_int()));
      wrong = true;
    }
    return wrong;
  });
  if (names.empty()) return std::nullopt;
  return Violation{"hostPort", containers_text(names) + (names.size() == 1 ? " uses " : " use ") +
                                   (ports.size() == 1 ? "hostPort " : "hostPorts ") +
                                   join(Names(ports.begin(), ports.end()), ", ")};
}

Finding privileged(const Pod& pod) {
  const Names names =
      containers_where(pod, [](const Value& c) { return c["securityContext"]["privileged"].as_bool(); });
  if (names.empty()) return std::nullopt;
  return Violation{"privileged", containers_text(names) + " must not set securityContext.privileged=true"};
}

Finding proc_mount(const Pod& pod) {
  Texts types;
  const Names names = containers_where(pod, [&](const Value& c) {
    const Value& type = c["securityContext"]["procMount"];
    if (type.is_null() || type.as_string() == "Default") return false;
    types.insert(type.str());
    return true;
  });
  if (names.empty()) return std::nullopt;
  return Violation{"procMount", containers_text(names) + " must not set securityContext.procMount to " + quoted(types)};
}

Finding se_linux_options(const Pod& pod) {
  Texts types;
  bool user = false, role = false;
  const auto wrong = [&](const Value& options) {
    if (options.is_null()) return false;
    const std::string type = options["type"].str();
    const bool allowed = type.empty() || type == "container_t" || type == "container_init_t" ||
                         type == "container_kvm_t" || (type == "container_engine_t" && pod.minor >= 31);
    if (!allowed) types.insert(type);
    const bool sets_user = !options["user"].as_string().empty(), sets_role = !options["role"].as_string().empty();
    user = user || sets_user;
    role = role || sets_role;
    return !allowed || sets_user || sets_role;
  };
  const bool pod_wrong = wrong(pod.context()["seLinuxOptions"]);
  const Names names =
      containers_where(pod, [&](const Value& c) { return wrong(c["securityContext"]["seLinuxOptions"]); });
  if (!pod_wrong && names.empty()) return std::nullopt;
  Names data;
  if (!types.empty()) data.push_back((types.size() == 1 ? "type " : "types ") + quoted(types));
  if (user) data.emplace_back("user may not be set");
  if (role) data.emplace_back("role may not be set");
  return Violation{"seLinuxOptions", setters_text(pod_wrong, names) +
                                         " set forbidden securityContext.seLinuxOptions: " + join(data, "; ")};
}

// Before 1.19 profiles stood in annotations.
Finding seccomp_annotations(const Pod& pod) {
  Texts forbidden;
  const auto look = [&](const std::string& key) {
    const Value* value = pod.metadata["annotations"].find(key);
    if (!value) return;
    const std::string_view text = value->as_string();
    if (text != "runtime/default" && text != "docker/default" && !text.starts_with("localhost/"))
      forbidden.insert(key + "=\"" + std::string(text) + "\"");
  };
  look("seccomp.security.alpha.kubernetes.io/pod");
  pod.each_container(
      [&](const Value& c) { look("container.seccomp.security.alpha.kubernetes.io/" + c["name"].str()); });
  if (forbidden.empty()) return std::nullopt;
  return Violation{"seccompProfile", (forbidden.size() == 1 ? "forbidden annotation " : "forbidden annotations ") +
                                         join(Names(forbidden.begin(), forbidden.end()), ", ")};
}

Finding seccomp(const Pod& pod, bool required) {
  Texts values;
  const auto wrong = [&](const Value& profile) {
    const std::string type = profile["type"].str();
    if (profile.is_null() || type == "Localhost" || type == "RuntimeDefault") return false;
    values.insert(type);
    return true;
  };
  const Value& of_pod = pod.context()["seccompProfile"];
  const bool pod_wrong = wrong(of_pod);
  const Names names =
      containers_where(pod, [&](const Value& c) { return wrong(c["securityContext"]["seccompProfile"]); });
  if (pod_wrong || !names.empty())
    return Violation{"seccompProfile", setters_text(pod_wrong, names) +
                                           " must not set securityContext.seccompProfile.type to " + quoted(values)};
  if (!required || !of_pod.is_null()) return std::nullopt;
  const Names unset =
      containers_where(pod, [](const Value& c) { return c["securityContext"]["seccompProfile"].is_null(); });
  if (unset.empty()) return std::nullopt;
  return Violation{"seccompProfile",
                   "pod or " + containers_text(unset) +
                       " must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\""};
}

Finding seccomp_baseline(const Pod& pod) {
  return pod.minor < 19 ? seccomp_annotations(pod) : seccomp(pod, false);
}

Finding sysctls(const Pod& pod) {
  static constexpr std::pair<std::string_view, int> kAllowed[] = {{"kernel.shm_rmid_forced", 0},
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
  Names forbidden;
  for (const Value& sysctl : pod.context()["sysctls"].items()) {
    const bool allowed = std::any_of(std::begin(kAllowed), std::end(kAllowed), [&](const auto& entry) {
      return entry.first == sysctl["name"].as_string() && pod.minor >= entry.second;
    });
    if (!allowed) forbidden.push_back(sysctl["name"].str());
  }
  if (forbidden.empty()) return std::nullopt;
  return Violation{"forbidden sysctls", join(forbidden, ", ")};
}

Finding windows_host_process(const Pod& pod) {
  const auto wrong = [](const Value& context) { return context["windowsOptions"]["hostProcess"].as_bool(); };
  const bool pod_wrong = wrong(pod.context());
  const Names names = containers_where(pod, [&](const Value& c) { return wrong(c["securityContext"]); });
  if (!pod_wrong && names.empty()) return std::nullopt;
  return Violation{"hostProcess",
                   setters_text(pod_wrong, names) + " must not set securityContext.windowsOptions.hostProcess=true"};
}

// --- restricted

Finding allow_privilege_escalation(const Pod& pod) {
  if (pod.minor < 8 || (pod.minor >= 25 && pod.windows())) return std::nullopt;
  const Names names = containers_where(
      pod, [](const Value& c) { return c["securityContext"]["allowPrivilegeEscalation"].as_bool(true); });
  if (names.empty()) return std::nullopt;
  return Violation{"allowPrivilegeEscalation != false",
                   containers_text(names) + " must set securityContext.allowPrivilegeEscalation=false"};
}

Finding capabilities_restricted(const Pod& pod) {
  if (pod.minor >= 25 && pod.windows()) return std::nullopt;
  const auto drops_all = [](const Value& c) {
    for (const Value& capability : c["securityContext"]["capabilities"]["drop"].items())
      if (capability.as_string() == "ALL") return true;
    return false;
  };
  Texts added;
  const Names keeping = containers_where(pod, [&](const Value& c) { return !drops_all(c); });
  const Names adding = containers_where(pod, [&](const Value& c) {
    bool wrong = false;
    for (const Value& capability : c["securityContext"]["capabilities"]["add"].items()) {
      if (capability.as_string() == "NET_BIND_SERVICE") continue;
      added.insert(capability.str());
      wrong = true;
    }
    return wrong;
  });
  Names details;
  if (!keeping.empty())
    details.push_back(containers_text(keeping) + " must set securityContext.capabilities.drop=[\"ALL\"]");
  if (!adding.empty())
    details.push_back(containers_text(adding) + " must not include " + quoted(added) +
                      " in securityContext.capabilities.add");
  if (details.empty()) return std::nullopt;
  return Violation{"unrestricted capabilities", join(details, "; ")};
}

Finding restricted_volumes(const Pod& pod) {
  static const std::set<std::string_view> kAllowed = {"configMap", "csi",   "downwardAPI",           "emptyDir",
                                                      "ephemeral", "image", "persistentVolumeClaim", "projected",
                                                      "secret"};
  Names names;
  Texts types;
  for (const Value& volume : pod.spec["volumes"].items()) {
    std::string type = "unknown";
    bool allowed = false;
    for (const auto& [key, source] : volume.entries()) {
      if (key == "name" || source.is_null()) continue;
      allowed = allowed || kAllowed.contains(key);
      type = key;
    }
    if (allowed) continue;
    names.push_back(volume["name"].str());
    types.insert(type);
  }
  if (names.empty()) return std::nullopt;
  const bool one = names.size() == 1;
  return Violation{"restricted volume types",
                   (one ? "volume " : "volumes ") + quoted(names) + (one ? " uses " : " use ") +
                       (types.size() == 1 ? "restricted volume type " : "restricted volume types ") + quoted(types)};
}

Finding run_as_non_root(const Pod& pod) {
  const Value& of_pod = pod.context()["runAsNonRoot"];
  const bool pod_wrong = of_pod.is_bool() && !of_pod.as_bool();
  const Names names = containers_where(pod, [](const Value& c) {
    const Value& value = c["securityContext"]["runAsNonRoot"];
    return value.is_bool() && !value.as_bool();
  });
  if (pod_wrong || !names.empty())
    return Violation{"runAsNonRoot != true",
                     setters_text(pod_wrong, names) + " must not set securityContext.runAsNonRoot=false"};
  if (of_pod.as_bool()) return std::nullopt;
  const Names unset =
      containers_where(pod, [](const Value& c) { return c["securityContext"]["runAsNonRoot"].is_null(); });
  if (unset.empty()) return std::nullopt;
  return Violation{"runAsNonRoot != true",
                   "pod or " + containers_text(unset) + " must set securityContext.runAsNonRoot=true"};
}

Finding run_as_user(const Pod& pod) {
  if (pod.minor < 23) return std::nullopt;
  const auto root = [](const Value& context) {
    return context["runAsUser"].is_int() && context["runAsUser"].as_int() == 0;
  };
  const bool pod_wrong = root(pod.context());
  const Names names = containers_where(pod, [&](const Value& c) { return root(c["securityContext"]); });
  if (!pod_wrong && names.empty()) return std::nullopt;
  return Violation{"runAsUser=0", setters_text(pod_wrong, names) + " must not set runAsUser=0"};
}

Finding seccomp_restricted(const Pod& pod) {
  if (pod.minor >= 25 && pod.windows()) return std::nullopt;
  return seccomp(pod, true);
}

using Check = Finding (*)(const Pod&);
struct BaselineCheck {
  Check check;
  int overridden_from;  // the version whose restricted level says the same more strictly; -1: never
};
constexpr BaselineCheck kBaseline[] = {{app_armor, -1},           {capabilities_baseline, 22},
                                       {host_namespaces, -1},     {host_path_volumes, 0},
                                       {host_ports, -1},          {privileged, -1},
                                       {proc_mount, -1},          {se_linux_options, -1},
                                       {seccomp_baseline, 19},    {sysctls, -1},
                                       {windows_host_process, -1}};
struct RestrictedCheck {
  Check check;
  int since;
};
constexpr RestrictedCheck kRestricted[] = {{allow_privilege_escalation, 8},
                                           {capabilities_restricted, 22},
                                           {restricted_volumes, 0},
                                           {run_as_non_root, 0},
                                           {run_as_user, 23},
                                           {seccomp_restricted, 19}};

}  // namespace

std::string_view level_name(PodSecurityLevel level) {
  return level == PodSecurityLevel::privileged ? "privileged"
         : level == PodSecurityLevel::baseline ? "baseline"
                                               : "restricted";
}

std::string PodSecurityPolicy::str() const {
  return std::string(level_name(level)) + ":" + (minor == kLatest ? "latest" : "v1." + std::to_string(minor));
}

std::vector<PodSecurityViolation> pod_security_violations(const PodSecurityPolicy& policy, const Value& metadata,
                                                          const Value& spec) {
  std::vector<Violation> out;
  if (policy.level == PodSecurityLevel::privileged) return out;
  const bool restricted = policy.level == PodSecurityLevel::restricted;
  const Pod pod{metadata, spec, policy.minor};
  for (const auto& [check, overridden_from] : kBaseline) {
    if (restricted && overridden_from >= 0 && policy.minor >= overridden_from) continue;
    if (auto found = check(pod)) out.push_back(*std::move(found));
  }
  for (const auto& [check, since] : kRestricted) {
    if (!restricted || policy.minor < since) continue;
    if (auto found = check(pod)) out.push_back(*std::move(found));
  }
  return out;
}

std::string details_text(const std::vector<PodSecurityViolation>& violations) {
  Names texts;
  for (const Violation& violation : violations) texts.push_back(violation.reason + " (" + violation.detail + ")");
  return join(texts, ", ");
}

std::string reasons_text(const std::vector<PodSecurityViolation>& violations) {
  Names texts;
  for (const Violation& violation : violations) texts.push_back(violation.reason);
  return join(texts, ", ");
}

}  // namespace caisson::apiserver
