// SPDX-License-Identifier: Apache-2.0
// Resource: how the API names a kind. What Kubernetes calls a REST mapping: group, version, kind, plural and scope in one.
#pragma once
#include <string>
#include <string_view>

namespace caisson::schema {

struct Resource {
  std::string group, version, kind, plural;
  bool namespaced = true;

  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  std::string group_resource() const { return group.empty() ? plural : plural + "." + group; }   // "deployments.apps"
  // "/api/v1/namespaces/x/pods/y", "/apis/apps/v1/deployments"; empty name: the collection.
  std::string path(std::string_view ns, std::string_view name = {}) const;
  bool operator==(const Resource&) const = default;
};

// The kinds that rooms of this program act on; all others are found by Client::resource_for.
inline const Resource kNamespaces{"", "v1", "Namespace", "namespaces", false};
inline const Resource kNodes{"", "v1", "Node", "nodes", false};
inline const Resource kPods{"", "v1", "Pod", "pods"};
inline const Resource kServices{"", "v1", "Service", "services"};
inline const Resource kEndpoints{"", "v1", "Endpoints", "endpoints"};
inline const Resource kConfigMaps{"", "v1", "ConfigMap", "configmaps"};
inline const Resource kSecrets{"", "v1", "Secret", "secrets"};
inline const Resource kServiceAccounts{"", "v1", "ServiceAccount", "serviceaccounts"};
inline const Resource kEvents{"", "v1", "Event", "events"};
inline const Resource kPersistentVolumeClaims{"", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"};
inline const Resource kDeployments{"apps", "v1", "Deployment", "deployments"};
inline const Resource kReplicaSets{"apps", "v1", "ReplicaSet", "replicasets"};
inline const Resource kStatefulSets{"apps", "v1", "StatefulSet", "statefulsets"};
inline const Resource kDaemonSets{"apps", "v1", "DaemonSet", "daemonsets"};
inline const Resource kJobs{"batch", "v1", "Job", "jobs"};
inline const Resource kEndpointSlices{"discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"};
inline const Resource kIngresses{"networking.k8s.io", "v1", "Ingress", "ingresses"};
inline const Resource kLeases{"coordination.k8s.io", "v1", "Lease", "leases"};
inline const Resource kRoles{"rbac.authorization.k8s.io", "v1", "Role", "roles"};
inline const Resource kRoleBindings{"rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"};
inline const Resource kClusterRoles{"rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false};
inline const Resource kClusterRoleBindings{"rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false};
inline const Resource kTokenReviews{"authentication.k8s.io", "v1", "TokenReview", "tokenreviews", false};
inline const Resource kSubjectAccessReviews{"authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", false};
inline const Resource kTasks{"tekton.dev", "v1", "Task", "tasks"};
inline const Resource kTaskRuns{"tekton.dev", "v1", "TaskRun", "taskruns"};
inline const Resource kPipelines{"tekton.dev", "v1", "Pipeline", "pipelines"};
inline const Resource kPipelineRuns{"tekton.dev", "v1", "PipelineRun", "pipelineruns"};
inline const Resource kEventListeners{"triggers.tekton.dev", "v1beta1", "EventListener", "eventlisteners"};
inline const Resource kTriggerBindings{"triggers.tekton.dev", "v1beta1", "TriggerBinding", "triggerbindings"};
inline const Resource kTriggerTemplates{"triggers.tekton.dev", "v1beta1", "TriggerTemplate", "triggertemplates"};
inline const Resource kApplications{"argoproj.io", "v1alpha1", "Application", "applications"};
inline const Resource kAppProjects{"argoproj.io", "v1alpha1", "AppProject", "appprojects"};
inline const Resource kRepositories{"caisson.dev", "v1alpha1", "Repository", "repositories"};
inline const Resource kPushEvents{"caisson.dev", "v1alpha1", "PushEvent", "pushevents"};
inline const Resource kBuilds{"caisson.dev", "v1alpha1", "Build", "builds"};
inline const Resource kSpans{"caisson.dev", "v1alpha1", "Span", "spans", false};

}  // namespace caisson::schema
