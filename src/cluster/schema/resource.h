// SPDX-License-Identifier: Apache-2.0
// Resource: how the API names a kind. What Kubernetes calls a REST mapping: group, version, kind, plural and scope in
// one.
#pragma once
#include <string>
#include <string_view>

namespace caisson::schema {

struct Resource {
  std::string group, version, kind, plural;
  bool namespaced = true;

  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  std::string group_resource() const { return group.empty() ? plural : plural + "." + group; }  // "deployments.apps"
  // "/api/v1/namespaces/x/pods/y", "/apis/apps/v1/deployments"; empty name: the collection.
  std::string path(std::string_view ns, std::string_view name = {}) const;
  bool operator==(const Resource&) const = default;
};

// The kinds that rooms of this program act on; all others are found by Client::resource_for. Made before any other
// global, and in one file: as inline constants each of two hundred files would ask at start whether they are there.
extern const Resource kNamespaces, kNodes, kPods, kServices, kEndpoints, kConfigMaps, kSecrets, kServiceAccounts,
    kEvents, kPersistentVolumeClaims, kDeployments, kReplicaSets, kStatefulSets, kDaemonSets, kJobs, kEndpointSlices,
    kIngresses, kLeases, kRoles, kRoleBindings, kClusterRoles, kClusterRoleBindings, kTokenReviews,
    kSubjectAccessReviews, kTasks, kTaskRuns, kPipelines, kPipelineRuns, kEventListeners, kTriggerBindings,
    kTriggerTemplates, kApplications, kAppProjects, kRepositories, kPushEvents, kBuilds, kSpans;

}  // namespace caisson::schema
