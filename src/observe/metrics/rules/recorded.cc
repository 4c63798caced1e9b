// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/rules/recorded.h"

#include "core/document/yaml.h"

namespace caisson::metrics {
namespace {

constexpr std::string_view kRules = R"yaml(
groups:
- name: k8s.rules.containers
  interval: 30s
  rules:
  - record: node_namespace_pod_container:container_cpu_usage_seconds_total:sum_rate5m
    expr: |
      sum by (node, namespace, pod, container) (
        rate(container_cpu_usage_seconds_total{job="kubelet", metrics_path="/metrics/cadvisor", image!=""}[5m]))
  - record: node_namespace_pod_container:container_cpu_usage_seconds_total:sum_irate
    expr: |
      sum by (node, namespace, pod, container) (
        irate(container_cpu_usage_seconds_total{job="kubelet", metrics_path="/metrics/cadvisor", image!=""}[5m]))
  - record: node_namespace_pod_container:container_memory_working_set_bytes
    expr: container_memory_working_set_bytes{job="kubelet", metrics_path="/metrics/cadvisor", image!=""}
  - record: node_namespace_pod_container:container_memory_rss
    expr: container_memory_rss{job="kubelet", metrics_path="/metrics/cadvisor", image!=""}
  - record: node_namespace_pod_container:container_memory_cache
    expr: container_memory_cache{job="kubelet", metrics_path="/metrics/cadvisor", image!=""}
  - record: node_namespace_pod_container:container_memory_swap
    expr: container_memory_swap{job="kubelet", metrics_path="/metrics/cadvisor", image!=""}
- name: k8s.rules.requests_and_limits
  interval: 30s
  rules:
  - record: cluster:namespace:pod_cpu:active:kube_pod_container_resource_requests
    expr: |
      kube_pod_container_resource_requests{job="kube-state-metrics", resource="cpu"}
        * on (namespace, pod) group_left () (kube_pod_status_phase{phase=~"Pending|Running"} == 1)
  - record: namespace_cpu:kube_pod_container_resource_requests:sum
    expr: sum by (namespace) (cluster:namespace:pod_cpu:active:kube_pod_container_resource_requests)
  - record: cluster:namespace:pod_memory:active:kube_pod_container_resource_requests
    expr: |
      kube_pod_container_resource_requests{job="kube-state-metrics", resource="memory"}
        * on (namespace, pod) group_left () (kube_pod_status_phase{phase=~"Pending|Running"} == 1)
  - record: namespace_memory:kube_pod_container_resource_requests:sum
    expr: sum by (namespace) (cluster:namespace:pod_memory:active:kube_pod_container_resource_requests)
  - record: cluster:namespace:pod_cpu:active:kube_pod_container_resource_limits
    expr: |
      kube_pod_container_resource_limits{job="kube-state-metrics", resource="cpu"}
        * on (namespace, pod) group_left () (kube_pod_status_phase{phase=~"Pending|Running"} == 1)
  - record: namespace_cpu:kube_pod_container_resource_limits:sum
    expr: sum by (namespace) (cluster:namespace:pod_cpu:active:kube_pod_container_resource_limits)
  - record: cluster:namespace:pod_memory:active:kube_pod_container_resource_limits
    expr: |
      kube_pod_container_resource_limits{job="kube-state-metrics", resource="memory"}
        * on (namespace, pod) group_left () (kube_pod_status_phase{phase=~"Pending|Running"} == 1)
  - record: namespace_memory:kube_pod_container_resource_limits:sum
    expr: sum by (namespace) (cluster:namespace:pod_memory:active:kube_pod_container_resource_limits)
- name: k8s.rules.pod_owner
  interval: 30s
  rules:
  - record: namespace_workload_pod:kube_pod_owner:relabel
    labels: {workload_type: deployment}
    expr: |
      max by (namespace, workload, pod) (
        label_replace(kube_pod_owner{job="kube-state-metrics", owner_kind="ReplicaSet"},
          "replicaset", "$1", "owner_name", "(.*)")
        * on (namespace, replicaset) group_left (workload)
        label_replace(kube_replicaset_owner{job="kube-state-metrics", owner_kind="Deployment"},
          "workload", "$1", "owner_name", "(.*)"))
  - record: namespace_workload_pod:kube_pod_owner:relabel
    labels: {workload_type: replicaset}
    expr: |
      max by (namespace, workload, pod) (
        label_replace(kube_pod_owner{job="kube-state-metrics", owner_kind="ReplicaSet"},
          "workload", "$1", "owner_name", "(.*)")
        and on (namespace, workload)
        label_replace(kube_replicaset_owner{job="kube-state-metrics", owner_kind=""}, "workload", "$1", "replicaset", "(.*)"))
  - record: namespace_workload_pod:kube_pod_owner:relabel
    labels: {workload_type: daemonset}
    expr: |
      max by (namespace, workload, pod) (
        label_replace(kube_pod_owner{job="kube-state-metrics", owner_kind="DaemonSet"},
          "workload", "$1", "owner_name", "(.*)"))
  - record: namespace_workload_pod:kube_pod_owner:relabel
    labels: {workload_type: statefulset}
    expr: |
      max by (namespace, workload, pod) (
        label_replace(kube_pod_owner{job="kube-state-metrics", owner_kind="StatefulSet"},
          "workload", "$1", "owner_name", "(.*)"))
  - record: namespace_workload_pod:kube_pod_owner:relabel
    labels: {workload_type: job}
    expr: |
      max by (namespace, workload, pod) (
        label_replace(kube_pod_owner{job="kube-state-metrics", owner_kind="Job"},
          "workload", "$1", "owner_name", "(.*)")
        and on (namespace, workload)
        label_replace(kube_job_owner{job="kube-state-metrics", owner_kind=~"Pod|"}, "workload", "$1", "job_name", "(.*)"))
  - record: namespace_workload_pod:kube_pod_owner:relabel
    expr: |
      max by (namespace, workload, workload_type, pod) (
        label_replace(kube_pod_owner{job="kube-state-metrics", owner_kind="Job"},
          "job_name", "$1", "owner_name", "(.*)")
        * on (namespace, job_name) group_left (workload, workload_type)
        label_replace(label_replace(kube_job_owner{job="kube-state-metrics", owner_kind!~"Pod|"},
          "workload", "$1", "owner_name", "(.*)"), "workload_type", "$1", "owner_kind", "(.*)"))
  - record: namespace_workload_pod:kube_pod_owner:relabel
    labels: {workload_type: barepod}
    expr: |
      max by (namespace, workload, pod) (
        label_replace(kube_pod_owner{job="kube-state-metrics", owner_kind="", owner_name=""}, "workload", "$1", "pod", "(.+)"))
  - record: namespace_workload_pod:kube_pod_owner:relabel
    labels: {workload_type: staticpod}
    expr: |
      max by (namespace, workload, pod) (
        label_replace(kube_pod_owner{job="kube-state-metrics", owner_kind="Node"}, "workload", "$1", "pod", "(.+)"))
- name: node.rules
  interval: 30s
  rules:
  - record: 'node_namespace_pod:kube_pod_info:'
    expr: max by (node, namespace, pod) (kube_pod_info{job="kube-state-metrics", node!=""})
  - record: node:node_num_cpu:sum
    expr: count by (node) (node_cpu_seconds_total{job="node-exporter", mode="idle"})
  - record: ':node_memory_MemAvailable_bytes:sum'
    expr: sum(node_memory_MemAvailable_bytes{job="node-exporter"})
  - record: node:node_cpu_utilization:ratio_rate5m
    expr: |
      avg by (node) (sum without (mode) (
        rate(node_cpu_seconds_total{job="node-exporter", mode!~"idle|iowait|steal"}[5m])))
  - record: cluster:node_cpu:ratio_rate5m
    expr: avg(node:node_cpu_utilization:ratio_rate5m)
- name: node-exporter.rules
  interval: 30s
  rules:
  - record: instance:node_num_cpu:sum
    expr: count without (cpu, mode) (node_cpu_seconds_total{job="node-exporter", mode="idle"})
  - record: instance:node_cpu_utilisation:rate5m
    expr: 1 - avg without (cpu, mode) (rate(node_cpu_seconds_total{job="node-exporter", mode="idle"}[5m]))
  - record: instance:node_load1_per_cpu:ratio
    expr: node_load1{job="node-exporter"} / instance:node_num_cpu:sum{job="node-exporter"}
  - record: instance:node_memory_utilisation:ratio
    expr: |
      1 - node_memory_MemAvailable_bytes{job="node-exporter"} / node_memory_MemTotal_bytes{job="node-exporter"}
  - record: instance:node_vmstat_pgmajfault:rate5m
    expr: rate(node_vmstat_pgmajfault{job="node-exporter"}[5m])
  - record: instance_device:node_disk_io_time_seconds:rate5m
    expr: rate(node_disk_io_time_seconds_total{job="node-exporter"}[5m])
  - record: instance_device:node_disk_io_time_weighted_seconds:rate5m
    expr: rate(node_disk_io_time_weighted_seconds_total{job="node-exporter"}[5m])
  - record: instance:node_network_receive_bytes_excluding_lo:rate5m
    expr: sum without (device) (rate(node_network_receive_bytes_total{job="node-exporter", device!="lo"}[5m]))
  - record: instance:node_network_receive_drop_excluding_lo:rate5m
    expr: sum without (device) (rate(node_network_receive_drop_total{job="node-exporter", device!="lo"}[5m]))
  - record: instance:node_network_transmit_bytes_excluding_lo:rate5m
    expr: sum without (device) (rate(node_network_transmit_bytes_total{job="node-exporter", device!="lo"}[5m]))
  - record: instance:node_network_transmit_drop_excluding_lo:rate5m
    expr: sum without (device) (rate(node_network_transmit_drop_total{job="node-exporter", device!="lo"}[5m]))
- name: kube-apiserver.rules
  interval: 30s
  rules:
  - record: code_resource:apiserver_request_total:rate5m
    labels: {verb: read}
    expr: sum by (code, resource) (rate(apiserver_request_total{job="apiserver", verb=~"LIST|GET"}[5m]))
  - record: code_resource:apiserver_request_total:rate5m
    labels: {verb: write}
    expr: sum by (code, resource) (rate(apiserver_request_total{job="apiserver", verb=~"POST|PUT|PATCH|DELETE"}[5m]))
)yaml";
constexpr std::int64_t kDefaultIntervalMs = 30'000;

}  // namespace

Result<std::vector<RuleGroup>> recording_rules() {
  const Value document = TRY(yaml::read(kRules, {.name = "recording rules"}));
  return parse_rule_groups(document, "recorded", kDefaultIntervalMs);
}

}  // namespace caisson::metrics
