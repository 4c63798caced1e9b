// SPDX-License-Identifier: Apache-2.0
#include "machine/node/env.h"

#include <algorithm>

#include "cluster/kube/quantity.h"
#include "core/base/encoding.h"
#include "core/base/text.h"
#include "machine/node/plan.h"

namespace caisson::node {
namespace {

const std::string* lookup(const Env& env, std::string_view name) {
  for (const auto& [key, value] : env) {
    if (key == name) return &value;
  }
  return nullptr;
}

void set(Env& env, std::string name, std::string value) {
  for (auto& [key, old] : env) {
    if (key != name) continue;
    old = std::move(value);
    return;
  }
  env.emplace_back(std::move(name), std::move(value));
}

bool is_env_name(std::string_view name) {
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-' || c == '.'; });
}

// `data` of a ConfigMap as it is, of a Secret decoded.
Result<std::string> data_value(const kube::Object& object, std::string_view key, bool secret) {
  const Value* value = object["data"].find(key);
  if (!value) return Error{ErrorCode::not_found, ""};
  if (!secret) return value->str();
  return unbase64(value->as_string());
}

// A reference to a ConfigMap or a Secret, found; nothing when it is absent and optional.
Result<std::optional<kube::Object>> referenced(const Value& reference, bool secret, const Surroundings& around) {
  const std::string name = reference["name"].str();
  auto found = secret ? around.secret(name) : around.config_map(name);
  if (found || reference["optional"].as_bool()) return found;
  return Error{ErrorCode::not_found, std::string(secret ? "secret" : "configmap") + " \"" + name + "\" not found"};
}

// Nothing: the variable is left out.
Result<std::optional<std::string>> value_from(const kube::Object& pod, const Value& container, const Value& from,
                                              const Surroundings& around) {
  using Maybe = std::optional<std::string>;
  if (const Value& field = from["fieldRef"]; !field.is_null()) {
    return Maybe(TRY(field_value(pod, field["fieldPath"].as_string(), around)));
  }
  if (const Value& resource = from["resourceFieldRef"]; !resource.is_null()) {
    const std::string name = resource["containerName"].str();
    const Value* of = name.empty() ? &container : find_container(pod, name);
    if (!of) return Error{ErrorCode::invalid, "resourceFieldRef: no container \"" + name + "\""};
    return Maybe(TRY(resource_value(*of, resource["resource"].as_string(), resource["divisor"].scalar_text(), around)));
  }
  const bool secret = from.contains("secretKeyRef");
  const Value& reference = from[secret ? "secretKeyRef" : "configMapKeyRef"];
  if (reference.is_null()) return Maybe();
  const auto object = TRY(referenced(reference, secret, around));
  if (!object) return Maybe();
  const auto value = data_value(*object, reference["key"].as_string(), secret);
  if (value.ok()) return Maybe(*value);
  if (value.error().code == ErrorCode::not_found && reference["optional"].as_bool()) return Maybe();
  if (value.error().code != ErrorCode::not_found) return value.error();
  return Error{ErrorCode::not_found, "couldn't find key " + reference["key"].str() + " in " +
                                         (secret ? "Secret " : "ConfigMap ") + pod.ns() + "/" +
                                         reference["name"].str()};
}

Result<void> add_env_from(Env& env, const Value& source, const Surroundings& around) {
  const bool secret = source.contains("secretRef");
  const auto object = TRY(referenced(source[secret ? "secretRef" : "configMapRef"], secret, around));
  if (!object) return {};
  const std::string prefix = source["prefix"].str();
  for (const auto& entry : (*object)["data"].entries()) {
    const std::string name = prefix + std::string(entry.key);
    if (!is_env_name(name)) continue;  // as the kubelet: such a key is left out
    set(env, name, TRY(data_value(*object, entry.key, secret)));
  }
  return {};
}

std::string map_lines(const Value& map) {
  std::vector<std::string> lines;
  for (const auto& entry : map.entries()) {
    std::string quoted = "\"";
    for (const char c : entry.value.as_string()) {
      if (c == '"' || c == '\\') quoted += '\\';
      if (c == '\n') {
        quoted += "\\n";
      } else {
        quoted += c;
      }
    }
    lines.push_back(std::string(entry.key) + "=" + quoted + "\"");
  }
  std::sort(lines.begin(), lines.end());
  return join(lines, "\n");
}

std::int64_t divide_up(std::int64_t value, std::int64_t by) {
  return by <= 0 ? value : (value + by - 1) / by;
}

std::string upper_name(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

std::string expand(std::string_view text, const Env& env) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    const std::size_t close = text[i + 1] == '(' ? text.find(')', i) : text.npos;
    if (close == text.npos) {
      out += text[i];
      continue;
    }
    const std::string_view name = text.substr(i + 2, close - i - 2);
    const std::string* value = lookup(env, name);
    out += value ? *value : std::string(text.substr(i, close - i + 1));
    i = close;
  }
  return out;
}

Result<Env> container_env(const kube::Object& pod, const Value& container, const std::vector<std::string>& image_env,
                          const Surroundings& around) {
  Env env;
  for (const auto& line : image_env) {
    const std::size_t equals = line.find('=');
    set(env, line.substr(0, equals), equals == std::string::npos ? "" : line.substr(equals + 1));
  }
  for (auto& [name, value] : service_env(around.services, pod.ns(), pod.spec()["enableServiceLinks"].as_bool(true))) {
    set(env, name, value);
  }
  Env own;  // only what Kubernetes sets may be referred to, not the image's variables
  for (const auto& [name, value] :
       service_env(around.services, pod.ns(), pod.spec()["enableServiceLinks"].as_bool(true)))
    set(own, name, value);
  for (const auto& source : container["envFrom"].items()) TRY(add_env_from(own, source, around));
  for (const auto& variable : container["env"].items()) {
    const std::string name = variable["name"].str();
    if (!variable.contains("valueFrom")) {
      set(own, name, expand(variable["value"].as_string(), own));
      continue;
    }
    const auto value = TRY(value_from(pod, container, variable["valueFrom"], around));
    if (value) set(own, name, *value);
  }
  for (auto& [name, value] : own) set(env, name, value);
  return env;
}

Env service_env(const std::vector<kube::Object>& services, const std::string& ns, bool links) {
  Env env;
  for (const auto& service : services) {
    const bool master = service.ns() == "default" && service.name() == "kubernetes";
    if (!master && (!links || service.ns() != ns)) continue;
    const std::string ip = service.spec()["clusterIP"].str();
    if (ip.empty() || ip == "None" || service.spec()["ports"].empty()) continue;
    const std::string name = upper_name(service.name());
    const std::string first_port = service.spec()["ports"][0]["port"].scalar_text();
    set(env, name + "_SERVICE_HOST", ip);
    set(env, name + "_SERVICE_PORT", first_port);
    for (const auto& port : service.spec()["ports"].items()) {
      if (!port["name"].as_string().empty())
        set(env, name + "_SERVICE_PORT_" + upper_name(port["name"].as_string()), port["port"].scalar_text());
    }
    bool first = true;
    for (const auto& port : service.spec()["ports"].items()) {
      const std::string protocol = to_lower(port["protocol"].as_string("TCP")), number = port["port"].scalar_text();
      const std::string url = protocol + "://" + ip + ":" + number;
      if (first) set(env, name + "_PORT", url);
      first = false;
      const std::string head = name + "_PORT_" + number + "_" + upper_name(protocol);
      set(env, head, url);
      set(env, head + "_PROTO", protocol);
      set(env, head + "_PORT", number);
      set(env, head + "_ADDR", ip);
    }
  }
  return env;
}

Result<std::string> field_value(const kube::Object& pod, std::string_view path, const Surroundings& around) {
  for (const char* map : {"labels", "annotations"}) {
    const std::string head = "metadata." + std::string(map);
    if (path == head) return map_lines(pod.metadata()[map]);
    if (path.starts_with(head + "['") && path.ends_with("']")) {
      return pod.metadata()[map][path.substr(head.size() + 2, path.size() - head.size() - 4)].str();
    }
  }
  if (path == "metadata.name") return pod.name();
  if (path == "metadata.namespace") return pod.ns();
  if (path == "metadata.uid") return pod.uid();
  if (path == "spec.nodeName") return around.node_name;
  if (path == "spec.serviceAccountName") return pod.spec()["serviceAccountName"].str();
  if (path == "status.hostIP" || path == "status.hostIPs") return around.host_ip;
  if (path == "status.podIP" || path == "status.podIPs") return around.pod_ip;
  return Error{ErrorCode::invalid, "unsupported fieldPath: " + std::string(path)};
}

Result<std::string> resource_value(const Value& container, std::string_view resource, std::string_view divisor,
                                   const Surroundings& around) {
  const std::size_t dot = resource.find('.');
  const std::string_view kind = resource.substr(0, dot), name = dot == resource.npos ? "" : resource.substr(dot + 1);
  if ((kind != "limits" && kind != "requests") || (name != "cpu" && name != "memory" && name != "ephemeral-storage")) {
    return Error{ErrorCode::invalid, "unsupported container resource: " + std::string(resource)};
  }
  std::string text = container["resources"][kind][name].scalar_text();
  const bool unset = text.empty() || text == "0";
  const bool zero_divisor = divisor.empty() || divisor == "0";
  if (name == "cpu") {
    std::int64_t milli = unset && kind == "limits" ? around.cpu_milli : 0;
    if (!unset) milli = TRY(kube::parse_quantity_milli(text));
    const std::int64_t by = zero_divisor ? 1000 : TRY(kube::parse_quantity_milli(divisor));
    return std::to_string(divide_up(milli, by));
  }
  std::int64_t bytes = unset && kind == "limits" && name == "memory" ? around.memory_bytes : 0;
  if (!unset) bytes = TRY(kube::parse_quantity(text));
  const std::int64_t by = zero_divisor ? 1 : TRY(kube::parse_quantity(divisor));
  return std::to_string(divide_up(bytes, by));
}

bool uses(const kube::Object& pod, bool secret, std::string_view name) {
  for (const auto& volume : pod.spec()["volumes"].items()) {
    if (secret ? volume["secret"]["secretName"].as_string() == name : volume["configMap"]["name"].as_string() == name)
      return true;
    for (const auto& source : volume["projected"]["sources"].items()) {
      if (source[secret ? "secret" : "configMap"]["name"].as_string() == name) return true;
    }
  }
  for (const Value* container : all_containers(pod)) {
    for (const auto& source : (*container)["envFrom"].items()) {
      if (source[secret ? "secretRef" : "configMapRef"]["name"].as_string() == name) return true;
    }
    for (const auto& variable : (*container)["env"].items()) {
      if (variable["valueFrom"][secret ? "secretKeyRef" : "configMapKeyRef"]["name"].as_string() == name) return true;
    }
  }
  return false;
}

}  // namespace caisson::node
