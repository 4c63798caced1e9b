// SPDX-License-Identifier: Apache-2.0
// The pure parts of the smaller controllers.
#include "cluster/controllers/endpoints.h"
#include "cluster/controllers/namespace.h"
#include "cluster/controllers/node_lifecycle.h"
#include "cluster/controllers/owner_graph.h"
#include "cluster/controllers/retention.h"
#include "cluster/controllers/testing_objects.h"
#include "cluster/controllers/volumes.h"

namespace caisson::controllers {
using namespace testing;

namespace {
Object web_pod(const std::string& name, const std::string& ip, bool ready, bool deleting = false) {
  Object out = pod({.name = name, .ready = ready});
  out.edit({"status"}).set("podIP", ip);
  out.edit({"spec"}).set("containers", read("[{name: c, ports: [{name: http, containerPort: 8080}]}]"));
  if (deleting) out.edit({"metadata"}).set("deletionTimestamp", ago(1));
  return out;
}
const char* kService =
    "{metadata: {name: web, namespace: shop}, spec: {selector: {app: web}, ports: [{name: h, port: 80, targetPort: "
    "http, protocol: TCP}]}}";
}  // namespace

TEST_CASE("an endpoint is ready while its pod is, and not from the moment it is being deleted") {
  const auto groups = plan_endpoints(object(kService),
                                     {web_pod("b", "10.0.0.2", false), web_pod("a", "10.0.0.1", true),
                                      web_pod("c", "10.0.0.3", true, true), web_pod("d", "", true)},
                                     {{"n1", "z1"}});
  REQUIRE_EQ(groups.size(), 1);
  CHECK(groups[0].ports == read("[{name: h, port: 8080, protocol: TCP}]"));
  REQUIRE_EQ(groups[0].endpoints.size(), 3);
  CHECK(groups[0].endpoints[0] == read(R"(addresses: [10.0.0.1]
conditions: {ready: true, serving: true, terminating: false}
nodeName: n1
targetRef: {kind: Pod, name: a, namespace: shop, uid: uid-a}
zone: z1
)"));
  CHECK(groups[0].endpoints[1]["conditions"] == read("{ready: false, serving: false, terminating: false}"));
  CHECK(groups[0].endpoints[2]["conditions"] == read("{ready: false, serving: true, terminating: true}"));
}

TEST_CASE("a pod without the named port has no endpoint, one with another number its own group") {
  Object other = web_pod("b", "10.0.0.2", true);
  other.edit({"spec"}).set("containers", read("[{name: c, ports: [{name: http, containerPort: 9090}]}]"));
  Object none = web_pod("c", "10.0.0.3", true);
  none.edit({"spec"}).set("containers", read("[{name: c}]"));
  const auto groups = plan_endpoints(object(kService), {web_pod("a", "10.0.0.1", true), other, none}, {});
  REQUIRE_EQ(groups.size(), 2);
  CHECK_EQ(groups[0].endpoints.size() + groups[1].endpoints.size(), 2);
}

TEST_CASE("addresses that are not ready are published where the service wants it") {
  Object service = object(kService);
  service.edit({"spec"}).set("publishNotReadyAddresses", true);
  const auto groups = plan_endpoints(service, {web_pod("a", "10.0.0.1", false)}, {});
  CHECK(groups[0].endpoints[0]["conditions"] == read("{ready: true, serving: true, terminating: false}"));
}

TEST_CASE("Endpoints hold ready and not ready addresses apart, and none that ends") {
  const Value subsets = plan_subsets(object(kService), {web_pod("a", "10.0.0.1", true), web_pod("b", "10.0.0.2", false),
                                                        web_pod("c", "10.0.0.3", true, true)});
  REQUIRE_EQ(subsets.size(), 1);
  CHECK_EQ(subsets[0]["addresses"].size(), 1);
  CHECK_EQ(subsets[0]["notReadyAddresses"][0]["ip"].str(), "10.0.0.2");
  CHECK(subsets[0]["ports"] == read("[{name: h, port: 8080, protocol: TCP}]"));
}

TEST_CASE("a namespace says what keeps it") {
  Object ns = object("{metadata: {name: shop}, status: {phase: Terminating}}");
  NamespaceRemains remains;
  remains.counts = {{"configmaps", 1}};
  remains.finalizers = {{"x.io/f", 1}};
  CHECK(note_remains(ns, remains, kNow));
  CHECK_EQ(kube::condition(ns, "NamespaceContentRemaining")["message"].str(),
           "Some resources are remaining: configmaps. has 1 resource instances");
  CHECK_EQ(kube::condition(ns, "NamespaceFinalizersRemaining")["message"].str(),
           "Some content in the namespace has finalizers remaining: x.io/f in 1 resource instances");
  CHECK_FALSE(note_remains(ns, remains, kNow));
  CHECK(note_remains(ns, {}, kNow));
  CHECK_EQ(kube::condition(ns, "NamespaceContentRemaining")["status"].str(), "False");
}

TEST_CASE("a silent node becomes unknown and tainted, and clean again when it speaks") {
  Object node = object("{metadata: {name: n, creationTimestamp: '" + ago(1000) +
                       "'}, spec: {taints: [{key: team, effect: NoSchedule}]}, status: {conditions: "
                       "[{type: Ready, status: 'True', lastHeartbeatTime: '" +
                       ago(90) + "'}]}}");
  CHECK(last_heartbeat(node, {}) == kNow - std::chrono::seconds(90));
  CHECK(last_heartbeat(node, object("{spec: {renewTime: '" + ago(3) + "'}}")) == kNow - std::chrono::seconds(3));
  CHECK_FALSE(set_taints(node, kNow));
  CHECK(mark_unknown(node, kNow));
  CHECK_EQ(kube::condition(node, "Ready")["message"].str(), "Kubelet stopped posting node status.");
  CHECK_FALSE(mark_unknown(node, kNow));
  CHECK(set_taints(node, kNow));
  CHECK_EQ(node.spec()["taints"].size(), 3);
  CHECK_FALSE(set_taints(node, kNow));
  kube::set_condition(node, "Ready", true, "KubeletReady", "", kNow);
  CHECK(set_taints(node, kNow));
  CHECK(node.spec()["taints"] == read("[{key: team, effect: NoSchedule}]"));
  node.edit({"spec"}).set("unschedulable", true);
  CHECK(set_taints(node, kNow));
  CHECK_EQ(node.spec()["taints"][1]["key"].str(), "node.kubernetes.io/unschedulable");
}

TEST_CASE("spans of the traces that were active last are kept") {
  std::vector<Object> spans;
  for (int trace = 0; trace < 5; ++trace) {
    for (int i = 0; i < 2; ++i) {
      spans.push_back(object("{spec: {traceId: t" + std::to_string(trace) + ", startTime: '2026-01-01T00:00:0" +
                             std::to_string(trace + i) + ".000000000Z'}}"));
    }
  }
  const auto gone = plan_span_retention(spans, 3);
  REQUIRE_EQ(gone.size(), 4);
  for (const Object& span : gone) CHECK_LT(span.spec()["traceId"].as_string(), "t2");
  CHECK(plan_span_retention(spans, 5).empty());
}

TEST_CASE("the owner graph tells whom a change concerns") {
  OwnerGraph graph;
  const Object owner = object("{metadata: {name: o, namespace: n, uid: u-o}}");
  const Object child = object(
      "{metadata: {name: c, namespace: n, uid: u-c, ownerReferences: [{uid: u-o, name: o, kind: ConfigMap, "
      "apiVersion: v1, blockOwnerDeletion: true}]}}");
  using Uids = std::vector<std::string>;
  CHECK(graph.put(schema::kConfigMaps, owner).empty());
  CHECK(graph.put(schema::kConfigMaps, child) == Uids{"u-c"});
  CHECK(graph.put(schema::kConfigMaps, child).empty());  // nothing about owners changed
  CHECK(graph.dependents("u-o") == Uids{"u-c"});
  CHECK(graph.blocking("u-o") == Uids{"u-c"});
  Object waiting = owner;
  waiting.edit({"metadata"}).set("deletionTimestamp", ago(0));
  waiting.edit({"metadata"}).set("finalizers", read("[foregroundDeletion]"));
  CHECK(graph.put(schema::kConfigMaps, waiting) == Uids{"u-c", "u-o"});
  CHECK(graph.find("u-o")->waits_for_dependents());
  CHECK(graph.erase(child) == Uids{"u-o"});
  CHECK(graph.blocking("u-o").empty());
  CHECK(graph.put(schema::kConfigMaps, child) == Uids{"u-c"});
  CHECK(graph.erase(owner) == Uids{"u-c"});
}

TEST_CASE("a claim's volume is a folder of its own") {
  const Object claim = object(
      "{metadata: {name: data, namespace: shop, uid: u1}, spec: {accessModes: [ReadWriteOnce], resources: {requests: "
      "{storage: 1Gi}}}}");
  const Object volume = make_volume(claim, "/data/volumes");
  CHECK_EQ(volume.name(), "pvc-u1");
  CHECK_EQ(volume.spec()["hostPath"]["path"].str(), "/data/volumes/pvc-u1_shop_data");
  CHECK_EQ(volume.spec()["capacity"]["storage"].str(), "1Gi");
  CHECK_EQ(volume.spec()["claimRef"]["uid"].str(), "u1");
}

}  // namespace caisson::controllers
