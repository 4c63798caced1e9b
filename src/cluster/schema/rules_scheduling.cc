// SPDX-License-Identifier: Apache-2.0
// What places a Pod and what confines it: tolerations, affinity, spreading, gates, security contexts
// (pkg/apis/core/validation of 1.33).
#include <re2/re2.h>

#include <set>

#include "cluster/schema/checks.h"
#include "cluster/schema/rules.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;
constexpr std::int64_t kIdMax = 2147483647;

std::string at(const std::string& path, std::string_view list, std::size_t i) {
  return path + "." + std::string(list) + "[" + std::to_string(i) + "]";
}

void check_name(const Value& key, const std::string& path, Errors& out) {
  for (const std::string& why : check_qualified_name(key.as_string())) out.push_back(invalid_value(path, key, why));
}

void check_tolerations(const Value& spec, const std::string& path, Errors& out) {
  for (std::size_t i = 0; i < spec["tolerations"].size(); ++i) {
    const Value& toleration = spec["tolerations"][i];
    const std::string where = at(path, "tolerations", i);
    const std::string_view key = toleration["key"].as_string(), op = toleration["operator"].as_string();
    if (!key.empty()) check_name(toleration["key"], where + ".key", out);
    if (key.empty() && op != "Exists")
      out.push_back(
          invalid_value(where + ".operator", Value(op),
                        "operator must be Exists when `key` is empty, which means \"match all values and all keys\""));
    if (!toleration["tolerationSeconds"].is_null() && toleration["effect"].as_string() != "NoExecute")
      out.push_back(invalid_value(where + ".effect", Value(toleration["effect"].as_string()),
                                  "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    if (op == "Exists" && !toleration["value"].as_string().empty())
      out.push_back(
          invalid_value(where + ".operator", toleration["value"], "value must be empty when `operator` is 'Exists'"));
    else if (op != "Exists")
      for (const std::string& why : check_label_value(toleration["value"].as_string()))
        out.push_back(invalid_value(where + ".operator", toleration["value"], why));
  }
}

// A requirement of a node selector: an operator and as many values as it takes.
void check_requirement(const Value& requirement, const std::string& path, Errors& out) {
  const std::string_view op = requirement["operator"].as_string();
  const std::size_t values = requirement["values"].size();
  if ((op == "In" || op == "NotIn") && values == 0)
    out.push_back(required_value(path + ".values", "must be specified when `operator` is 'In' or 'NotIn'"));
  else if ((op == "Exists" || op == "DoesNotExist") && values > 0)
    out.push_back(
        forbidden_value(path + ".values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
  else if ((op == "Gt" || op == "Lt") && values != 1)
    out.push_back(required_value(path + ".values", "must be specified single value when `operator` is 'Lt' or 'Gt'"));
  else if (op != "In" && op != "NotIn" && op != "Exists" && op != "DoesNotExist" && op != "Gt" && op != "Lt")
    out.push_back(invalid_value(path + ".operator", Value(op), "not a valid selector operator"));
  check_name(Value(requirement["key"].as_string()), path + ".key", out);
}

void check_node_term(const Value& term, const std::string& path, Errors& out) {
  for (const char* list : {"matchExpressions"})
    for (std::size_t i = 0; i < term[list].size(); ++i) check_requirement(term[list][i], at(path, list, i), out);
}

void check_weight(const Value& term, const std::string& path, Errors& out) {
  const std::int64_t weight = term["weight"].as_int();
  if (weight < 1 || weight > 100)
    out.push_back(invalid_value(path + ".weight", Value(weight), "must be in the range 1-100"));
}

void check_node_affinity(const Value& affinity, const std::string& path, Errors& out) {
  const std::string required = path + ".requiredDuringSchedulingIgnoredDuringExecution";
  const Value& selector = affinity["requiredDuringSchedulingIgnoredDuringExecution"];
  if (selector.is_map() && selector["nodeSelectorTerms"].empty())
    out.push_back(required_value(required + ".nodeSelectorTerms", "must have at least one node selector term"));
  for (std::size_t i = 0; i < selector["nodeSelectorTerms"].size(); ++i)
    check_node_term(selector["nodeSelectorTerms"][i], at(required, "nodeSelectorTerms", i), out);
  const Value& preferred = affinity["preferredDuringSchedulingIgnoredDuringExecution"];
  for (std::size_t i = 0; i < preferred.size(); ++i) {
    const std::string where = at(path, "preferredDuringSchedulingIgnoredDuringExecution", i);
    check_weight(preferred[i], where, out);
    check_node_term(preferred[i]["preference"], where + ".preference", out);
  }
}

void check_pod_term(const Value& term, const std::string& path, Errors& out) {
  check_label_selector(term["labelSelector"], path + ".labelSelector", out);
  check_label_selector(term["namespaceSelector"], path + ".namespaceSelector", out);
  for (std::size_t i = 0; i < term["namespaces"].size(); ++i)
    for (const std::string& why : check_dns_label(term["namespaces"][i].as_string()))
      out.push_back(invalid_value(path + ".namespace", term["namespaces"][i], why));
  if (term["topologyKey"].as_string().empty()) out.push_back(required_value(path + ".topologyKey", "can not be empty"));
  check_name(Value(term["topologyKey"].as_string()), path + ".topologyKey", out);
}

void check_pod_affinity(const Value& affinity, const std::string& path, Errors& out) {
  const Value& required = affinity["requiredDuringSchedulingIgnoredDuringExecution"];
  for (std::size_t i = 0; i < required.size(); ++i)
    check_pod_term(required[i], at(path, "requiredDuringSchedulingIgnoredDuringExecution", i), out);
  const Value& preferred = affinity["preferredDuringSchedulingIgnoredDuringExecution"];
  for (std::size_t i = 0; i < preferred.size(); ++i) {
    const std::string where = at(path, "preferredDuringSchedulingIgnoredDuringExecution", i);
    check_weight(preferred[i], where, out);
    check_pod_term(preferred[i]["podAffinityTerm"], where + ".podAffinityTerm", out);
  }
}

void check_spreading(const Value& spec, const std::string& path, Errors& out) {
  for (std::size_t i = 0; i < spec["topologySpreadConstraints"].size(); ++i) {
    const Value& constraint = spec["topologySpreadConstraints"][i];
    const std::string where = at(path, "topologySpreadConstraints", i);
    if (constraint["maxSkew"].as_int() <= 0)
      out.push_back(
          invalid_value(where + ".maxSkew", Value(constraint["maxSkew"].as_int()), "must be greater than zero"));
    const std::string key = constraint["topologyKey"].str(), when = constraint["whenUnsatisfiable"].str();
    if (key.empty())
      out.push_back(required_value(where + ".topologyKey", "can not be empty"));
    else
      check_name(constraint["topologyKey"], where + ".topologyKey", out);
    if (when != "DoNotSchedule" && when != "ScheduleAnyway")
      out.push_back(unsupported_value(where + ".whenUnsatisfiable", Value(when), {"DoNotSchedule", "ScheduleAnyway"}));
    if (const Value& least = constraint["minDomains"]; !least.is_null()) {
      if (least.as_int() <= 0) out.push_back(invalid_value(where + ".minDomains", least, "must be greater than zero"));
      if (when != "DoNotSchedule")
        out.push_back(invalid_value(where + ".minDomains", least,
                                    "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not " + when));
    }
    check_label_selector(constraint["labelSelector"], where + ".labelSelector", out);
    for (std::size_t k = i + 1; k < spec["topologySpreadConstraints"].size(); ++k) {
      const Value& other = spec["topologySpreadConstraints"][k];
      if (!key.empty() && other["topologyKey"].as_string() == key && other["whenUnsatisfiable"].as_string() == when)
        out.push_back(
            duplicate_value(where + ".{topologyKey, whenUnsatisfiable}", Value("{" + key + ", " + when + "}")));
    }
  }
}

void check_id(const Value& context, const char* member, const std::string& path, Errors& out) {
  const Value& id = context[member];
  if (!id.is_null() && (id.as_int() < 0 || id.as_int() > kIdMax))
    out.push_back(invalid_value(path + "." + member, id, "must be between 0 and 2147483647, inclusive"));
}

void check_profile(const Value& profile, const std::string& path, std::string_view what, Errors& out) {
  if (!profile.is_map()) return;
  const Value &type = profile["type"], &local = profile["localhostProfile"];
  if (type.as_string() == "Localhost") {
    if (local.as_string().empty())
      out.push_back(
          required_value(path + ".localhostProfile", "must be set when " + std::string(what) + " type is Localhost"));
  } else if (!local.is_null()) {
    out.push_back(invalid_value(path + ".localhostProfile", local,
                                "can only be set when " + std::string(what) + " type is Localhost"));
  }
  if (type.as_string().empty())
    out.push_back(required_value(path + ".type", what == "seccomp" ? "type is required when seccompProfile is set"
                                                                   : "type is required when appArmorProfile is set"));
}

void check_pod_context(const Value& spec, const std::string& path, Errors& out) {
  static const re2::RE2 kSysctl("^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$");
  const Value& context = spec["securityContext"];
  const std::string where = path + ".securityContext";
  for (const char* member : {"fsGroup", "runAsUser", "runAsGroup"}) check_id(context, member, where, out);
  for (std::size_t i = 0; i < context["supplementalGroups"].size(); ++i) {
    const Value& id = context["supplementalGroups"][i];
    if (id.as_int() < 0 || id.as_int() > kIdMax)
      out.push_back(
          invalid_value(at(where, "supplementalGroups", i), id, "must be between 0 and 2147483647, inclusive"));
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < context["sysctls"].size(); ++i) {
    const Value& name = context["sysctls"][i]["name"];
    const std::string field = at(where, "sysctls", i) + ".name";
    if (name.as_string().empty())
      out.push_back(required_value(field));
    else if (name.as_string().size() > 253 || !re2::RE2::FullMatch(name.str(), kSysctl))
      out.push_back(invalid_value(field, name,
                                  "must have at most 253 characters and match regex "
                                  "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"));
    else if (!names.insert(name.str()).second)
      out.push_back(duplicate_value(field, name));
  }
  check_profile(context["seccompProfile"], where + ".seccompProfile", "seccomp", out);
  check_profile(context["appArmorProfile"], where + ".appArmorProfile", "AppArmor", out);
  const bool isolated = spec["hostUsers"].is_bool() && !spec["hostUsers"].as_bool();
  for (const char* member : {"hostNetwork", "hostPID", "hostIPC"})
    if (isolated && spec[member].as_bool())
      out.push_back(forbidden_value(path + "." + member, "when `pod.Spec.HostUsers` is false"));
  if (spec["shareProcessNamespace"].as_bool() && spec["hostPID"].as_bool())
    out.push_back(invalid_value(where + ".shareProcessNamespace", Value(true),
                                "ShareProcessNamespace and HostPID cannot both be enabled"));
}

}  // namespace

void check_container_context(const Value& container, const std::string& path, std::vector<FieldError>& out) {
  const Value& context = container["securityContext"];
  const std::string where = path + ".securityContext";
  if (!context.is_map()) return;
  for (const char* member : {"runAsUser", "runAsGroup"}) check_id(context, member, where, out);
  const Value& escalates = context["allowPrivilegeEscalation"];
  if (escalates.is_bool() && !escalates.as_bool() && context["privileged"].as_bool())
    out.push_back(
        invalid_value(where, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
  for (const Value& capability : context["capabilities"]["add"].items())
    if (escalates.is_bool() && !escalates.as_bool() &&
        (capability.as_string() == "CAP_SYS_ADMIN" || capability.as_string() == "SYS_ADMIN"))
      out.push_back(invalid_value(
          where, context, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"));
  check_profile(context["seccompProfile"], where + ".seccompProfile", "seccomp", out);
  check_profile(context["appArmorProfile"], where + ".appArmorProfile", "AppArmor", out);
}

void check_placement(const Value& spec, const std::string& path, std::vector<FieldError>& out) {
  check_labels(spec["nodeSelector"], path + ".nodeSelector", out);
  check_pod_context(spec, path, out);
  const Value& affinity = spec["affinity"];
  check_node_affinity(affinity["nodeAffinity"], path + ".affinity.nodeAffinity", out);
  check_pod_affinity(affinity["podAffinity"], path + ".affinity.podAffinity", out);
  check_pod_affinity(affinity["podAntiAffinity"], path + ".affinity.podAntiAffinity", out);
  check_tolerations(spec, path, out);
  check_spreading(spec, path, out);
  std::set<std::string_view> gates;
  for (std::size_t i = 0; i < spec["schedulingGates"].size(); ++i) {
    const Value& gate = spec["schedulingGates"][i]["name"];
    check_name(gate, at(path, "schedulingGates", i), out);
    if (!gates.insert(gate.as_string()).second) out.push_back(duplicate_value(at(path, "schedulingGates", i), gate));
  }
}

}  // namespace caisson::schema
