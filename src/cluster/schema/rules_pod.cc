// SPDX-License-Identifier: Apache-2.0
// Pods: what refers to what inside the spec, and the few fields that may change (pkg/apis/core/validation/validation.go
// of 1.33).
#include <set>

#include "cluster/schema/checks.h"
#include "cluster/schema/rules.h"
#include "core/base/text.h"

namespace caisson::schema {
namespace {

using Errors = std::vector<FieldError>;

std::string at(const std::string& path, std::string_view list, std::size_t i) {
  return path + "." + std::string(list) + "[" + std::to_string(i) + "]";
}

std::set<std::string, std::less<>> check_volumes(const Value& spec, const std::string& path, Errors& out) {
  std::set<std::string, std::less<>> names;
  const Value& volumes = spec["volumes"];
  for (std::size_t i = 0; i < volumes.size(); ++i) {
    const std::string where = at(path, "volumes", i);
    if (!names.insert(volumes[i]["name"].str()).second)
      out.push_back(duplicate_value(where + ".name", volumes[i]["name"]));
    if (volumes[i].size() > 2) {
      std::string first;
      for (const auto& [key, value] : volumes[i].entries()) {
        if (key == "name") continue;
        if (first.empty())
          first = std::string(key);
        else
          out.push_back(forbidden_value(where + "." + std::string(key), "may not specify more than 1 volume type"));
      }
    }
    const Value& claim = volumes[i]["persistentVolumeClaim"];
    if (claim.is_map() && claim["claimName"].as_string().empty())
      out.push_back(required_value(where + ".persistentVolumeClaim.claimName"));
    const Value& secret = volumes[i]["secret"];
    if (secret.is_map() && secret["secretName"].as_string().empty())
      out.push_back(required_value(where + ".secret.secretName"));
    const Value& config = volumes[i]["configMap"];
    if (config.is_map() && config["name"].as_string().empty()) out.push_back(required_value(where + ".configMap.name"));
  }
  return names;
}

void check_env(const Value& container, const std::string& path, Errors& out) {
  const Value& env = container["env"];
  for (std::size_t i = 0; i < env.size(); ++i) {
    const Value& from = env[i]["valueFrom"];
    if (!from.is_map()) continue;
    const std::string where = at(path, "env", i) + ".valueFrom";
    if (!env[i]["value"].as_string().empty())
      out.push_back(invalid_value(where, "", "may not be specified when `value` is not empty"));
    if (from.empty())
      out.push_back(invalid_value(
          where, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"));
    if (from.size() > 1)
      out.push_back(invalid_value(where, "", "may not have more than one field specified at a time"));
  }
}

void check_probe(const Value& container, std::string_view name, const std::string& path, Errors& out) {
  const Value& probe = container[name];
  if (!probe.is_map()) return;
  const std::string where = path + "." + std::string(name);
  int handlers = 0;
  for (std::string_view handler : {"exec", "httpGet", "tcpSocket", "grpc"}) {
    if (!probe[handler].is_map()) continue;
    if (++handlers > 1)
      out.push_back(forbidden_value(where + "." + std::string(handler), "may not specify more than 1 handler type"));
  }
  if (handlers == 0) out.push_back(required_value(where, "must specify a handler type"));
  if (name != "readinessProbe" && probe["successThreshold"].as_int(1) != 1) {
    out.push_back(invalid_value(where + ".successThreshold", probe["successThreshold"], "must be 1"));
  }
}

void check_container(const Value& container, const std::string& path, const std::set<std::string, std::less<>>& volumes,
                     bool init, Errors& out) {
  const Value& mounts = container["volumeMounts"];
  std::set<std::string> paths, ports;
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    const std::string where = at(path, "volumeMounts", i);
    if (!mounts[i]["name"].as_string().empty() && !volumes.count(mounts[i]["name"].as_string())) {
      FieldError error{FieldError::Type::not_found, where + ".name", mounts[i]["name"], ""};
      out.push_back(std::move(error));
    }
    if (!paths.insert(mounts[i]["mountPath"].str()).second) {
      out.push_back(invalid_value(where + ".mountPath", mounts[i]["mountPath"], "must be unique"));
    }
  }
  const Value& list = container["ports"];
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string name = list[i]["name"].str(), where = at(path, "ports", i);
    if (!name.empty() && !ports.insert(name).second) out.push_back(duplicate_value(where + ".name", list[i]["name"]));
    if (list[i]["containerPort"].as_int() == 0) out.push_back(required_value(where + ".containerPort"));
  }
  const std::string_view image = container["image"].as_string();
  if (!image.empty() && trim(image) != image)
    out.push_back(invalid_value(path + ".image", container["image"], "must not have leading or trailing whitespace"));
  check_container_resources(container["resources"], path + ".resources", out);
  check_container_context(container, path, out);
  check_env(container, path, out);
  const bool sidecar = init && container["restartPolicy"].as_string() == "Always";
  for (std::string_view probe : {"livenessProbe", "readinessProbe", "startupProbe"}) {
    if (init && !sidecar && container[probe].is_map()) {
      out.push_back(forbidden_value(path + "." + std::string(probe),
                                    "may not be set for init containers without restartPolicy=Always"));
    } else {
      check_probe(container, probe, path, out);
    }
  }
}

// One host port of one protocol and address can be had once in a Pod.
void check_host_ports(const Value& spec, const std::string& path, Errors& out) {
  std::set<std::string> taken;
  for (std::size_t c = 0; c < spec["containers"].size(); ++c) {
    const Value& ports = spec["containers"][c]["ports"];
    for (std::size_t i = 0; i < ports.size(); ++i) {
      const std::int64_t port = ports[i]["hostPort"].as_int();
      if (port == 0) continue;
      const std::string where = at(at(path, "containers", c), "ports", i) + ".hostPort";
      const std::string key = ports[i]["protocol"].str() + "/" + ports[i]["hostIP"].str() + "/" + std::to_string(port);
      if (!taken.insert(key).second) out.push_back(duplicate_value(where, Value(key)));
      if (spec["hostNetwork"].as_bool() && port != ports[i]["containerPort"].as_int())
        out.push_back(
            invalid_value(where, ports[i]["hostPort"], "must match `containerPort` when `hostNetwork` is true"));
    }
  }
}

void check_pod_values(const Value& spec, const std::string& path, Errors& out) {
  constexpr std::int64_t kDeadlineMax = 2147483647;
  if (const Value& deadline = spec["activeDeadlineSeconds"];
      !deadline.is_null() && (deadline.as_int() < 1 || deadline.as_int() > kDeadlineMax))
    out.push_back(
        invalid_value(path + ".activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"));
  for (const char* member : {"nodeName", "serviceAccountName", "priorityClassName", "runtimeClassName"})
    if (!spec[member].as_string().empty())
      for (const std::string& why : check_dns_subdomain(spec[member].as_string()))
        out.push_back(invalid_value(path + "." + member, spec[member], why));
  const std::string_view os = spec["os"]["name"].as_string();
  if (spec["os"].is_map() && os.empty())
    out.push_back(required_value(path + ".os.name", "cannot be empty"));
  else if (spec["os"].is_map() && os != "linux" && os != "windows")
    out.push_back(unsupported_value(path + ".os", spec["os"]["name"], {"linux", "windows"}));
  if (spec["dnsPolicy"].as_string() != "None") return;
  if (spec["dnsConfig"].is_null())
    out.push_back(required_value(path + ".dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None"));
  else if (spec["dnsConfig"]["nameservers"].empty())
    out.push_back(required_value(path + ".dnsConfig.nameservers",
                                 "must provide at least one DNS nameserver when `dnsPolicy` is None"));
}

// Tolerations may be added; of those there only the time may change.
bool keeps_tolerations(const Value& before, const Value& after) {
  for (Value old : before.items()) {
    old.erase("tolerationSeconds");
    bool kept = false;
    for (Value now : after.items()) {
      now.erase("tolerationSeconds");
      kept = kept || now == old;
    }
    if (!kept) return false;
  }
  return true;
}

}  // namespace

void check_pod_spec(const Value& spec, const std::string& path, Errors& out) {
  const auto volumes = check_volumes(spec, path, out);
  std::set<std::string> names;
  for (std::string_view list : {"containers", "initContainers"}) {
    for (std::size_t i = 0; i < spec[list].size(); ++i) {
      const Value& container = spec[list][i];
      const std::string where = at(path, list, i);
      if (!names.insert(container["name"].str()).second) {
        out.push_back(duplicate_value(where + ".name", container["name"]));
      }
      check_container(container, where, volumes, list == "initContainers", out);
    }
  }
  check_host_ports(spec, path, out);
  check_placement(spec, path, out);
  check_pod_values(spec, path, out);
  const Value& host = spec["hostname"];
  if (!host.as_string().empty()) {
    if (host.as_string().find('.') != std::string_view::npos)
      out.push_back(invalid_value(path + ".hostname", host, "must not contain dots"));
    else
      for (const std::string& why : check_dns_label(host.as_string()))
        out.push_back(invalid_value(path + ".hostname", host, why));
  }
}

void check_pod_update(const Value& before, const Value& after, std::vector<FieldError>& out) {
  Value old = before["spec"], now = after["spec"];
  for (std::string_view list : {"containers", "initContainers"}) {
    if (now[list].size() == old[list].size()) continue;
    out.push_back(forbidden_value("spec." + std::string(list), "pod updates may not add or remove containers"));
    return;
  }
  const Value &deadline = now["activeDeadlineSeconds"], &previous = old["activeDeadlineSeconds"];
  if (!previous.is_null() && !deadline.is_null() && deadline.as_int() > previous.as_int())
    out.push_back(
        invalid_value("spec.activeDeadlineSeconds", deadline, "must be less than or equal to previous value"));
  else if (!previous.is_null() && deadline.is_null())
    out.push_back(
        invalid_value("spec.activeDeadlineSeconds", deadline, "must not update from a positive integer to nil value"));
  if (!keeps_tolerations(old["tolerations"], now["tolerations"]))
    out.push_back(
        forbidden_value("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"));
  for (std::string_view list : {"initContainers", "containers"})
    for (std::size_t i = 0; i < now[list].size(); ++i) now.edit(list).edit(i).set("image", old[list][i]["image"]);
  for (std::string_view member : {"activeDeadlineSeconds", "tolerations", "schedulingGates", "ephemeralContainers"}) {
    now.erase(member);
    old.erase(member);
  }
  if (old["nodeName"].is_null() && !before["spec"]["schedulingGates"].empty()) {
    for (std::string_view member : {"nodeSelector", "affinity"}) {
      now.erase(member);
      old.erase(member);
    }
  }
  if (before["spec"]["terminationGracePeriodSeconds"].as_int() < 0 &&
      now["terminationGracePeriodSeconds"].as_int() == 1)
    now.set("terminationGracePeriodSeconds", old["terminationGracePeriodSeconds"]);
  if (old == now) return;
  // The reference adds a diff of the two Go values; ours names the fields that differ.
  std::string changed;
  for (const auto& [key, value] : now.entries())
    if (!(value == old[key])) changed += " " + std::string(key);
  for (const auto& [key, value] : old.entries())
    if (!now.contains(key)) changed += " " + std::string(key);
  out.push_back(forbidden_value(
      "spec",
      "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
      "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
      "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n  core.PodSpec{" +
          changed + " }\n"));
}

}  // namespace caisson::schema
