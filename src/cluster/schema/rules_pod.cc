// SPDX-License-Identifier: Apache-2.0
// Pods: what refers to what inside the spec, and the few fields that may change (pkg/apis/core/validation/validation.go
// of 1.33).
#include <set>

#include "cluster/schema/checks.h"
#include "cluster/schema/rules.h"

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
    const std::string name = list[i]["name"].str();
    if (!name.empty() && !ports.insert(name).second)
      out.push_back(duplicate_value(at(path, "ports", i) + ".name", list[i]["name"]));
  }
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

}  // namespace

void check_pod_spec(const Value& spec, const std::string& path, Errors& out) {
  const auto volumes = check_volumes(spec, path, out);
  std::set<std::string> names;
  for (std::string_view list : {"initContainers", "containers"}) {
    for (std::size_t i = 0; i < spec[list].size(); ++i) {
      const Value& container = spec[list][i];
      const std::string where = at(path, list, i);
      if (!container["name"].as_string().empty() && !names.insert(container["name"].str()).second) {
        out.push_back(duplicate_value(where + ".name", container["name"]));
      }
      check_container(container, where, volumes, list == "initContainers", out);
    }
  }
  check_labels(spec["nodeSelector"], path + ".nodeSelector", out);
  const Value& host = spec["hostname"];
  if (!host.as_string().empty()) {
    for (const std::string& why : check_dns_label(host.as_string()))
      out.push_back(invalid_value(path + ".hostname", host, why));
  }
}

void check_pod_update(const Value& before, const Value& after, Errors& out) {
  Value old = before["spec"], now = after["spec"];
  for (std::string_view list : {"initContainers", "containers"}) {
    for (std::size_t i = 0; i < now[list].size() && i < old[list].size(); ++i) {
      now.edit(list).edit(i).set("image", old[list][i]["image"]);
    }
  }
  for (std::string_view member : {"activeDeadlineSeconds", "tolerations", "schedulingGates", "ephemeralContainers"}) {
    now.erase(member);
    old.erase(member);
  }
  if (old["nodeName"].is_null() && !old["schedulingGates"].empty()) {
    now.erase("nodeSelector");
    old.erase("nodeSelector");
  }
  if (before["spec"]["terminationGracePeriodSeconds"].as_int() < 0 &&
      now["terminationGracePeriodSeconds"].as_int() == 1) {
    now.set("terminationGracePeriodSeconds", old["terminationGracePeriodSeconds"]);
  }
  if (!(old == now)) {
    out.push_back(forbidden_value(
        "spec",
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"));
  }
}

}  // namespace caisson::schema
