// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/scheduling.h"
#include "cluster/controllers/testing_objects.h"

namespace caisson::controllers {
using namespace testing;

namespace {
Object node(const std::string& name, const std::string& extra = "") {
  return object("{apiVersion: v1, kind: Node, metadata: {name: " + name + ", labels: {kubernetes.io/hostname: " + name +
                ", zone: z-" + name + "}}, spec: {" + extra +
                "}, status: {allocatable: {cpu: '4', memory: 8Gi, pods: '3'}}}");
}
Object asking(const std::string& name, const std::string& requests, const std::string& spec = "") {
  return object("{apiVersion: v1, kind: Pod, metadata: {name: " + name + ", namespace: shop, uid: " + name +
                ", labels: {app: web}}, spec: {" + spec + (spec.empty() ? "" : ", ") +
                "containers: [{name: c, resources: {requests: {" + requests + "}}}]}}");
}
}  // namespace

TEST_CASE("a pod's requests are its containers' or its largest init container's; sidecars count throughout") {
  const Object pod = object(R"(spec:
  containers: [{resources: {requests: {cpu: 100m, memory: 64Mi}}}, {resources: {requests: {cpu: 100m}}}]
  initContainers: [{resources: {requests: {cpu: '1'}}}, {restartPolicy: Always, resources: {requests: {cpu: 50m}}}, {resources: {requests: {memory: 1Gi}}}]
  overhead: {cpu: 10m}
)");
  const Amounts got = requests(pod);
  CHECK_EQ(got.at("cpu"), 1010);
  CHECK_EQ(got.at("memory"), 1ll << 30);
  CHECK_EQ(requests_for_score(object("spec: {containers: [{}]}")).at("cpu"), 100);
}

TEST_CASE("why no node will do is said in upstream's words") {
  struct Case {
    const char* why;
    std::vector<NodeState> nodes;
    Object pod;
    const char* want;
  };
  const Object full = asking("x", "cpu: 3, memory: 7Gi");
  for (const Case& c : {
           Case{"no node", {}, asking("p", ""), "no nodes available to schedule pods"},
           Case{"memory",
                {node_state(node("a"), {full})},
                asking("p", "memory: 2Gi"),
                "0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available: 1 No preemption "
                "victims found for "
                "incoming pod."},
           Case{"both",
                {node_state(node("a"), {full}), node_state(node("b"), {})},
                asking("p", "cpu: 2, memory: 9Gi"),
                "0/2 nodes are available: 1 Insufficient cpu, 2 Insufficient memory. preemption: 0/2 nodes are "
                "available: 2 No "
                "preemption victims found for incoming pod."},
           Case{"selector",
                {node_state(node("a"), {})},
                asking("p", "", "nodeSelector: {disk: ssd}"),
                "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. preemption: 0/1 nodes "
                "are available: 1 "
                "Preemption is not helpful for scheduling."},
           Case{"taint",
                {node_state(node("a", "taints: [{key: team, value: t1, effect: NoSchedule}]"), {})},
                asking("p", ""),
                "0/1 nodes are available: 1 node(s) had untolerated taint {team: t1}. preemption: 0/1 nodes are "
                "available: 1 Preemption is "
                "not helpful for scheduling."},
           Case{"cordoned",
                {node_state(node("a", "unschedulable: true"), {})},
                asking("p", ""),
                "0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are available: 1 "
                "Preemption is not helpful "
                "for scheduling."},
           Case{"too many pods",
                {node_state(node("a"), {asking("x", ""), asking("y", ""), asking("z", "")})},
                asking("p", ""),
                "0/1 nodes are available: 1 Too many pods. preemption: 0/1 nodes are available: 1 No preemption "
                "victims found for incoming "
                "pod."},
           Case{"never preempts",
                {node_state(node("a"), {full})},
                asking("p", "cpu: 2", "preemptionPolicy: Never"),
                "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."},
           Case{"extended resource",
                {node_state(node("a"), {})},
                asking("p", "example.com/gpu: 1"),
                "0/1 nodes are available: 1 Insufficient example.com/gpu. preemption: 0/1 nodes are available: 1 No "
                "preemption victims "
                "found for incoming pod."},
           Case{"anti-affinity",
                {node_state(node("a"), {asking("x", "")})},
                asking("p", "",
                       "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: "
                       "kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}]}}"),
                "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules. preemption: 0/1 nodes are "
                "available: 1 No "
                "preemption victims found for incoming pod."},
       }) {
    CAPTURE(c.why);
    const Choice got = choose(c.pod, c.nodes);
    CHECK_EQ(got.node, "");
    CHECK_EQ(got.message, c.want);
  }
}

TEST_CASE("the best node is chosen: room, preference, apart from one's own kind") {
  struct Case {
    const char* why;
    std::vector<NodeState> nodes;
    Object pod;
    const char* want;
  };
  Object mine = asking("m", "");
  mine.edit({"metadata"}).set("ownerReferences", read("[{uid: r1, controller: true}]"));
  Object sibling = asking("p", "");
  sibling.edit({"metadata"}).set("ownerReferences", read("[{uid: r1, controller: true}]"));
  for (const Case& c : {
           Case{"the emptier one",
                {node_state(node("a"), {asking("x", "cpu: 2, memory: 4Gi")}), node_state(node("b"), {})},
                asking("p", "cpu: 1"),
                "b"},
           Case{"preferred by affinity",
                {node_state(node("a"), {}), node_state(node("b"), {})},
                asking("p", "",
                       "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, "
                       "preference: "
                       "{matchExpressions: [{key: zone, operator: In, values: [z-b]}]}}]}}"),
                "b"},
           Case{"required by field",
                {node_state(node("a"), {}), node_state(node("b"), {})},
                asking("p", "",
                       "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: "
                       "[{matchFields: "
                       "[{key: metadata.name, operator: In, values: [b]}]}]}}}"),
                "b"},
           Case{"away from siblings", {node_state(node("a"), {mine}), node_state(node("b"), {})}, sibling, "b"},
           Case{"tolerated",
                {node_state(node("a", "taints: [{key: team, value: t1, effect: NoSchedule}]"), {})},
                asking("p", "", "tolerations: [{key: team, operator: Equal, value: t1}]"),
                "a"},
           Case{"prefers no taint",
                {node_state(node("a", "taints: [{key: team, effect: PreferNoSchedule}]"), {}),
                 node_state(node("b"), {})},
                asking("p", ""),
                "b"},
           Case{"together by affinity",
                {node_state(node("a"), {}), node_state(node("b"), {asking("x", "cpu: 2")})},
                asking("p", "",
                       "affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, "
                       "labelSelector: "
                       "{matchLabels: {app: web}}}]}}"),
                "b"},
           Case{"spread by constraint",
                {node_state(node("a"), {asking("x", "")}), node_state(node("b"), {asking("big", "cpu: 3", "")})},
                asking("p", "cpu: 1",
                       "topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, "
                       "labelSelector: {matchLabels: {app: other}}}]"),
                "a"},
       }) {
    CAPTURE(c.why);
    const Choice got = choose(c.pod, c.nodes);
    CHECK_EQ(got.message, "");
    CHECK_EQ(got.node, c.want);
  }
}

TEST_CASE("a host port is taken once on a node") {
  Object web = asking("x", "");
  web.edit({"spec"}).set("containers", read("[{name: c, ports: [{hostPort: 80, protocol: TCP}]}]"));
  const auto states = std::vector{node_state(node("a"), {web})};
  CHECK_EQ(filter(web, states[0], states).reasons[0], "node(s) didn't have free ports for the requested pod ports");
  Object udp = web;
  udp.edit({"spec"}).set("containers", read("[{name: c, ports: [{hostPort: 80, protocol: UDP}]}]"));
  CHECK(filter(udp, states[0], states).reasons.empty());
}

TEST_CASE("the least important pods that make room are preempted, and no more of them than needed") {
  const auto ranked = [](const std::string& name, int rank, const char* requests) {
    Object out = asking(name, requests);
    out.edit({"spec"}).set("priority", rank);
    return out;
  };
  const Object high = ranked("high", 100, "cpu: 2");
  const std::vector<NodeState> nodes{node_state(node("a"), {ranked("a1", 50, "cpu: 2"), ranked("a2", 10, "cpu: 2")}),
                                     node_state(node("b"), {ranked("b1", 60, "cpu: 3")}),
                                     node_state(node("c"), {ranked("c1", 200, "cpu: 4")})};
  const Preemption got = plan_preemption(high, nodes);
  CHECK_EQ(got.node, "a");
  REQUIRE_EQ(got.victims.size(), 1);
  CHECK_EQ(got.victims[0].name(), "a2");
  Object never = high;
  never.edit({"spec"}).set("preemptionPolicy", "Never");
  CHECK(plan_preemption(never, nodes).node.empty());
  CHECK(plan_preemption(ranked("low", 1, "cpu: 2"), nodes).node.empty());
}

TEST_CASE("tolerations match taints by key, value and effect") {
  struct Case {
    const char *tolerations, *taint;
    bool want;
  };
  for (const Case& c : {Case{"[]", "{key: a, effect: NoSchedule}", false},
                        Case{"[{operator: Exists}]", "{key: a, effect: NoSchedule}", true},
                        Case{"[{key: a, operator: Exists}]", "{key: a, value: x, effect: NoExecute}", true},
                        Case{"[{key: a, operator: Exists, effect: NoSchedule}]", "{key: a, effect: NoExecute}", false},
                        Case{"[{key: a, value: x}]", "{key: a, value: x, effect: NoSchedule}", true},
                        Case{"[{key: a, value: y}]", "{key: a, value: x, effect: NoSchedule}", false},
                        Case{"[{key: b, operator: Exists}]", "{key: a, effect: NoSchedule}", false}}) {
    CAPTURE(c.tolerations);
    CHECK_EQ(tolerates(read(c.tolerations), read(c.taint)), c.want);
  }
}

}  // namespace caisson::controllers
