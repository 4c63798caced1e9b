// SPDX-License-Identifier: Apache-2.0
// The __meta_kubernetes_… labels of pods, services and their endpoints. Internal to the room's discovery. Any thread.
#pragma once
#include <map>

#include "observe/metrics/scrape/discovery.h"

namespace caisson::metrics {

// What discovery reads, taken once.
struct KubeObjects {
  explicit KubeObjects(const ObjectLister& list);
  const kube::Object* pod(const std::string& ns, const std::string& name) const;

  std::vector<kube::Object> pods, services, slices;

 private:
  std::map<kube::ObjectKey, std::size_t> pod_index_;
};

using LabelList = std::vector<Label>;

std::string meta_name(std::string_view prefix, std::string_view key);  // app.kubernetes.io/name: every other byte is _
void add_pod_labels(LabelList& out, const kube::Object& pod);
// Of one container port, or of a container without ports (null).
void add_container_labels(LabelList& out, const Value& container, const Value* port);
void add_service_labels(LabelList& out, const kube::Object& service);

struct EndpointTarget {
  LabelList labels;  // __address__ among them
  const kube::Object* pod = nullptr;
  std::string port_name;
  std::int64_t port = 0;
  const Value* container = nullptr;  // the one that declares the port
};
// One for each endpoint and port of the service's slices.
std::vector<EndpointTarget> endpoints_of(const KubeObjects& objects, const kube::Object& service);

struct PodTarget {
  LabelList labels;
  const Value* container = nullptr;
  std::string port_name;
  std::int64_t port = 0;
};
// One for each declared port, and one without for a container that declares none.
std::vector<PodTarget> ports_of(const kube::Object& pod);

}  // namespace caisson::metrics
