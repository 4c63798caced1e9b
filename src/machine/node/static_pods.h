// SPDX-License-Identifier: Apache-2.0
// Static pods: manifests in a folder of this machine, run whatever anybody deletes. Follows the kubelet's file source
// (kubelet config/file.go, config/common.go) and its mirror pods: an object NAME-NODE with the annotations
// kubernetes.io/config.{source,hash,mirror}; deleted, it is made again. Other than a kubelet this node runs the mirror
// pod itself, so it needs the API server of its own platform, which starts before it.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/kube/object.h"

namespace caisson::node {

inline constexpr std::string_view kConfigSource = "kubernetes.io/config.source";
inline constexpr std::string_view kConfigHash = "kubernetes.io/config.hash";
inline constexpr std::string_view kConfigMirror = "kubernetes.io/config.mirror";

// The mirror pod of a manifest. Errors: bad_request or invalid, in words for a log: no Pod, no name, or a reference to
// an API object (a ServiceAccount, Secret, ConfigMap, claim), which a pod that comes before the API may not have.
Result<kube::Object> mirror_pod(std::string_view manifest, const kube::Object& node);

struct StaticPodPlan {
  std::vector<kube::Object> remove;  // of a manifest that is gone or has changed
  std::vector<kube::Object> create;
};
// `wanted` by the file's name; of two that make one pod the first file's counts. `live`: this node's mirror pods.
StaticPodPlan plan_static_pods(const std::map<std::string, kube::Object>& wanted,
                               const std::vector<kube::Object>& live);

// The manifests of a folder by file name: what ends in .yaml, .yml or .json and is no hidden file. Empty when there is
// no such folder. Errors: as reading files.
Result<std::map<std::string, std::string>> read_manifests(const std::string& directory);

}  // namespace caisson::node
