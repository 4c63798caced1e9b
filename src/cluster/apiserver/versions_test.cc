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
