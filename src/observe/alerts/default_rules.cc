// SPDX-License-Identifier: Apache-2.0
#include "core/document/yaml.h"
#include "observe/alerts/server.h"

namespace caisson::alerts {
namespace {

constexpr std::string_view kRules = R"yaml(
groups:
- name: caisson.pods
  rules:
  - alert: KubePodCrashLooping
    expr: max_over_time(kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff"}[5m]) >= 1
    for: 5m
    labels: {severity: warning}
    annotations:
      summary: 'Container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} keeps crashing.'
      description: 'See why it ends: caisson logs -n {{ $labels.namespace }} {{ $labels.pod }} -c {{ $labels.container }} --previous'
  - alert: KubeContainerOOMKilled
    expr: |
      (kube_pod_container_status_restarts_total - kube_pod_container_status_restarts_total offset 10m >= 1)
      and on (namespace, pod, container) kube_pod_container_status_last_terminated_reason{reason="OOMKilled"} == 1
    labels: {severity: warning}
    annotations:
      summary: 'Container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} was killed for its memory.'
  - alert: KubePodImagePullFailing
    expr: max_over_time(kube_pod_container_status_waiting_reason{reason=~"ErrImagePull|ImagePullBackOff|InvalidImageName"}[2m]) >= 1
    for: 2m
    labels: {severity: warning}
    annotations:
      summary: 'The image of container {{ $labels.container }} of pod {{ $labels.namespace }}/{{ $labels.pod }} can not be pulled.'
  - alert: KubePodNotReady
    expr: |
      sum by (namespace, pod) (kube_pod_status_phase{phase=~"Pending|Unknown|Failed"}
        * on (namespace, pod) group_left (owner_kind) topk by (namespace, pod) (1, kube_pod_owner{owner_kind!="Job"})) > 0
    for: 15m
    labels: {severity: warning}
    annotations:
      summary: 'Pod {{ $labels.namespace }}/{{ $labels.pod }} has not become ready for 15 minutes.'
- name: caisson.workloads
  rules:
  - alert: KubeDeploymentRolloutStuck
    expr: kube_deployment_status_condition{condition="Progressing", status="false"} != 0
    for: 5m
    labels: {severity: warning}
    annotations:
      summary: 'The rollout of deployment {{ $labels.namespace }}/{{ $labels.deployment }} does not go on.'
  - alert: KubeDeploymentReplicasMismatch
    expr: kube_deployment_spec_replicas > kube_deployment_status_replicas_available
    for: 15m
    labels: {severity: warning}
    annotations:
      summary: 'Deployment {{ $labels.namespace }}/{{ $labels.deployment }} has had fewer replicas than it wants for 15 minutes.'
  - alert: KubeStatefulSetReplicasMismatch
    expr: kube_statefulset_status_replicas_ready != kube_statefulset_replicas
    for: 15m
    labels: {severity: warning}
    annotations:
      summary: 'StatefulSet {{ $labels.namespace }}/{{ $labels.statefulset }} has not had the replicas it wants for 15 minutes.'
  - alert: KubeDaemonSetNotScheduled
    expr: kube_daemonset_status_desired_number_scheduled - kube_daemonset_status_current_number_scheduled > 0
    for: 10m
    labels: {severity: warning}
    annotations:
      summary: '{{ $value }} pods of DaemonSet {{ $labels.namespace }}/{{ $labels.daemonset }} are not scheduled.'
  - alert: KubeJobFailed
    expr: kube_job_failed{condition="true"} > 0
    labels: {severity: warning}
    annotations:
      summary: 'Job {{ $labels.namespace }}/{{ $labels.job_name }} failed.'
- name: caisson.delivery
  rules:
  - alert: ApplicationSyncFailed
    expr: caisson_application_operation{phase=~"Failed|Error"} == 1
    for: 1m
    labels: {severity: warning}
    annotations:
      summary: 'The last sync of Application {{ $labels.name }} failed.'
  - alert: ApplicationDegraded
    expr: argocd_app_info{health_status="Degraded"} == 1
    for: 5m
    labels: {severity: warning}
    annotations:
      summary: 'Application {{ $labels.name }} is degraded.'
  - alert: PipelineRunFailed
    expr: caisson_pipelinerun_status{status="False"} == 1 unless on (namespace, pipelinerun) caisson_pipelinerun_status{status="False"} offset 10m
    labels: {severity: warning}
    annotations:
      summary: 'PipelineRun {{ $labels.namespace }}/{{ $labels.pipelinerun }} failed: {{ $labels.reason }}.'
- name: caisson.security
  rules:
  - alert: CertificateNearExpiry
    expr: x509_cert_not_after - time() < 14 * 86400
    for: 5m
    labels: {severity: warning}
    annotations:
      summary: 'The certificate of Secret {{ $labels.secret_namespace }}/{{ $labels.secret_name }} ends in {{ $value | humanizeDuration }}.'
  - alert: PolicyViolations
    expr: sum by (namespace) (policy_report_summary{status=~"fail|error"}) > 0
    for: 15m
    labels: {severity: warning}
    annotations:
      summary: 'Objects in namespace {{ $labels.namespace }} violate policies: {{ $value }} results.'
- name: caisson.node
  rules:
  - alert: KubeNodeNotReady
    expr: kube_node_status_condition{condition="Ready", status="true"} == 0
    for: 5m
    labels: {severity: critical}
    annotations:
      summary: 'Node {{ $labels.node }} is not ready.'
  - alert: KubeNodePressure
    expr: kube_node_status_condition{condition=~"MemoryPressure|DiskPressure|PIDPressure", status="true"} == 1
    for: 5m
    labels: {severity: warning}
    annotations:
      summary: 'Node {{ $labels.node }} has {{ $labels.condition }}.'
  - alert: NodeMemoryHigh
    expr: 1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes > 0.9
    for: 15m
    labels: {severity: warning}
    annotations:
      summary: 'Node {{ $labels.node }} uses {{ $value | humanizePercentage }} of its memory.'
  - alert: NodeCPUHigh
    expr: 1 - avg by (instance, node) (rate(node_cpu_seconds_total{mode="idle"}[5m])) > 0.9
    for: 15m
    labels: {severity: info}
    annotations:
      summary: 'Node {{ $labels.node }} uses {{ $value | humanizePercentage }} of its processors.'
  - alert: NodeFilesystemAlmostFull
    expr: node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs"} / node_filesystem_size_bytes < 0.05 and node_filesystem_readonly == 0
    for: 10m
    labels: {severity: critical}
    annotations:
      summary: 'File system {{ $labels.mountpoint }} of node {{ $labels.node }} has {{ $value | humanizePercentage }} left.'
- name: caisson.monitoring
  rules:
  - alert: Watchdog
    expr: vector(1)
    labels: {severity: none}
    annotations:
      summary: 'Always fires: who is told so regularly, and is told no more, knows that metrics, rules or notices stand still.'
  - alert: TargetDown
    expr: up == 0
    for: 10m
    labels: {severity: warning}
    annotations:
      summary: 'Target {{ $labels.instance }} of job {{ $labels.job }} has not answered for 10 minutes.'
  - alert: ProbeFailing
    expr: probe_success == 0
    for: 5m
    labels: {severity: warning}
    annotations:
      summary: 'Probe of {{ $labels.instance }} fails.'
)yaml";

}  // namespace

Result<std::vector<metrics::RuleGroup>> default_rules() {
  const Value document = TRY(yaml::read(kRules, {.name = "default rules"}));
  return metrics::parse_rule_groups(document, "default", 30'000);
}

}  // namespace caisson::alerts
