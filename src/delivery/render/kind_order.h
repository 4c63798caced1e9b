// SPDX-License-Identifier: Apache-2.0
// The order in which kinds are made: what others need comes first. Helm's (pkg/release/util/kind_sorter.go, v3.22); Argo
// CD has the same, but for the priority classes at its head.
#pragma once
#include <string_view>

namespace caisson::render {

inline constexpr std::string_view kInstallOrder[] = {"PriorityClass",
                                              "Namespace",
                                              "NetworkPolicy",
                                              "ResourceQuota",
                                              "LimitRange",
                                              "PodSecurityPolicy",
                                              "PodDisruptionBudget",
                                              "ServiceAccount",
                                              "Secret",
                                              "SecretList",
                                              "ConfigMap",
                                              "StorageClass",
                                              "PersistentVolume",
                                              "PersistentVolumeClaim",
                                              "CustomResourceDefinition",
                                              "ClusterRole",
                                              "ClusterRoleList",
                                              "ClusterRoleBinding",
                                              "ClusterRoleBindingList",
                                              "Role",
                                              "RoleList",
                                              "RoleBinding",
                                              "RoleBindingList",
                                              "Service",
                                              "DaemonSet",
                                              "Pod",
                                              "ReplicationController",
                                              "ReplicaSet",
                                              "Deployment",
                                              "HorizontalPodAutoscaler",
                                              "StatefulSet",
                                              "Job",
                                              "CronJob",
                                              "IngressClass",
                                              "Ingress",
                                              "APIService"};

}  // namespace caisson::render
