// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/scrape/discovery.h"

#include <doctest/doctest.h>

#include "core/base/text.h"
#include "core/document/yaml.h"
#include "observe/metrics/exposition/families.h"
#include "observe/metrics/sources/kube_state.h"
#include "observe/metrics/sources/requests.h"

namespace caisson::metrics {
namespace {

constexpr const char* kCluster = R"(
{apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop, uid: u1, labels: {app: web, team: a}}, spec: {nodeName: n1, containers: [
  {name: main, image: 'web:1', ports: [{name: http, containerPort: 8080}, {name: metrics, containerPort: 9090}], resources: {limits: {cpu: 250m, memory: 64Mi}}}]},
  status: {phase: Running, podIP: 10.0.0.5, conditions: [{type: Ready, status: 'True'}], containerStatuses: [{name: main, ready: true, restartCount: 3, state: {waiting: {reason: CrashLoopBackOff}}}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: done, namespace: shop, labels: {app: web}}, spec: {containers: [{name: main, ports: [{name: metrics, containerPort: 9090}]}]}, status: {phase: Succeeded, podIP: 10.0.0.6}}
---
{apiVersion: v1, kind: Pod, metadata: {name: noted, namespace: other, annotations: {prometheus.io/scrape: 'true', prometheus.io/port: '9', prometheus.io/path: /m}},
  spec: {containers: [{name: x}]}, status: {phase: Running, podIP: 10.0.0.7}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop, labels: {app: web, tier: front}}, spec: {clusterIP: 10.1.0.1}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-x, namespace: shop, labels: {kubernetes.io/service-name: web}}, addressType: IPv4,
  ports: [{name: http, port: 8080}, {name: metrics, port: 9090}], endpoints: [{addresses: [10.0.0.5], conditions: {ready: true}, targetRef: {kind: Pod, name: web-1}}]}
)";

std::vector<kube::Object> objects_of(const std::string& text) {
  std::vector<kube::Object> out;
  for (Value& value : yaml::read_all(text).value()) out.emplace_back(std::move(value));
  return out;
}

ObjectLister cluster_with(const std::string& more) {
  return [all = objects_of(std::string(kCluster) + "---\n" + more)](const kube::Resource& kind) {
    std::vector<kube::Object> out;
    for (const kube::Object& object : all)
      if (object.kind() == kind.kind) out.push_back(object);
    return out;
  };
}

std::vector<Target> targets_of(const std::string& more) {
  std::vector<Target> out;
  for (const DiscoveredJob& job : discover(cluster_with(more), {}).jobs)
    for (const Labels& labels : job.targets)
      if (auto target = make_target(job.job, labels).value()) out.push_back(*target);
  return out;
}

const Target* with_pool(const std::vector<Target>& all, std::string_view pool) {
  for (const Target& target : all)
    if (target.job->pool == pool) return &target;
  return nullptr;
}

bool has(const Exposition& all, const std::string& series, double v) {
  for (const ExposedSample& sample : all.samples)
    if (sample.labels.str() == series && sample.v == v) return true;
  return false;
}

}  // namespace

TEST_CASE("a ServiceMonitor scrapes the endpoints of the services it selects") {
  const auto all = targets_of(
      R"({apiVersion: monitoring.coreos.com/v1, kind: ServiceMonitor, metadata: {name: web, namespace: shop}, spec: {selector: {matchLabels: {app: web}},
    targetLabels: [tier], podTargetLabels: [team], endpoints: [{port: metrics, path: /stats, interval: 5s, params: {a: [b c]}, relabelings: [{sourceLabels: [pod], targetLabel: host}]}]}})");
  const Target* target = with_pool(all, "serviceMonitor/shop/web/0");
  REQUIRE(target);
  CHECK(target->url == "http://10.0.0.5:9090/stats?a=b%20c");
  CHECK(target->interval_ms == 5000);
  CHECK(
      target->labels.str() ==
      R"({container="main", endpoint="metrics", host="web-1", instance="10.0.0.5:9090", job="web", namespace="shop", pod="web-1", service="web", team="a", tier="front"})");
}

TEST_CASE("a monitor of another namespace needs a namespaceSelector") {
  const std::string monitor =
      "{apiVersion: monitoring.coreos.com/v1, kind: PodMonitor, metadata: {name: m, namespace: other}, spec: "
      "{selector: {matchLabels: {app: web}}, podMetricsEndpoints: [{port: metrics}]SELECT}}";
  const auto written = [&](const std::string& select) { return replace_all(monitor, "SELECT", select); };
  CHECK(with_pool(targets_of(written("")), "podMonitor/other/m/0") == nullptr);
  const auto all = targets_of(written(", namespaceSelector: {any: true}"));
  const Target* target = with_pool(all, "podMonitor/other/m/0");
  REQUIRE(target);
  CHECK(target->labels.get("job") == "other/m");
  CHECK(target->labels.get("pod") == "web-1");  // not the pod that has ended
}

