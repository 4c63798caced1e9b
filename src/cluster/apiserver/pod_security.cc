// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/pod_security.h"

#include <algorithm>
#include <set>

#include "cluster/schema/pod_security.h"
#include "core/base/check.h"
#include "core/base/text.h"

namespace caisson::apiserver {
namespace {

using Violation = PodSecurityViolation;
using Fault = schema::PodSecurityFault;
using Of = Fault::Of;
using Names = std::vector<std::string>;
using Texts = std::set<std::string>;

// What one check refuses in a Pod.
struct Finding {
  const Value& spec;
  std::vector<Fault> faults;
};
using Which = bool (*)(const Fault&);

bool is_any(const Fault&) {
  return true;
}
bool is_wrong(const Fault& fault) {
  return !fault.values.empty();
}
bool is_of_pod(const Fault& fault) {
  return fault.of == Of::pod;
}

bool has(const Finding& found, Which which) {
  return std::any_of(found.faults.begin(), found.faults.end(), which);
}

// The names of what is in one of these lists and has such a fault, each once.
Names names_in(const Finding& found, std::initializer_list<Of> lists, Which which = is_any) {
  Names names;
  for (const Of of : lists) {
    std::set<std::size_t> indexes;
    for (const Fault& fault : found.faults)
      if (fault.of == of && which(fault)) indexes.insert(fault.index);
    for (const std::size_t index : indexes) names.push_back(found.spec[schema::list_of(of)][index]["name"].str());
  }
  return names;
}
// Init containers first, as the reference visits them.
Names containers(const Finding& found, Which which = is_any) {
  return names_in(found, {Of::init_container, Of::container, Of::ephemeral_container}, which);
}

Texts values(const Finding& found, Which which = is_any) {
  Texts out;
  for (const Fault& fault : found.faults)
    if (which(fault)) out.insert(fault.values.begin(), fault.values.end());
  return out;
}

Names list(const Texts& texts) {
  return Names(texts.begin(), texts.end());
}
std::string quoted(const Names& names) {
  return "\"" + join(names, "\", \"") + "\"";
}
std::string quoted(const Texts& texts) {
  return quoted(list(texts));
}
// "container", "containers".
std::string counted(std::string_view noun, std::size_t count) {
  return std::string(noun) + (count == 1 ? "" : "s");
}
std::string containers_text(const Names& names) {
  return counted("container", names.size()) + " " + quoted(names);
}
// "pod and container "a"": who set something wrong.
std::string setters_text(const Finding& found, Which which = is_any) {
  const Names names = containers(found, which);
  if (names.empty()) return "pod";
  const bool pod = std::any_of(found.faults.begin(), found.faults.end(),
                               [&](const Fault& fault) { return is_of_pod(fault) && which(fault); });
  return (pod ? "pod and " : "") + containers_text(names);
}
// KEY="value" of each annotation.
Texts annotations(const Finding& found) {
  constexpr std::string_view kBefore = "metadata.annotations[";
  Texts out;
  for (const Fault& fault : found.faults)
    if (fault.of == Of::annotation)
      out.insert(fault.field.substr(kBefore.size(), fault.field.size() - kBefore.size() - 1) + "=\"" +
                 fault.values.front() + "\"");
  return out;
}

// --- what is said about each, in the words of the reference

// Types, then annotations.
Names app_armor_profiles(const Finding& found) {
  Names all = list(values(found, [](const Fault& fault) { return fault.of != Of::annotation; }));
  const Texts of_annotations = annotations(found);
  all.insert(all.end(), of_annotations.begin(), of_annotations.end());
  return all;
}

std::string app_armor(const Finding& found) {
  Names setters;
  if (has(found, is_of_pod)) setters.emplace_back("pod");
  if (const Names names = containers(found); !names.empty()) setters.push_back(containers_text(names));
  if (const Texts of_annotations = annotations(found); !of_annotations.empty())
    setters.push_back(counted("annotation", of_annotations.size()));
  return join(setters, " and ") + " must not set AppArmor profile type to " + quoted(app_armor_profiles(found));
}

std::string added_capabilities(const Finding& found) {
  return containers_text(containers(found)) + " must not include " + quoted(values(found)) +
         " in securityContext.capabilities.add";
}

std::string host_namespaces(const Finding& found) {
  Names set;
  for (const Fault& fault : found.faults) set.push_back(fault.field.substr(std::string_view("spec.").size()) + "=true");
  return join(set, ", ");
}

std::string host_path_volumes(const Finding& found) {
  const Names names = names_in(found, {Of::volume});
  return counted("volume", names.size()) + " " + quoted(names);
}

std::string host_ports(const Finding& found) {
  const Names names = containers(found), ports = list(values(found));
  return containers_text(names) + (names.size() == 1 ? " uses " : " use ") + counted("hostPort", ports.size()) + " " +
         join(ports, ", ");
}

std::string privileged(const Finding& found) {
  return containers_text(containers(found)) + " must not set securityContext.privileged=true";
}

std::string proc_mount(const Finding& found) {
  return containers_text(containers(found)) + " must not set securityContext.procMount to " + quoted(values(found));
}

std::string se_linux_options(const Finding& found) {
  const Texts types = values(found, [](const Fault& fault) { return fault.field.ends_with(".type"); });
  Names data;
  if (!types.empty()) data.push_back(counted("type", types.size()) + " " + quoted(types));
  if (has(found, [](const Fault& fault) { return fault.field.ends_with(".user"); }))
    data.emplace_back("user may not be set");
  if (has(found, [](const Fault& fault) { return fault.field.ends_with(".role"); }))
    data.emplace_back("role may not be set");
  return setters_text(found) + " set forbidden securityContext.seLinuxOptions: " + join(data, "; ");
}

// What is set wrong is told before what is not set.
std::string seccomp(const Finding& found) {
  if (const Texts forbidden = annotations(found); !forbidden.empty())
    return "forbidden " + counted("annotation", forbidden.size()) + " " + join(list(forbidden), ", ");
  if (has(found, is_wrong))
    return setters_text(found, is_wrong) + " must not set securityContext.seccompProfile.type to " +
           quoted(values(found));
  return "pod or " + containers_text(containers(found)) +
         " must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"";
}

std::string sysctls(const Finding& found) {
  Names names;
  for (const Fault& fault : found.faults) names.push_back(fault.values.front());
  return join(names, ", ");
}

std::string windows_host_process(const Finding& found) {
  return setters_text(found) + " must not set securityContext.windowsOptions.hostProcess=true";
}

std::string allow_privilege_escalation(const Finding& found) {
  return containers_text(containers(found)) + " must set securityContext.allowPrivilegeEscalation=false";
}

std::string capabilities_restricted(const Finding& found) {
  Finding adding{found.spec, {}};
  for (const Fault& fault : found.faults)
    if (fault.field.ends_with(".add")) adding.faults.push_back(fault);
  const Names keeping = containers(found, [](const Fault& fault) { return fault.field.ends_with(".drop"); });
  Names details;
  if (!keeping.empty())
    details.push_back(containers_text(keeping) + " must set securityContext.capabilities.drop=[\"ALL\"]");
  if (!adding.faults.empty()) details.push_back(added_capabilities(adding));
  return join(details, "; ");
}

std::string restricted_volumes(const Finding& found) {
  const Names names = names_in(found, {Of::volume});
  const Texts types = values(found);
  return counted("volume", names.size()) + " " + quoted(names) + (names.size() == 1 ? " uses " : " use ") +
         counted("restricted volume type", types.size()) + " " + quoted(types);
}

std::string run_as_non_root(const Finding& found) {
  if (has(found, is_wrong)) return setters_text(found, is_wrong) + " must not set securityContext.runAsNonRoot=false";
  return "pod or " + containers_text(containers(found)) + " must set securityContext.runAsNonRoot=true";
}

std::string run_as_user(const Finding& found) {
  return setters_text(found) + " must not set runAsUser=0";
}

struct Told {
  std::string_view id;  // of schema::PodSecurityCheck
  std::string (*detail)(const Finding&);
  int overridden_from = -1;  // the version whose restricted level says the same more strictly; -1: never
};
// In the order of the reference.
constexpr Told kTold[] = {{"appArmorProfile", app_armor},
                          {"capabilities_baseline", added_capabilities, 22},
                          {"hostNamespaces", host_namespaces},
                          {"hostPathVolumes", host_path_volumes, 0},
                          {"hostPorts", host_ports},
                          {"privileged", privileged},
                          {"procMount", proc_mount},
                          {"seLinuxOptions", se_linux_options},
                          {"seccompProfile_baseline", seccomp, 19},
                          {"sysctls", sysctls},
                          {"windowsHostProcess", windows_host_process},
                          {"allowPrivilegeEscalation", allow_privilege_escalation},
                          {"capabilities_restricted", capabilities_restricted},
                          {"restrictedVolumes", restricted_volumes},
                          {"runAsNonRoot", run_as_non_root},
                          {"runAsUser", run_as_user},
                          {"seccompProfile_restricted", seccomp}};

constexpr int kMinorKnown = 33;  // of the Kubernetes that this room follows: later versions and "latest" are this one

const schema::PodSecurityCheck& check_of(std::string_view id) {
  const auto checks = schema::pod_security_checks();
  const auto found = std::find_if(checks.begin(), checks.end(), [&](const auto& check) { return check.id == id; });
  CHECK(found != checks.end());
  return *found;
}

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
  const schema::PodView pod{metadata, spec, std::min(policy.minor, kMinorKnown)};
  for (const Told& told : kTold) {
    const schema::PodSecurityCheck& check = check_of(told.id);
    if (pod.minor < check.since || (!restricted && !check.baseline)) continue;
    if (restricted && told.overridden_from >= 0 && pod.minor >= told.overridden_from) continue;
    Finding found{spec, {}};
    check.run(pod, found.faults);
    if (found.faults.empty()) continue;
    const std::size_t counts = told.detail == app_armor ? app_armor_profiles(found).size() : 1;
    out.push_back({counted(check.reason, counts), told.detail(found)});
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
