// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cluster/controllers/endpoints.h"
#include "core/document/json.h"

namespace caisson::controllers {
namespace {

bool publishes_not_ready(const Object& service) {
  return service.spec()["publishNotReadyAddresses"].as_bool();
}

// A pod has an endpoint from its address to its end.
bool has_endpoint(const Object& pod) {
  return !pod.status()["podIP"].as_string().empty() && !is_finished(pod);
}

// The number behind a targetPort, which may name a container's port; 0 when the pod has none of that name.
std::int64_t target_port(const Object& pod, const Value& service_port) {
  const Value& target = service_port["targetPort"];
  if (target.is_null()) return service_port["port"].as_int();
  if (target.is_int()) return target.as_int();
  for (const char* list : {"containers", "initContainers"}) {
    for (const Value& container : pod.spec()[list].items()) {
      for (const Value& port : container["ports"].items()) {
        const bool same_protocol = port["protocol"].as_string("TCP") == service_port["protocol"].as_string("TCP");
        if (port["name"].as_string() == target.as_string() && same_protocol) return port["containerPort"].as_int();
      }
    }
  }
  return 0;
}

Value resolved_ports(const Object& service, const Object& pod) {
  Value ports = Value::list();
  for (const Value& port : service.spec()["ports"].items()) {
    const std::int64_t number = target_port(pod, port);
    if (number == 0) continue;
    Value out = Value::map();
    out.set("name", port["name"].as_string());
    out.set("port", number);
    out.set("protocol", port["protocol"].as_string("TCP"));
    if (const auto app = port["appProtocol"].as_string(); !app.empty()) out.set("appProtocol", app);
    ports.push_back(std::move(out));
  }
  return ports;
}

Value reference_to_pod(const Object& pod) {
  Value reference = Value::map();
  reference.set("kind", "Pod");
  reference.set("name", pod.name());
  reference.set("namespace", pod.ns());
  reference.set("uid", pod.uid());
  return reference;
}

// The name under which a headless service's DNS knows this pod alone.
std::string_view own_name(const Object& service, const Object& pod) {
  const bool named = pod.spec()["subdomain"].as_string() == service.name() && pod.ns() == service.ns();
  return named ? pod.spec()["hostname"].as_string() : std::string_view();
}

Value endpoint(const Object& service, const Object& pod, const std::map<std::string, std::string>& zones) {
  const bool serving = is_ready(pod) || publishes_not_ready(service), terminating = pod.deleting();
  Value conditions = Value::map();
  conditions.set("ready", publishes_not_ready(service) || (serving && !terminating));
  conditions.set("serving", is_ready(pod) || publishes_not_ready(service));
  conditions.set("terminating", terminating);
  Value out = Value::map();
  out.set("addresses", Value::list_of({pod.status()["podIP"].str()}));
  out.set("conditions", std::move(conditions));
  if (const auto name = own_name(service, pod); !name.empty()) out.set("hostname", name);
  const std::string node = pod.spec()["nodeName"].str();
  if (!node.empty()) out.set("nodeName", node);
  out.set("targetRef", reference_to_pod(pod));
  if (const auto zone = zones.find(node); zone != zones.end()) out.set("zone", zone->second);
  return out;
}

}  // namespace

std::vector<PortGroup> plan_endpoints(const Object& service, const std::vector<Object>& pods,
                                      const std::map<std::string, std::string>& zones) {
  std::map<std::string, PortGroup> groups;  // by the ports' text: one order, whatever the pods' order
  std::vector<Object> sorted = pods;
  std::sort(sorted.begin(), sorted.end(), [](const Object& a, const Object& b) { return a.name() < b.name(); });
  for (const Object& pod : sorted) {
    if (!has_endpoint(pod)) continue;
    const Value ports = resolved_ports(service, pod);
    if (ports.empty() && !service.spec()["ports"].empty()) continue;
    PortGroup& group = groups[json::write(ports)];
    group.ports = ports;
    group.endpoints.push_back(endpoint(service, pod, zones));
  }
  std::vector<PortGroup> out;
  for (auto& [text, group] : groups) out.push_back(std::move(group));
  return out;
}

Value plan_subsets(const Object& service, const std::vector<Object>& pods) {
  struct Subset {
    Value ports, ready, not_ready;
  };
  std::map<std::string, Subset> subsets;
  std::vector<Object> sorted = pods;
  std::sort(sorted.begin(), sorted.end(), [](const Object& a, const Object& b) { return a.name() < b.name(); });
  for (const Object& pod : sorted) {
    if (!has_endpoint(pod) || (pod.deleting() && !publishes_not_ready(service))) continue;
    Value ports = resolved_ports(service, pod);
    for (std::size_t i = 0; i < ports.size(); ++i) {
      if (ports[i]["name"].as_string().empty()) ports.edit(i).erase("name");
    }
    if (ports.empty() && !service.spec()["ports"].empty()) continue;
    Value address = Value::map();
    address.set("ip", pod.status()["podIP"]);
    if (const auto name = own_name(service, pod); !name.empty()) address.set("hostname", name);
    if (const auto node = pod.spec()["nodeName"].as_string(); !node.empty()) address.set("nodeName", node);
    address.set("targetRef", reference_to_pod(pod));
    Subset& subset = subsets[json::write(ports)];
    subset.ports = ports;
    (is_ready(pod) || publishes_not_ready(service) ? subset.ready : subset.not_ready).push_back(std::move(address));
  }
  Value out = Value::list();
  for (const auto& [text, subset] : subsets) {
    Value value = Value::map();
    if (!subset.ready.empty()) value.set("addresses", subset.ready);
    if (!subset.not_ready.empty()) value.set("notReadyAddresses", subset.not_ready);
    if (!subset.ports.empty()) value.set("ports", subset.ports);
    out.push_back(std::move(value));
  }
  return out;
}

}  // namespace caisson::controllers
