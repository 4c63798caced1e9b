// SPDX-License-Identifier: Apache-2.0
// What a container finds in its environment, and the downward API. Pure functions of objects; any thread.
// Follows Kubernetes 1.33: pkg/kubelet/kubelet_pods.go, third_party/forked/golang/expansion.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/kube/object.h"
#include "core/base/result.h"

namespace caisson::node {

using Env = std::vector<std::pair<std::string, std::string>>;

// "$(NAME)" is replaced by the value of NAME when there is one and left alone otherwise; "$$" is "$".
std::string expand(std::string_view text, const Env& env);

// What the objects around a pod say. Secrets and ConfigMaps are of the pod's namespace.
struct Surroundings {
  std::function<std::optional<kube::Object>(const std::string&name)> config_map, secret;
  std::vector<kube::Object> services;  // of the pod's namespace, and default/kubernetes
  std::string pod_ip, host_ip, node_name;
  std::int64_t cpu_milli = 0, memory_bytes = 0;  // the node's, for limits that are not set
};

// The image's variables, then those of services, envFrom and env, later ones winning. Errors: not_found for a
// ConfigMap, Secret or key that is not optional ("secret \"db\" not found": the container waits with
// CreateContainerConfigError); invalid for a bad field path.
Result<Env> container_env(const kube::Object& pod, const Value& container, const std::vector<std::string>& image_env,
                          const Surroundings& around);
// The variables of Docker's links, which Kubernetes still sets: NAME_SERVICE_HOST, NAME_SERVICE_PORT, NAME_PORT …
Env service_env(const std::vector<kube::Object>& services, const std::string& ns, bool links);

// fieldRef and resourceFieldRef. Errors: invalid, which names the path.
Result<std::string> field_value(const kube::Object& pod, std::string_view path, const Surroundings& around);
Result<std::string> resource_value(const Value& container, std::string_view resource, std::string_view divisor,
                                   const Surroundings& around);

// Whether the pod reads the ConfigMap or Secret of this name (volumes, env, envFrom).
bool uses(const kube::Object& pod, bool secret, std::string_view name);

}  // namespace caisson::node
