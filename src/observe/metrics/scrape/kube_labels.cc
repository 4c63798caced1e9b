// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/scrape/kube_labels.h"

namespace caisson::metrics {
namespace {

constexpr std::string_view kMeta = "__meta_kubernetes_";

std::string meta(std::string_view rest) {
  return std::string(kMeta) + std::string(rest);
}

void add_map(LabelList& out, const std::string& kind, const std::string& of, const Value& map) {
  for (const auto& entry : map.entries()) {
    out.push_back({meta_name(kMeta, kind + "_" + of + "_" + std::string(entry.key)), entry.value.str()});
    out.push_back({meta_name(kMeta, kind + "_" + of + "present_" + std::string(entry.key)), "true"});
  }
}

std::string address_of(const std::string& ip, std::int64_t port) {
  const std::string host = ip.find(':') == std::string::npos ? ip : "[" + ip + "]";
  return port > 0 ? host + ":" + std::to_string(port) : host;
}

const Value* container_with_port(const kube::Object& pod, std::int64_t port, const Value*& declared) {
  for (const Value& container : pod.spec()["containers"].items())
    for (const Value& p : container["ports"].items())
      if (p["containerPort"].as_int() == port) {
        declared = &p;
        return &container;
      }
  return nullptr;
}

}  // namespace

KubeObjects::KubeObjects(const ObjectLister& list)
    : pods(list(schema::kPods)), services(list(schema::kServices)), slices(list(schema::kEndpointSlices)) {
  for (std::size_t i = 0; i < pods.size(); ++i) pod_index_[pods[i].key()] = i;
}

const kube::Object* KubeObjects::pod(const std::string& ns, const std::string& name) const {
  const auto at = pod_index_.find({ns, name});
  return at == pod_index_.end() ? nullptr : &pods[at->second];
}

std::string meta_name(std::string_view prefix, std::string_view key) {
  std::string out(prefix);
  for (const char c : key) out += std::isalnum(static_cast<unsigned char>(c)) || c == '_' ? c : '_';
  return out;
}

void add_pod_labels(LabelList& out, const kube::Object& pod) {
  out.push_back({meta("namespace"), pod.ns()});
  out.push_back({meta("pod_name"), pod.name()});
  out.push_back({meta("pod_uid"), pod.uid()});
  out.push_back({meta("pod_ip"), pod.status()["podIP"].str()});
  out.push_back({meta("pod_host_ip"), pod.status()["hostIP"].str()});
  out.push_back({meta("pod_node_name"), pod.spec()["nodeName"].str()});
  out.push_back({meta("pod_phase"), pod.status()["phase"].str()});
  out.push_back({meta("pod_ready"), kube::condition_is_true(pod, "Ready") ? "true" : "false"});
  if (const auto owner = pod.controller()) {
    out.push_back({meta("pod_controller_kind"), owner->kind});
    out.push_back({meta("pod_controller_name"), owner->name});
  }
  add_map(out, "pod", "label", pod.metadata()["labels"]);
  add_map(out, "pod", "annotation", pod.metadata()["annotations"]);
}

void add_container_labels(LabelList& out, const Value& container, const Value* port) {
  out.push_back({meta("pod_container_name"), container["name"].str()});
  out.push_back({meta("pod_container_image"), container["image"].str()});
  if (!port) return;
  out.push_back({meta("pod_container_port_name"), (*port)["name"].str()});
  out.push_back({meta("pod_container_port_number"), std::to_string((*port)["containerPort"].as_int())});
  out.push_back({meta("pod_container_port_protocol"), std::string((*port)["protocol"].as_string("TCP"))});
}

void add_service_labels(LabelList& out, const kube::Object& service) {
  out.push_back({meta("namespace"), service.ns()});
  out.push_back({meta("service_name"), service.name()});
  out.push_back({meta("service_type"), std::string(service.spec()["type"].as_string("ClusterIP"))});
  out.push_back({meta("service_cluster_ip"), service.spec()["clusterIP"].str()});
  add_map(out, "service", "label", service.metadata()["labels"]);
  add_map(out, "service", "annotation", service.metadata()["annotations"]);
}

std::vector<EndpointTarget> endpoints_of(const KubeObjects& objects, const kube::Object& service) {
  std::vector<EndpointTarget> found;
  for (const kube::Object& slice : objects.slices) {
    if (slice.ns() != service.ns() || slice.label("kubernetes.io/service-name") != service.name()) continue;
    for (const Value& endpoint : slice["endpoints"].items()) {
      const Value& ref = endpoint["targetRef"];
      for (const Value& port : slice["ports"].items()) {
        EndpointTarget target;
        target.port = port["port"].as_int();
        target.port_name = port["name"].str();
        add_service_labels(target.labels, service);
        target.labels.push_back({"__address__", address_of(endpoint["addresses"][0].str(), target.port)});
        target.labels.push_back({meta("endpointslice_name"), slice.name()});
        for (const char* kind : {"endpoint", "endpointslice"})
          target.labels.push_back({meta(kind) + "_port_name", target.port_name});
        target.labels.push_back({meta("endpoint_port_protocol"), std::string(port["protocol"].as_string("TCP"))});
        target.labels.push_back(
            {meta("endpoint_ready"), endpoint["conditions"]["ready"].as_bool(true) ? "true" : "false"});
        if (ref.is_map()) {
          target.labels.push_back({meta("endpoint_address_target_kind"), ref["kind"].str()});
          target.labels.push_back({meta("endpoint_address_target_name"), ref["name"].str()});
        }
        if (ref["kind"].as_string() == "Pod") target.pod = objects.pod(slice.ns(), ref["name"].str());
        if (target.pod) {
          add_pod_labels(target.labels, *target.pod);
          const Value* declared = nullptr;
          target.container = container_with_port(*target.pod, target.port, declared);
          if (target.container) add_container_labels(target.labels, *target.container, declared);
        }
        found.push_back(std::move(target));
      }
    }
  }
  return found;
}

std::vector<PodTarget> ports_of(const kube::Object& pod) {
  std::vector<PodTarget> found;
  const std::string ip = pod.status()["podIP"].str();
  if (ip.empty()) return found;
  const auto add = [&](const Value& container, const Value* port) {
    PodTarget target;
    target.container = &container;
    if (port) {
      target.port = (*port)["containerPort"].as_int();
      target.port_name = (*port)["name"].str();
    }
    add_pod_labels(target.labels, pod);
    add_container_labels(target.labels, container, port);
    target.labels.push_back({"__address__", address_of(ip, target.port)});
    found.push_back(std::move(target));
  };
  for (const Value& container : pod.spec()["containers"].items()) {
    for (const Value& port : container["ports"].items()) add(container, &port);
    if (container["ports"].empty()) add(container, nullptr);
  }
  return found;
}

}  // namespace caisson::metrics
