// SPDX-License-Identifier: Apache-2.0
// Names that several controllers share. Source: Kubernetes' well-known labels, annotations and taints (v1.33).
#pragma once
#include <string>
#include <string_view>

#include "cluster/kube/client.h"

namespace caisson::controllers {

inline constexpr std::string_view kManager = "kube-controller-manager";
inline constexpr std::string_view kSchedulerName = "kube-scheduler";

inline constexpr std::string_view kPodTemplateHash = "pod-template-hash";
inline constexpr std::string_view kControllerRevisionHash = "controller-revision-hash";
inline constexpr std::string_view kRevision = "deployment.kubernetes.io/revision";
inline constexpr std::string_view kRevisionHistory = "deployment.kubernetes.io/revision-history";
inline constexpr std::string_view kDesiredReplicas = "deployment.kubernetes.io/desired-replicas";
inline constexpr std::string_view kMaxReplicas = "deployment.kubernetes.io/max-replicas";
inline constexpr std::string_view kDeletionCost = "controller.kubernetes.io/pod-deletion-cost";

inline constexpr std::string_view kTaintNotReady = "node.kubernetes.io/not-ready";
inline constexpr std::string_view kTaintUnreachable = "node.kubernetes.io/unreachable";
inline constexpr std::string_view kTaintUnschedulable = "node.kubernetes.io/unschedulable";
inline constexpr std::string_view kHostname = "kubernetes.io/hostname";

// How this room's writes are signed, as upstream's are.
inline kube::WriteOptions by_manager(std::string_view subresource = "") {
  kube::WriteOptions options;
  options.field_manager = std::string(kManager);
  options.subresource = std::string(subresource);
  return options;
}

}  // namespace caisson::controllers
