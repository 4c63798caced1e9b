// SPDX-License-Identifier: Apache-2.0
// One object in two built-in versions, and lists of many as one text.
#include "cluster/apiserver/list_text.h"
#include "cluster/apiserver/testing_test.h"

using namespace caisson;
using namespace caisson::apiserver;

namespace {

constexpr std::string_view kScalers = "/namespaces/default/horizontalpodautoscalers";

std::string in(std::string_view version, std::string_view name = "") {
  return "/apis/autoscaling/" + std::string(version) + std::string(kScalers) +
         (name.empty() ? "" : "/" + std::string(name));
}

struct ScalerServer : HttpTestServer {
  Answer post(std::string_view version, std::string_view yaml) {
    return send("POST", in(version), json::write(yaml::read(yaml).value()), {{"Content-Type", "application/json"}});
  }
};

store::ItemPtr item(int number, std::string_view bytes) {
  return std::make_shared<const store::Item>(store::Key{"things", "", std::to_string(number)}, number,
                                             std::string(bytes), Value());
}

}  // namespace

TEST_CASE("an autoscaler of autoscaling/v1 has its CPU target as a metric in v2") {
  ScalerServer s;
  REQUIRE(s.post("v1",
                 "{metadata: {name: web}, spec: {maxReplicas: 3, targetCPUUtilizationPercentage: 55, "
                 "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}")
              .status == 201);
  const Value scaler = s.send("GET", in("v2", "web")).body;
  CHECK(scaler["apiVersion"].str() == "autoscaling/v2");
  CHECK(scaler["spec"]["targetCPUUtilizationPercentage"].is_null());
  REQUIRE(scaler["spec"]["metrics"].size() == 1);
  CHECK(json::write(scaler["spec"]["metrics"][0]) ==
        R"({"type":"Resource","resource":{"name":"cpu","target":{"averageUtilization":55,"type":"Utilization"}}})");
}

TEST_CASE("what v1 of an autoscaler has no field for travels in annotations, both ways") {
  ScalerServer s;
  const char* const text = R"(
metadata: {name: web, annotations: {mine: kept}}
spec:
  minReplicas: 1
  maxReplicas: 9
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  behavior: {scaleDown: {stabilizationWindowSeconds: 60}}
  metrics:
    - {type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 1Gi}}}
    - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}
    - {type: Pods, pods: {metric: {name: rps, selector: {matchLabels: {a: b}}}, target: {type: AverageValue, averageValue: "5"}}}
    - {type: External, external: {metric: {name: depth}, target: {type: Value, value: "30"}}}
    - type: Object
      object: {describedObject: {kind: Service, name: x}, metric: {name: hits}, target: {type: Value, value: 2k}})";
  const auto made = s.post("v2", text);
  REQUIRE_MESSAGE(made.status == 201, made.text);
  const Value v1 = s.send("GET", in("v1", "web")).body;
  CHECK(v1["spec"]["targetCPUUtilizationPercentage"].as_int() == 70);
  CHECK(v1["spec"]["metrics"].is_null());
  CHECK(v1["spec"]["behavior"].is_null());
  const Value& annotations = v1["metadata"]["annotations"];
  CHECK(annotations["mine"].str() == "kept");
  const Value metrics = json::parse(annotations["autoscaling.alpha.kubernetes.io/metrics"].as_string()).value();
  REQUIRE(metrics.size() == 4);
  CHECK(metrics[0]["resource"]["targetAverageValue"].str() == "1Gi");
  CHECK(metrics[1]["pods"]["metricName"].str() == "rps");
  CHECK(metrics[2]["external"]["targetValue"].str() == "30");
  CHECK(metrics[3]["object"]["target"]["name"].str() == "x");

  // Written back in v1 it is the same in v2, but that CPU comes first.
  Value changed = v1;
  changed.edit("spec").set("maxReplicas", 8);
  REQUIRE(s.send("PUT", in("v1", "web"), json::write(changed), {{"Content-Type", "application/json"}}).status == 200);
  const Value v2 = s.send("GET", in("v2", "web")).body;
  CHECK(v2["spec"]["maxReplicas"].as_int() == 8);
  CHECK(v2["metadata"]["annotations"] == Value{{"mine", "kept"}});
  CHECK(v2["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"].as_int() == 60);
  const Value before = made.body["spec"]["metrics"], after = v2["spec"]["metrics"];
  REQUIRE(after.size() == 5);
  CHECK(after[0] == before[1]);
  CHECK(after[1] == before[0]);
  for (int i = 2; i < 5; ++i) CHECK(after[i] == before[i]);
}

