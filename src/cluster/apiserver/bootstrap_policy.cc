// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/bootstrap_policy.h"

namespace caisson::apiserver {

// Short form: `to` are the aggregate-to-… labels, `from` the aggregated label; rules are [groups, resources, verbs] or
// [paths, verbs].
const std::string_view kBootstrapRoles = R"yaml(
- name: cluster-admin
  rules:
  - {apiGroups: ["*"], resources: ["*"], verbs: ["*"]}
  - {nonResourceURLs: ["*"], verbs: ["*"]}
- {name: admin, from: [admin]}
- {name: edit, from: [edit], to: [admin]}
- {name: view, from: [view], to: [edit]}
- name: system:aggregate-to-admin
  to: [admin]
  rules:
  - {apiGroups: [authorization.k8s.io], resources: [localsubjectaccessreviews], verbs: [create]}
  - {apiGroups: [rbac.authorization.k8s.io], resources: [rolebindings, roles], verbs: [create, delete, deletecollection, get, list, patch, update, watch]}
- name: system:aggregate-to-edit
  to: [edit]
  rules:
  - {apiGroups: [""], resources: [pods/attach, pods/exec, pods/portforward, pods/proxy, secrets, services/proxy], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [serviceaccounts], verbs: [impersonate]}
  - {apiGroups: [""], resources: [pods, pods/attach, pods/exec, pods/portforward, pods/proxy], verbs: [create, delete, deletecollection, patch, update]}
  - {apiGroups: [""], resources: [pods/eviction], verbs: [create]}
  - {apiGroups: [""], resources: [configmaps, events, persistentvolumeclaims, replicationcontrollers, replicationcontrollers/scale, secrets, serviceaccounts, services, services/proxy], verbs: [create, delete, deletecollection, patch, update]}
  - {apiGroups: [""], resources: [serviceaccounts/token], verbs: [create]}
  - {apiGroups: [apps], resources: [daemonsets, deployments, deployments/rollback, deployments/scale, replicasets, replicasets/scale, statefulsets, statefulsets/scale], verbs: [create, delete, deletecollection, patch, update]}
  - {apiGroups: [autoscaling], resources: [horizontalpodautoscalers], verbs: [create, delete, deletecollection, patch, update]}
  - {apiGroups: [batch], resources: [cronjobs, jobs], verbs: [create, delete, deletecollection, patch, update]}
  - {apiGroups: [policy], resources: [poddisruptionbudgets], verbs: [create, delete, deletecollection, patch, update]}
  - {apiGroups: [networking.k8s.io], resources: [ingresses, networkpolicies], verbs: [create, delete, deletecollection, patch, update]}
  - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create, delete, deletecollection, get, list, patch, update, watch]}
- name: system:aggregate-to-view
  to: [view]
  rules:
  - {apiGroups: [""], resources: [configmaps, endpoints, persistentvolumeclaims, persistentvolumeclaims/status, pods, replicationcontrollers, replicationcontrollers/scale, serviceaccounts, services, services/status], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [bindings, events, limitranges, namespaces/status, pods/log, pods/status, replicationcontrollers/status, resourcequotas, resourcequotas/status], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [namespaces], verbs: [get, list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch]}
  - {apiGroups: [apps], resources: [controllerrevisions, daemonsets, daemonsets/status, deployments, deployments/scale, deployments/status, replicasets, replicasets/scale, replicasets/status, statefulsets, statefulsets/scale, statefulsets/status], verbs: [get, list, watch]}
  - {apiGroups: [autoscaling], resources: [horizontalpodautoscalers, horizontalpodautoscalers/status], verbs: [get, list, watch]}
  - {apiGroups: [batch], resources: [cronjobs, cronjobs/status, jobs, jobs/status], verbs: [get, list, watch]}
  - {apiGroups: [policy], resources: [poddisruptionbudgets, poddisruptionbudgets/status], verbs: [get, list, watch]}
  - {apiGroups: [networking.k8s.io], resources: [ingresses, ingresses/status, networkpolicies], verbs: [get, list, watch]}
- name: system:basic-user
  rules:
  - {apiGroups: [authorization.k8s.io], resources: [selfsubjectaccessreviews, selfsubjectrulesreviews], verbs: [create]}
  - {apiGroups: [authentication.k8s.io], resources: [selfsubjectreviews], verbs: [create]}
