// SPDX-License-Identifier: Apache-2.0
// The expected counts are those of upstream's formulas, worked out by hand beside each row.
#include "cluster/controllers/autoscaling.h"

#include "cluster/controllers/horizontal_pod_autoscaler.h"
#include "cluster/controllers/testing_objects.h"

namespace caisson::controllers {
using namespace testing;

namespace {

struct Reading {
  std::int64_t milli;  // below 0: no reading
  bool ready = true;
  std::string phase = "Running";
};
struct Load {
  std::vector<Object> pods;
  PodMetrics metrics;
};
Load load(const std::vector<Reading>& readings) {
  Load out;
  for (std::size_t i = 0; i < readings.size(); ++i) {
    const std::string name = "p" + std::to_string(i);
    Object one =
        pod({.name = name, .phase = readings[i].phase, .ready = readings[i].ready, .age_s = 1000, .ready_s = 990});
    one.edit({"status"}).set("startTime", ago(1000));
    Value container{{"name", "c"}, {"resources", Value{{"requests", Value{{"cpu", "1"}}}}}};
    one.edit({"spec", "containers"}).push_back(std::move(container));
    out.pods.push_back(one);
    if (readings[i].milli >= 0) out.metrics[name] = {readings[i].milli, kNow};
  }
  return out;
}

struct Row {
  std::string_view what;
  std::vector<Reading> readings;
  std::int64_t target_percent, current, want;
};

}  // namespace

TEST_CASE("a utilization target asks for as many replicas as upstream's formula") {
  const std::vector<Row> rows = {
      {"300+500+700 of 3000 is 50 %: 50/30 * 3 = 5", {{300}, {500}, {700}}, 30, 3, 5},
      {"what is within a tenth stays", {{1010}, {1030}, {1020}}, 100, 3, 3},
      {"30 % where 50 % may be: 0.6 * 3 rounds up", {{100}, {300}, {500}}, 50, 3, 2},
      {"a pod without a reading counts as idle when it would grow: 90/50 becomes 60/50 of 3",
       {{900}, {900}, {-1}},
       50,
       3,
       4},
      {"and as fully used when it would shrink: 20/50 becomes 46/50, within tolerance", {{200}, {200}, {-1}}, 50, 3, 3},
      {"a pod that is not ready counts as idle when it would grow", {{900}, {900}, {100, true, "Pending"}}, 50, 3, 4},
      {"and not at all when it would shrink", {{100}, {100}, {900, true, "Pending"}}, 50, 3, 1},
      {"a failed pod is not looked at", {{900}, {900}, {900, true, "Failed"}}, 90, 3, 3},
      {"growth that unready pods turn into shrinking is none", {{600}, {-1}, {-1}, {-1}}, 50, 4, 4},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const Load at = load(row.readings);
    const auto got = replicas_for_utilization(row.current, row.target_percent, "cpu", "", at.metrics, at.pods, kNow);
    REQUIRE(got.ok());
    CHECK(got->replicas == row.want);
  }
}

TEST_CASE("a utilization target needs pods, readings and requests") {
  const Load at = load({{100}});
  const auto text = [&](const PodMetrics& metrics, const std::vector<Object>& pods, std::string_view resource) {
    const auto got = replicas_for_utilization(1, 50, resource, "", metrics, pods, kNow);
    return got.ok() ? std::string("ok") : got.error().message;
  };
  CHECK(text(at.metrics, {}, "cpu") == "no pods returned by selector while calculating replica count");
  CHECK(text({}, at.pods, "cpu") == "did not receive metrics for targeted pods (pods might be unready)");
  CHECK(text(at.metrics, at.pods, "memory") == "missing request for memory in container c of Pod p0");
}

TEST_CASE("a pod that has just started is not asked for its cpu unless its reading is younger than its readiness") {
  Load at = load({{1000}, {1000}});
  at.pods[1].edit({"status"}).set("startTime", ago(60));
  kube::set_condition(at.pods[1], "Ready", false, "", "", kNow);
  const auto got = replicas_for_utilization(2, 50, "cpu", "", at.metrics, at.pods, kNow);
  REQUIRE(got.ok());
  CHECK(got->replicas == 2);  // 100/50 of one ready pod, but 1000/2000 of both with the young one idle: 50/50
}

TEST_CASE("values of objects and external metrics count against a value, or one per replica") {
  const Load at = load({{1}, {1}, {1}});
  CHECK(replicas_for_value(3, 10'000, 20'000, at.pods).replicas == 6);
  CHECK(replicas_for_value(3, 10'000, 10'900, at.pods).replicas == 3);
  CHECK(replicas_for_value(0, 10'000, 20'000, {}).replicas == 2);
  CHECK(replicas_for_value_per_pod(3, 10'000, 55'000).replicas == 6);
  CHECK(replicas_for_value_per_pod(3, 10'000, 31'000).replicas == 3);
  CHECK(replicas_for_value_per_pod(3, 10'000, 31'000).milli == 10'334);
}

TEST_CASE("without behavior a rise is at most twofold or four, and a fall waits five minutes") {
  AutoscalingHistory history;
  const Limited up = limit_scaling(history, {}, 1, 100, 1, 200, kNow);
  CHECK(up.replicas == 4);
  CHECK(up.limit_reason == "ScaleUpLimit");
  CHECK(limit_scaling(history, {}, 10, 100, 1, 15, kNow).limit_reason == "TooManyReplicas");
  const Limited held = limit_scaling(history, {}, 10, 2, 1, 200, kNow + std::chrono::seconds(200));
  CHECK(held.able_reason == "ScaleDownStabilized");
  history = {};
  history.recommendations = {{8, kNow}};
  CHECK(limit_scaling(history, {}, 10, 2, 1, 200, kNow + std::chrono::seconds(299)).replicas == 8);
  CHECK(limit_scaling(history, {}, 10, 2, 3, 200, kNow + std::chrono::seconds(601)).replicas == 3);
}

TEST_CASE("policies limit how far a count moves in their period") {
  const Value behavior = read(R"(
scaleUp: {stabilizationWindowSeconds: 0, selectPolicy: Max, policies: [{type: Pods, value: 2, periodSeconds: 60}, {type: Percent, value: 50, periodSeconds: 60}]}
scaleDown: {stabilizationWindowSeconds: 0, selectPolicy: Min, policies: [{type: Pods, value: 3, periodSeconds: 60}, {type: Percent, value: 10, periodSeconds: 60}]})");
  AutoscalingHistory history;
  CHECK(limit_scaling(history, behavior, 10, 100, 1, 200, kNow).replicas == 15);
  record_scaling(history, behavior, 10, 15, kNow);
  history.recommendations.clear();
  const Limited again = limit_scaling(history, behavior, 15, 100, 1, 200, kNow + std::chrono::seconds(30));
  CHECK(again.replicas == 15);  // the period began with 10
  CHECK(again.limit_reason == "ScaleUpLimit");
  history = {};
  CHECK(limit_scaling(history, behavior, 20, 1, 1, 200, kNow).replicas == 18);
  Value off = behavior;
  off.edit("scaleDown").set("selectPolicy", "Disabled");
  history = {};
  CHECK(limit_scaling(history, off, 20, 1, 1, 200, kNow).replicas == 20);
}

TEST_CASE("a stabilisation window of rises takes the lowest recent recommendation") {
  const Value behavior =
      read("scaleUp: {stabilizationWindowSeconds: 120, policies: [{type: Pods, value: 100, periodSeconds: 15}]}");
  AutoscalingHistory history;
  history.recommendations = {{5, kNow}, {9, kNow + std::chrono::seconds(30)}};
  const Limited held = limit_scaling(history, behavior, 3, 12, 1, 50, kNow + std::chrono::seconds(60));
  CHECK(held.replicas == 5);
  CHECK(held.able_reason == "ScaleUpStabilized");
}

namespace {

struct FakeMetrics : MetricsSource {
  Result<PodMetrics> of_pods = PodMetrics{};
  Result<std::int64_t> value = 0;
  Result<PodMetrics> resource(std::string_view, const std::string&, const std::string&, const std::string&) override {
    return of_pods;
  }
  Result<PodMetrics> pods(const MetricQuery&, const std::string&, const std::string&) override { return of_pods; }
  Result<std::int64_t> object(const MetricQuery&, const std::string&, const Value&) override { return value; }
  Result<std::int64_t> external(const MetricQuery&, const std::string&) override { return value; }
};

Object autoscaler(std::string_view metrics) {
  return object("{metadata: {name: h, namespace: shop}, spec: {minReplicas: 1, maxReplicas: 10, metrics: " +
                std::string(metrics) + "}}");
}

}  // namespace

TEST_CASE("the metric that asks for most decides, and one that fails forbids to shrink") {
  const Load at = load({{100}, {100}, {100}});
  ScaleTarget target{"Deployment/shop/web", 3, 3, "app=web", at.pods};
  FakeMetrics metrics;
  metrics.of_pods = at.metrics;
  metrics.value = 90'000;
  Object both =
      autoscaler(R"([{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}},
    {type: External, external: {metric: {name: queue}, target: {type: AverageValue, averageValue: "15"}}}])");
  AutoscalingHistory history;
  const AutoscalingRound grown = plan_autoscaling(both, target, history, metrics, kNow);
  CHECK(grown.replicas == 6);
  CHECK(grown.rescale_reason == "external metric queue(nil) above target");
  CHECK(grown.current_metrics.size() == 2);

  metrics.value = Error{ErrorCode::not_found, "unable to fetch metrics from external metrics API: none"};
  history = {};
  const AutoscalingRound failed = plan_autoscaling(both, target, history, metrics, kNow);
  CHECK_FALSE(failed.rescales);
  CHECK(
      failed.failure ==
      "invalid metrics (1 invalid out of 2), first error is: failed to get queue external metric: failed to get queue "
      "external metric: unable to get external metric shop/queue/nil: unable to fetch metrics from external metrics "
      "API: none");
  CHECK(kube::condition(both, "ScalingActive")["reason"].as_string() == "FailedGetExternalMetric");
}

TEST_CASE("a target without metrics API is told in upstream's words") {
  FakeMetrics metrics;
  metrics.of_pods = Error{ErrorCode::not_found,
                          "unable to fetch metrics from resource metrics API: the server could not find the requested "
                          "resource (get pods.metrics.k8s.io)"};
  Object one =
      autoscaler("[{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]");
  AutoscalingHistory history;
  ScaleTarget target{"Deployment/shop/web", 3, 3, "app=web", {}};
  const AutoscalingRound round = plan_autoscaling(one, target, history, metrics, kNow);
  CHECK(round.failure ==
        "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: failed to get "
        "cpu "
        "utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the "
        "server could not find the requested resource (get pods.metrics.k8s.io)");
}

}  // namespace caisson::controllers