TEST_CASE("prometheus.io annotations make a target") {
  const auto all = targets_of("");
  const Target* target = with_pool(all, "kubernetes-pods");
  REQUIRE(target);
  CHECK(target->url == "http://10.0.0.7:9/m");
  CHECK(all.size() == 1);
}

TEST_CASE("a probe asks its prober about every address") {
  const auto all = targets_of(
      "{apiVersion: monitoring.coreos.com/v1, kind: Probe, metadata: {name: p, namespace: shop}, spec: {prober: {url: "
      "'blackbox:9115'}, module: http_2xx, targets: {staticConfig: {static: ['https://a.example/'], labels: {env: "
      "x}}}}}");
  const Target* target = with_pool(all, "probe/shop/p");
  REQUIRE(target);
  CHECK(target->url == "http://blackbox:9115/probe?module=http_2xx&target=https%3A%2F%2Fa.example%2F");
  CHECK(target->labels.get("instance") == "https://a.example/");
  CHECK(target->labels.get("env") == "x");
}

TEST_CASE("a monitor that can't be read is a problem, the others go on") {
  const auto found =
      discover(cluster_with("{apiVersion: monitoring.coreos.com/v1, kind: PodMonitor, metadata: {name: m, namespace: "
                            "shop}, spec: {selector: {}, podMetricsEndpoints: [{relabelings: [{action: explode}]}]}}"),
               {});
  REQUIRE(found.problems.size() == 1);
  CHECK(found.problems[0].starts_with("PodMonitor shop/m: "));
  CHECK(found.jobs.size() == 1);
}

TEST_CASE("the state of objects has kube-state-metrics' names") {
  const Exposition all = kube_state(cluster_with(
      "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop, generation: 2}, spec: {replicas: "
      "3}, status: {availableReplicas: 1, conditions: [{type: Progressing, status: 'False'}]}}"));
  CHECK(has(
      all,
      R"({__name__="kube_pod_container_status_waiting_reason", container="main", namespace="shop", pod="web-1", reason="CrashLoopBackOff", uid="u1"})",
      1));
  CHECK(has(
      all,
      R"({__name__="kube_pod_container_status_restarts_total", container="main", namespace="shop", pod="web-1", uid="u1"})",
      3));
  CHECK(has(
      all,
      R"({__name__="kube_pod_container_resource_limits", container="main", namespace="shop", node="n1", pod="web-1", resource="cpu", uid="u1", unit="core"})",
      0.25));
  CHECK(has(all, R"({__name__="kube_deployment_status_replicas_available", deployment="web", namespace="shop"})", 1));
  CHECK(has(
      all,
      R"({__name__="kube_deployment_status_condition", condition="Progressing", deployment="web", namespace="shop", status="false"})",
      1));
  // What is written is read back the same.
  CHECK(parse_text(write_text(all)).value().samples.size() == all.samples.size());
}

TEST_CASE("requests are told apart as the API server does") {
  const auto info = [](const char* method, const char* path, http::Query query = {}) {
    return request_info(method, path, query, "");
  };
  CHECK(info("GET", "/api/v1/namespaces/shop/pods") == RequestInfo{"LIST", "", "v1", "pods", "", "namespace"});
  CHECK(info("GET", "/apis/apps/v1/deployments", {{"watch", "true"}}) ==
        RequestInfo{"WATCH", "apps", "v1", "deployments", "", "cluster"});
  CHECK(info("PUT", "/apis/apps/v1/namespaces/x/deployments/web/status") ==
        RequestInfo{"PUT", "apps", "v1", "deployments", "status", "resource"});
  CHECK(info("GET", "/api/v1/namespaces/shop") == RequestInfo{"GET", "", "v1", "namespaces", "", "resource"});
  CHECK(info("GET", "/healthz").resource == "");
}

TEST_CASE("paths that nobody serves do not make series without end") {
  RequestMetrics metrics;
  for (int i = 0; i < 100; ++i)
    metrics.count(request_info("GET", "/api/v1/thing" + std::to_string(i), {}, ""), 404, std::chrono::milliseconds(1),
                  false);
  std::size_t totals = 0;
  for (const ExposedSample& sample : metrics.read().samples)
    totals += sample.labels.get("__name__") == "apiserver_request_total";
  CHECK(totals == 1);
}

}  // namespace caisson::metrics