- name: system:discovery
  rules:
  - {nonResourceURLs: [/api, /api/*, /apis, /apis/*, /healthz, /livez, /openapi, /openapi/*, /readyz, /version, /version/], verbs: [get]}
- name: system:public-info-viewer
  rules:
  - {nonResourceURLs: [/healthz, /livez, /readyz, /version, /version/], verbs: [get]}
- name: system:service-account-issuer-discovery
  rules:
  - {nonResourceURLs: [/.well-known/openid-configuration, /openid/v1/jwks], verbs: [get]}
- name: system:auth-delegator
  rules:
  - {apiGroups: [authentication.k8s.io], resources: [tokenreviews], verbs: [create]}
  - {apiGroups: [authorization.k8s.io], resources: [subjectaccessreviews], verbs: [create]}
- name: system:aggregated-metrics-reader
  to: [admin, edit, view]
  rules:
  - {apiGroups: [metrics.k8s.io], resources: [nodes, pods], verbs: [get, list, watch]}
- name: caisson:aggregate-to-edit
  to: [edit]
  rules:
  - {apiGroups: [argoproj.io], resources: ["*"], verbs: [create, delete, deletecollection, patch, update]}
  - {apiGroups: [tekton.dev, triggers.tekton.dev], resources: ["*"], verbs: [create, delete, deletecollection, patch, update]}
  - {apiGroups: [traefik.io], resources: ["*"], verbs: [create, delete, deletecollection, patch, update]}
- name: caisson:aggregate-to-view
  to: [view]
  rules:
  - {apiGroups: [argoproj.io, tekton.dev, traefik.io, triggers.tekton.dev], resources: ["*"], verbs: [get, list, watch]}
  - {apiGroups: [caisson.dev], resources: [repositories, pushevents, builds, builds/log], verbs: [get, list, watch]}
- name: caisson:developer
  from: [edit]
  fromDeveloper: true
- name: caisson:aggregate-to-developer
  developer: true
  rules:
  - {apiGroups: [caisson.dev], resources: [repositories], verbs: [get, list, watch, update, patch, create]}
  - {apiGroups: [caisson.dev], resources: [images], verbs: [get, update]}
  - {apiGroups: [caisson.dev], resources: [builds], verbs: [create, get, list, watch]}
- name: caisson:span-reader
  rules:
  - {apiGroups: [caisson.dev], resources: [spans], verbs: [get, list, watch]}
- name: caisson:agents
  rules:
  - {apiGroups: [""], resources: [pods, services, endpoints, configmaps, secrets, namespaces, serviceaccounts, persistentvolumeclaims, persistentvolumes, nodes], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [nodes, nodes/status], verbs: [create, update, patch, delete]}
  - {apiGroups: [""], resources: [pods], verbs: [delete, create, update, patch]}
  - {apiGroups: [""], resources: [pods/status, pods/eviction, services/status, persistentvolumeclaims/status], verbs: [get, create, update, patch]}
  - {apiGroups: [""], resources: [serviceaccounts/token], verbs: [create]}
  - {apiGroups: ["", events.k8s.io], resources: [events], verbs: [get, list, watch, create, update, patch]}
  - {apiGroups: [apps], resources: [deployments, replicasets, statefulsets, daemonsets, controllerrevisions], verbs: [get, list, watch]}
  - {apiGroups: [batch], resources: [jobs], verbs: [get, list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch]}
  - {apiGroups: [networking.k8s.io], resources: [ingresses, ingressclasses, networkpolicies], verbs: [get, list, watch]}
  - {apiGroups: [networking.k8s.io], resources: [ingresses/status], verbs: [get, update, patch]}
  - {apiGroups: [metallb.io, traefik.io], resources: ["*"], verbs: [get, list, watch]}
  - {apiGroups: [metallb.io], resources: [ipaddresspools/status], verbs: [get, update, patch]}
  - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, list, watch, create, update, patch, delete]}
  - {apiGroups: [node.k8s.io, storage.k8s.io], resources: ["*"], verbs: [get, list, watch]}
  - {apiGroups: [caisson.dev], resources: [builds, builds/status, spans, images, repositories], verbs: [get, list, watch, create, update, patch]}
  - {apiGroups: [authentication.k8s.io], resources: [tokenreviews], verbs: [create]}
  - {apiGroups: [authorization.k8s.io], resources: [subjectaccessreviews], verbs: [create]}
)yaml";

const std::string_view kBootstrapBindings = R"yaml(
- {name: cluster-admin, role: cluster-admin, groups: ["system:masters"]}
- {name: "system:basic-user", role: "system:basic-user", groups: ["system:authenticated"]}
- {name: "system:discovery", role: "system:discovery", groups: ["system:authenticated"]}
- {name: "system:public-info-viewer", role: "system:public-info-viewer", groups: ["system:authenticated", "system:unauthenticated"]}
- {name: "system:service-account-issuer-discovery", role: "system:service-account-issuer-discovery", groups: ["system:serviceaccounts"]}
- {name: "caisson:agents", role: "caisson:agents", groups: ["caisson:agents"]}
- {name: "caisson:span-reader", role: "caisson:span-reader", groups: ["system:authenticated"]}
)yaml";

}  // namespace caisson::apiserver
