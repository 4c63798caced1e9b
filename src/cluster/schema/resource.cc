// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/resource.h"

namespace caisson::schema {

// The address space of the Kubernetes API: the core group under /api, every other under /apis.
std::string Resource::path(std::string_view ns, std::string_view name) const {
  std::string out = group.empty() ? "/api/" + version : "/apis/" + group + "/" + version;
  if (namespaced && !ns.empty()) out.append("/namespaces/").append(ns);
  out.append("/").append(plural);
  if (!name.empty()) out.append("/").append(name);
  return out;
}

#define FIRST __attribute__((init_priority(200)))
FIRST const Resource kNamespaces{"", "v1", "Namespace", "namespaces", false};
FIRST const Resource kNodes{"", "v1", "Node", "nodes", false};
FIRST const Resource kPods{"", "v1", "Pod", "pods"};
FIRST const Resource kServices{"", "v1", "Service", "services"};
FIRST const Resource kEndpoints{"", "v1", "Endpoints", "endpoints"};
FIRST const Resource kConfigMaps{"", "v1", "ConfigMap", "configmaps"};
FIRST const Resource kSecrets{"", "v1", "Secret", "secrets"};
FIRST const Resource kServiceAccounts{"", "v1", "ServiceAccount", "serviceaccounts"};
FIRST const Resource kEvents{"", "v1", "Event", "events"};
FIRST const Resource kPersistentVolumeClaims{"", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"};
FIRST const Resource kDeployments{"apps", "v1", "Deployment", "deployments"};
FIRST const Resource kReplicaSets{"apps", "v1", "ReplicaSet", "replicasets"};
FIRST const Resource kStatefulSets{"apps", "v1", "StatefulSet", "statefulsets"};
FIRST const Resource kDaemonSets{"apps", "v1", "DaemonSet", "daemonsets"};
FIRST const Resource kJobs{"batch", "v1", "Job", "jobs"};
FIRST const Resource kEndpointSlices{"discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"};
FIRST const Resource kIngresses{"networking.k8s.io", "v1", "Ingress", "ingresses"};
FIRST const Resource kLeases{"coordination.k8s.io", "v1", "Lease", "leases"};
FIRST const Resource kRoles{"rbac.authorization.k8s.io", "v1", "Role", "roles"};
FIRST const Resource kRoleBindings{"rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"};
FIRST const Resource kClusterRoles{"rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false};
FIRST const Resource kClusterRoleBindings{"rbac.authorization.k8s.io", "v1", "ClusterRoleBinding",
                                          "clusterrolebindings", false};
FIRST const Resource kTokenReviews{"authentication.k8s.io", "v1", "TokenReview", "tokenreviews", false};
FIRST const Resource kSubjectAccessReviews{"authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews",
                                           false};
FIRST const Resource kTasks{"tekton.dev", "v1", "Task", "tasks"};
FIRST const Resource kTaskRuns{"tekton.dev", "v1", "TaskRun", "taskruns"};
FIRST const Resource kPipelines{"tekton.dev", "v1", "Pipeline", "pipelines"};
FIRST const Resource kPipelineRuns{"tekton.dev", "v1", "PipelineRun", "pipelineruns"};
FIRST const Resource kEventListeners{"triggers.tekton.dev", "v1beta1", "EventListener", "eventlisteners"};
FIRST const Resource kTriggerBindings{"triggers.tekton.dev", "v1beta1", "TriggerBinding", "triggerbindings"};
FIRST const Resource kTriggerTemplates{"triggers.tekton.dev", "v1beta1", "TriggerTemplate", "triggertemplates"};
FIRST const Resource kApplications{"argoproj.io", "v1alpha1", "Application", "applications"};
FIRST const Resource kAppProjects{"argoproj.io", "v1alpha1", "AppProject", "appprojects"};
FIRST const Resource kRepositories{"caisson.dev", "v1alpha1", "Repository", "repositories"};
FIRST const Resource kPushEvents{"caisson.dev", "v1alpha1", "PushEvent", "pushevents"};
FIRST const Resource kBuilds{"caisson.dev", "v1alpha1", "Build", "builds"};
FIRST const Resource kSpans{"caisson.dev", "v1alpha1", "Span", "spans", false};
#undef FIRST

}  // namespace caisson::schema
