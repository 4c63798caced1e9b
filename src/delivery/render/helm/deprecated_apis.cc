// SPDX-License-Identifier: Apache-2.0
// Source: k8s.io/api v0.37.0 (what Helm 3.22 is built with), APILifecycleDeprecated, …Removed and …Replacement of the
// kinds that client-go registers; the wording is k8s.io/apiserver's.
#include "delivery/render/helm/deprecated_apis.h"

namespace caisson::render::helm {
namespace {

// Minors of Kubernetes 1. `removed`: 0 when that is not planned. `replacement`: the apiVersion to use instead, if any;
// the kind is the same unless another is named. The list of a kind shares its fate, and is in the table where its
// replacement has an unlikely name.
struct Deprecated {
  std::string_view api_version, kind;
  int deprecated, removed;
  std::string_view replacement, replacement_kind = {};
};
constexpr Deprecated kDeprecated[] = {
    {"admissionregistration.k8s.io/v1alpha1", "MutatingAdmissionPolicy", 35, 38, ""},
    {"admissionregistration.k8s.io/v1alpha1", "MutatingAdmissionPolicyBinding", 35, 38, ""},
    {"admissionregistration.k8s.io/v1alpha1", "ValidatingAdmissionPolicy", 29, 32, ""},
    {"admissionregistration.k8s.io/v1alpha1", "ValidatingAdmissionPolicyBinding", 29, 32, ""},
    {"admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicy", 37, 40, "admissionregistration.k8s.io/v1"},
    {"admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicyBinding", 37, 40,
     "admissionregistration.k8s.io/v1"},
    {"admissionregistration.k8s.io/v1beta1", "MutatingWebhookConfiguration", 16, 22, "admissionregistration.k8s.io/v1"},
    {"admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicy", 31, 34, ""},
    {"admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicyBinding", 31, 34, ""},
    {"admissionregistration.k8s.io/v1beta1", "ValidatingWebhookConfiguration", 16, 22,
     "admissionregistration.k8s.io/v1"},
    {"apps/v1beta1", "ControllerRevision", 8, 16, "apps/v1"},
    {"apps/v1beta1", "Deployment", 8, 16, "apps/v1"},
    {"apps/v1beta1", "DeploymentRollback", 8, 16, "apps/v1"},
    {"apps/v1beta1", "Scale", 8, 16, "autoscaling/v1"},
    {"apps/v1beta1", "StatefulSet", 8, 16, "apps/v1"},
    {"apps/v1beta2", "ControllerRevision", 9, 16, "apps/v1"},
    {"apps/v1beta2", "DaemonSet", 9, 16, "apps/v1"},
    {"apps/v1beta2", "Deployment", 9, 16, "apps/v1"},
    {"apps/v1beta2", "ReplicaSet", 9, 16, "apps/v1"},
    {"apps/v1beta2", "Scale", 9, 16, "autoscaling/v1"},
    {"apps/v1beta2", "StatefulSet", 9, 16, "apps/v1"},
    {"authentication.k8s.io/v1alpha1", "SelfSubjectReview", 29, 32, ""},
    {"authentication.k8s.io/v1beta1", "SelfSubjectReview", 30, 33, ""},
    {"authentication.k8s.io/v1beta1", "TokenReview", 19, 22, "authentication.k8s.io/v1"},
    {"authorization.k8s.io/v1beta1", "LocalSubjectAccessReview", 19, 22, "authorization.k8s.io/v1"},
    {"authorization.k8s.io/v1beta1", "SelfSubjectAccessReview", 19, 22, "authorization.k8s.io/v1"},
    {"authorization.k8s.io/v1beta1", "SelfSubjectRulesReview", 19, 22, "authorization.k8s.io/v1"},
    {"authorization.k8s.io/v1beta1", "SubjectAccessReview", 19, 22, "authorization.k8s.io/v1"},
    {"batch/v1beta1", "CronJob", 21, 25, "batch/v1"},
    {"certificates.k8s.io/v1alpha1", "ClusterTrustBundle", 34, 37, ""},
    {"certificates.k8s.io/v1beta1", "CertificateSigningRequest", 19, 22, "certificates.k8s.io/v1"},
    {"certificates.k8s.io/v1beta1", "ClusterTrustBundle", 37, 40, "certificates.k8s.io/v1"},
    {"certificates.k8s.io/v1beta1", "PodCertificateRequest", 37, 40, "certificates.k8s.io/v1"},
    {"coordination.k8s.io/v1alpha2", "LeaseCandidate", 35, 38, ""},
    {"coordination.k8s.io/v1beta1", "Lease", 19, 22, "coordination.k8s.io/v1"},
    {"coordination.k8s.io/v1beta1", "LeaseCandidate", 36, 39, ""},
    {"discovery.k8s.io/v1beta1", "EndpointSlice", 21, 25, "discovery.k8s.io/v1"},
    {"discovery.k8s.io/v1beta1", "EndpointSliceList", 21, 25, "discovery.k8s.io/v1", "EndpointSlice"},
    {"events.k8s.io/v1beta1", "Event", 22, 25, ""},
    {"extensions/v1beta1", "DaemonSet", 8, 16, "apps/v1"},
    {"extensions/v1beta1", "Deployment", 8, 16, "apps/v1"},
    {"extensions/v1beta1", "DeploymentRollback", 8, 16, ""},
    {"extensions/v1beta1", "Ingress", 14, 22, "networking.k8s.io/v1"},
    {"extensions/v1beta1", "NetworkPolicy", 9, 16, "networking.k8s.io/v1"},
    {"extensions/v1beta1", "ReplicaSet", 8, 16, "apps/v1"},
    {"extensions/v1beta1", "Scale", 2, 16, ""},
    {"flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema", 23, 26, "flowcontrol.apiserver.k8s.io/v1beta3"},
    {"flowcontrol.apiserver.k8s.io/v1beta1", "PriorityLevelConfiguration", 23, 26,
     "flowcontrol.apiserver.k8s.io/v1beta3"},
    {"flowcontrol.apiserver.k8s.io/v1beta2", "FlowSchema", 26, 29, "flowcontrol.apiserver.k8s.io/v1beta3"},
    {"flowcontrol.apiserver.k8s.io/v1beta2", "PriorityLevelConfiguration", 26, 29,
     "flowcontrol.apiserver.k8s.io/v1beta3"},
    {"flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema", 29, 32, "flowcontrol.apiserver.k8s.io/v1"},
    {"flowcontrol.apiserver.k8s.io/v1beta3", "PriorityLevelConfiguration", 29, 32, "flowcontrol.apiserver.k8s.io/v1"},
    {"lifecycle.k8s.io/v1alpha1", "Eviction", 40, 43, ""},
    {"lifecycle.k8s.io/v1alpha1", "EvictionRequest", 40, 43, ""},
    {"networking.k8s.io/v1beta1", "IPAddress", 34, 37, ""},
    {"networking.k8s.io/v1beta1", "Ingress", 19, 22, "networking.k8s.io/v1"},
    {"networking.k8s.io/v1beta1", "IngressClass", 19, 22, "networking.k8s.io/v1", "IngressClassList"},
    {"networking.k8s.io/v1beta1", "IngressClassList", 19, 22, "networking.k8s.io/v1"},
    {"networking.k8s.io/v1beta1", "ServiceCIDR", 34, 37, ""},
    {"node.k8s.io/v1beta1", "RuntimeClass", 22, 25, ""},
    {"policy/v1beta1", "Eviction", 22, 25, ""},
    {"policy/v1beta1", "PodDisruptionBudget", 21, 25, "policy/v1"},
    {"rbac.authorization.k8s.io/v1beta1", "ClusterRole", 17, 22, "rbac.authorization.k8s.io/v1"},
    {"rbac.authorization.k8s.io/v1beta1", "ClusterRoleBinding", 17, 22, "rbac.authorization.k8s.io/v1"},
    {"rbac.authorization.k8s.io/v1beta1", "Role", 17, 22, "rbac.authorization.k8s.io/v1"},
    {"rbac.authorization.k8s.io/v1beta1", "RoleBinding", 17, 22, "rbac.authorization.k8s.io/v1"},
    {"resource.k8s.io/v1alpha3", "DeviceTaintRule", 36, 39, ""},
    {"resource.k8s.io/v1alpha3", "ResourcePoolStatusRequest", 39, 42, ""},
    {"resource.k8s.io/v1beta1", "DeviceClass", 35, 38, ""},
    {"resource.k8s.io/v1beta1", "ResourceClaim", 35, 38, ""},
    {"resource.k8s.io/v1beta1", "ResourceClaimTemplate", 35, 38, ""},
    {"resource.k8s.io/v1beta1", "ResourceSlice", 35, 38, ""},
    {"resource.k8s.io/v1beta2", "DeviceClass", 36, 39, ""},
    {"resource.k8s.io/v1beta2", "DeviceTaintRule", 39, 42, ""},
    {"resource.k8s.io/v1beta2", "ResourceClaim", 36, 39, ""},
    {"resource.k8s.io/v1beta2", "ResourceClaimTemplate", 36, 39, ""},
    {"resource.k8s.io/v1beta2", "ResourceSlice", 36, 39, ""},
    {"scheduling.k8s.io/v1beta1", "PodGroup", 40, 43, ""},
    {"scheduling.k8s.io/v1beta1", "PriorityClass", 14, 22, "scheduling.k8s.io/v1"},
    {"scheduling.k8s.io/v1beta1", "Workload", 40, 43, ""},
    {"storage.k8s.io/v1alpha1", "CSIStorageCapacity", 21, 24, "storage.k8s.io/v1beta1"},
    {"storage.k8s.io/v1alpha1", "VolumeAttachment", 21, 24, "storage.k8s.io/v1"},
    {"storage.k8s.io/v1alpha1", "VolumeAttributesClass", 32, 35, "storage.k8s.io/v1"},
    {"storage.k8s.io/v1beta1", "CSIDriver", 19, 22, "storage.k8s.io/v1"},
    {"storage.k8s.io/v1beta1", "CSINode", 17, 22, "storage.k8s.io/v1"},
    {"storage.k8s.io/v1beta1", "CSINodeList", 17, 22, "storage.k8s.io/v1", "CSINode"},
    {"storage.k8s.io/v1beta1", "CSIStorageCapacity", 24, 27, "storage.k8s.io/v1"},
    {"storage.k8s.io/v1beta1", "StorageClass", 19, 22, "storage.k8s.io/v1"},
    {"storage.k8s.io/v1beta1", "VolumeAttachment", 19, 22, "storage.k8s.io/v1"},
    {"storage.k8s.io/v1beta1", "VolumeAttributesClass", 34, 37, "storage.k8s.io/v1"},
    {"storagemigration.k8s.io/v1beta1", "StorageVersionMigration", 37, 40, "storagemigration.k8s.io/v1"},
    {"v1", "ComponentStatus", 19, 0, ""},
    {"v1", "Endpoints", 33, 0, "discovery.k8s.io/v1", "EndpointSlice"},
};

const Deprecated* find_deprecated(std::string_view api_version, std::string_view kind) {
  for (const Deprecated& one : kDeprecated) {
    if (one.api_version == api_version && one.kind == kind) return &one;
  }
  return nullptr;
}

}  // namespace

std::string deprecation(std::string_view api_version, std::string_view kind, int minor) {
  constexpr std::string_view kList = "List";
  const Deprecated* found = find_deprecated(api_version, kind);
  const bool is_list = found == nullptr && kind.ends_with(kList);
  if (is_list) found = find_deprecated(api_version, kind.substr(0, kind.size() - kList.size()));
  if (found == nullptr || found->deprecated > minor) return "";
  std::string out = std::string(api_version) + " " + std::string(kind) + " is deprecated in v1." +
                    std::to_string(found->deprecated) + "+";
  if (found->removed > 0) out += ", unavailable in v1." + std::to_string(found->removed) + "+";
  if (found->replacement.empty()) return out;
  std::string other(found->replacement_kind.empty() ? kind : found->replacement_kind);
  if (is_list && !found->replacement_kind.empty()) other += kList;
  return out + "; use " + std::string(found->replacement) + " " + other;
}

}  // namespace caisson::render::helm
