// SPDX-License-Identifier: Apache-2.0
// From a container of a pod to the specification of a container on this machine. Pure but for reading nothing; any
// thread. Follows Kubernetes 1.33 (kuberuntime: security context, resources, OOM score) and the CRI.
#pragma once
#include <map>
#include <string>

#include "artifact/container/sandbox.h"
#include "artifact/container/spec.h"
#include "cluster/kube/object.h"
#include "core/base/result.h"
#include "machine/node/env.h"
#include "machine/node/images.h"

namespace caisson::node {

// What the image's USER and the security contexts say: "1000", "1000:3000", "www-data"; to be looked up in the image.
std::string user_text(const kube::Object& pod, const Value& container, const content::ImageConfig& image);
// Adds supplemental groups and fsGroup. Errors: invalid when runAsNonRoot is asked for and the user is root.
Result<container::User> effective_user(const kube::Object& pod, const Value& container, container::User from_image,
                                       std::string_view text);

// The command as it will run: command and args over ENTRYPOINT and CMD, with $(VAR) filled in.
std::vector<std::string> command_of(const Value& container, const content::ImageConfig& image, const Env& env);

struct LaunchInput {
  const kube::Object* pod = nullptr;
  const Value* container = nullptr;
  const content::ImageConfig* image = nullptr;
  Env env;
  container::User user;
  container::Sandbox sandbox;
  container::IdRange user_ids;  // of the pod's user namespace
  std::string id, root, log_path;
  std::vector<container::Mount> mounts;
  std::string pid_namespace;      // path of the one to join; empty: its own
  std::string seccomp_directory;  // of Localhost profiles
  std::int64_t memory_bytes = 0;  // the node's
};
// Errors: invalid for what can't be done (unknown capability, a seccomp profile that is not there, a quantity, a user
// that the pod's user namespace does not have).
Result<container::ContainerSpec> container_spec(const LaunchInput& input);

container::CgroupLimits limits_of(const Value& container);
// The pod's own cgroup: limits when every container has them (Guaranteed and bounded Burstable pods).
container::CgroupLimits pod_limits(const kube::Object& pod);
std::int64_t oom_score_adj(const kube::Object& pod, const Value& container, std::int64_t node_memory_bytes);

std::string hosts_file(const kube::Object& pod, const std::string& ip, const std::string& hostname);
std::string hostname_of(const kube::Object& pod);
// dnsPolicy and dnsConfig; `host` is the text of the host's /etc/resolv.conf.
std::string resolv_conf(const kube::Object& pod, const std::string& cluster_dns, const std::string& domain,
                        const std::string& host);

}  // namespace caisson::node