TEST_CASE("an annotation of an autoscaler that is no JSON stays an annotation") {
  ScalerServer s;
  REQUIRE(s.post("v1",
                 "{metadata: {name: web, annotations: {autoscaling.alpha.kubernetes.io/metrics: '['}}, spec: "
                 "{maxReplicas: 3, scaleTargetRef: {kind: Deployment, name: web}}}")
              .status == 201);
  const Value scaler = s.send("GET", in("v2", "web")).body;
  CHECK(scaler["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"].str() == "[");
  CHECK(scaler["spec"]["metrics"].size() == 1);
}

TEST_CASE("a list's text is as long as it says, however it is taken") {
  std::vector<store::ItemPtr> items;
  std::string want = "{\"items\":[";
  for (int i = 0; i < 3'000; ++i) {
    const std::string rest = "\"name\":\"" + std::to_string(i) + std::string(200, 'x') + "\"}";
    items.push_back(item(i, i == 1 ? "{\"other\":1}" : "{\"kind\":\"T\"," + rest));
    want += (i > 0 ? "," : "") + (i == 1 ? std::string("{\"replaced\":2}") : "{" + rest);
  }
  want += "]}\n";
  ListText text("{\"items\":[", items, "{\"kind\":\"T\",", true);
  REQUIRE(text.others() == std::vector<std::size_t>{1});
  CHECK(text.item(1) == items[1]);
  text.replace(0, "{\"replaced\":2}");
  CHECK(text.length() == want.size());
  ListText pieces = text;
  CHECK(std::move(text).whole() == want);
  std::string all, piece;
  int count = 0;
  for (bool more = true; more; all += piece, ++count) {
    piece.clear();
    more = pieces.next(piece);
    CHECK(piece.size() < 2 * kPieceBytes);
  }
  CHECK(all == want);
  CHECK(count > 2);
  CHECK(ListText("{\"items\":[", {}, "", false).whole() == "{\"items\":[]}\n");
}

TEST_CASE("a list beyond one piece is whole over HTTP, and selectors find what is not parsed") {
  HttpTestServer s;
  s.create("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}");
  for (int i = 0; i < 400; ++i)
    s.create("{apiVersion: v1, kind: ConfigMap, metadata: {name: c" + std::to_string(i) +
             ", namespace: shop, labels: {part: p" + std::to_string(i % 7) +
             "}}, data: {pad: " + std::string(20'000, 'x') + "}}");
  const auto all = s.send("GET", "/api/v1/namespaces/shop/configmaps");
  CHECK(all.text.size() > 8'000'000);
  CHECK(all.body["kind"].str() == "ConfigMapList");
  CHECK(all.body["items"].size() == 400);
  CHECK(all.body["items"][0]["kind"].is_null());
  const auto some = s.send("GET", "/api/v1/configmaps?labelSelector=part%3Dp3&fieldSelector=metadata.name!%3Dc3");
  CHECK(some.body["items"].size() == 56);
  CHECK(s.store->stats().parsed_bytes <= 4u << 20);
}

namespace {

constexpr std::string_view kTasks = "/namespaces/default/";

std::string tekton(std::string_view version, std::string_view rest) {
  return "/apis/tekton.dev/" + std::string(version) + std::string(kTasks) + std::string(rest);
}

}  // namespace

TEST_CASE("a PipelineRun of tekton.dev/v1beta1 has v1's names in v1, and gets its own back") {
  HttpTestServer s;
  const std::string_view run = R"yaml(
metadata: {name: deliver}
spec:
  serviceAccountName: builder
  podTemplate: {hostNetwork: true}
  timeout: 1h
  taskRunSpecs:
  - {pipelineTaskName: build, taskServiceAccountName: pusher, taskPodTemplate: {hostNetwork: false}, stepOverrides: [{name: a, resources: {limits: {cpu: 1}}}]}
  pipelineSpec:
    resources: [{name: git, type: git}]
    tasks:
    - name: build
      taskRef: {name: kaniko, bundle: "registry/tasks:1"}
    - name: test
      taskSpec: {steps: [{image: go, resources: {requests: {memory: 1Gi}}}], sidecars: [{name: db, resources: {}}], stepTemplate: {resources: {limits: {cpu: 2}}}}
)yaml";
  REQUIRE(s.send("POST", tekton("v1beta1", "pipelineruns"), json::write(yaml::read(run).value()),
                 {{"Content-Type", "application/json"}})
              .status == 201);
  const Value v1 = s.send("GET", tekton("v1", "pipelineruns/deliver")).body;
  CHECK(v1["apiVersion"].str() == "tekton.dev/v1");
  CHECK(v1["spec"]["taskRunTemplate"] ==
        Value{{"serviceAccountName", "builder"}, {"podTemplate", Value{{"hostNetwork", true}}}});
  CHECK(v1["spec"]["timeouts"] == Value{{"pipeline", "1h"}});
  for (const char* gone : {"serviceAccountName", "podTemplate", "timeout"}) CHECK_FALSE(v1["spec"].contains(gone));
  const Value& special = v1["spec"]["taskRunSpecs"][0];
  CHECK(special["serviceAccountName"].str() == "pusher");
  CHECK(special["stepSpecs"][0]["computeResources"]["limits"]["cpu"].as_int() == 1);
  const Value& spec = v1["spec"]["pipelineSpec"];
  CHECK_FALSE(spec.contains("resources"));
  CHECK(spec["tasks"][0]["taskRef"]["resolver"].str() == "bundles");
  CHECK(spec["tasks"][0]["taskRef"]["params"][1] == Value{{"name", "name"}, {"value", "kaniko"}});
  const Value& task = spec["tasks"][1]["taskSpec"];
  CHECK(task["steps"][0]["computeResources"]["requests"]["memory"].str() == "1Gi");
  CHECK(task["sidecars"][0].contains("computeResources"));
  CHECK(task["stepTemplate"]["computeResources"]["limits"]["cpu"].as_int() == 2);
  // What was written in v1beta1 is read there as it was written.
  const Value v1beta1 = s.send("GET", tekton("v1beta1", "pipelineruns/deliver")).body;
  CHECK(v1beta1["spec"]["serviceAccountName"].str() == "builder");
  CHECK(v1beta1["spec"]["timeout"].str() == "1h");
}

TEST_CASE("Tekton's status of v1 has v1beta1's names there") {
  HttpTestServer s;
  REQUIRE(s.send("POST", tekton("v1", "taskruns"), R"({"metadata":{"name":"x"},"spec":{"stepSpecs":[{"name":"a"}]}})",
                 {{"Content-Type", "application/json"}})
              .status == 201);
  REQUIRE(s.send("PATCH", tekton("v1", "taskruns/x/status"),
                 R"({"status":{"results":[{"name":"digest","value":"1"}],"retriesStatus":[{"results":[]}]}})",
                 {{"Content-Type", "application/merge-patch+json"}})
              .status == 200);
  const Value run = s.send("GET", tekton("v1beta1", "taskruns/x")).body;
  CHECK(run["spec"]["stepOverrides"][0]["name"].str() == "a");
  CHECK(run["status"]["taskResults"][0]["name"].str() == "digest");
  CHECK(run["status"]["retriesStatus"][0].contains("taskResults"));
  CHECK_FALSE(run["status"].contains("results"));
}
