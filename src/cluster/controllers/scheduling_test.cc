// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/scheduling.h"
#include "cluster/controllers/testing_objects.h"
#include "cluster/controllers/volume_topology.h"
#include "core/base/text.h"

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

namespace {
Object labelled_node(const std::string& name, const std::string& labels, const std::string& spec = "") {
  return object("{apiVersion: v1, kind: Node, metadata: {name: " + name + ", labels: {" + labels + "}}, spec: {" +
                spec + "}, status: {allocatable: {cpu: '4', memory: 8Gi, pods: '30'}}}");
}
Object pod_in(const std::string& ns, const std::string& name, const std::string& labels, const std::string& spec) {
  return object("{apiVersion: v1, kind: Pod, metadata: {name: " + name + ", namespace: " + ns + ", uid: " + name +
                ", labels: {" + labels + "}}, spec: {" + spec + (spec.empty() ? "" : ", ") +
                "containers: [{name: c}]}}");
}
std::string why_not(const Object& pod, const NodeState& state, const std::vector<NodeState>& all,
                    const VolumeDemand* volumes = nullptr) {
  return join(filter(pod, state, all, volumes).reasons, ", ");
}
std::string spread(const std::string& more) {
  return "topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: "
         "{matchLabels: {app: web}}" +
         (more.empty() ? "" : ", " + more) + "}]";
}
constexpr const char* kNoSpread = "node(s) didn't match pod topology spread constraints";
}  // namespace

TEST_CASE("a namespaceSelector stands for the namespaces that it matches, and for none when it matches none") {
  const std::vector<Object> namespaces{object("{metadata: {name: a, labels: {team: x}}}"),
                                       object("{metadata: {name: b}}")};
  const auto wanting = [](const std::string& selector) {
    return pod_in("shop", "p", "app: web",
                  "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, "
                  "labelSelector: {matchLabels: {app: db}}, "
                  "namespaceSelector: " +
                      selector + "}]}}");
  };
  const NodeState with_a = node_state(labelled_node("n", "zone: z"), {pod_in("a", "q", "app: db", "")});
  const NodeState with_own = node_state(labelled_node("n", "zone: z"), {pod_in("shop", "q", "app: db", "")});
  CHECK(why_not(resolved(wanting("{matchLabels: {team: x}}"), namespaces), with_a, {with_a}) ==
        "node(s) didn't match pod anti-affinity rules");
  CHECK(why_not(resolved(wanting("{matchLabels: {team: x}}"), namespaces), with_own, {with_own}).empty());
  CHECK(why_not(resolved(wanting("{matchLabels: {team: none}}"), namespaces), with_own, {with_own}).empty());
  CHECK(why_not(resolved(wanting("{}"), namespaces), with_a, {with_a}) ==
        "node(s) didn't match pod anti-affinity rules");
}

TEST_CASE("matchLabelKeys counts pods of the same revision only, mismatchLabelKeys those of others") {
  const NodeState crowded =
      node_state(labelled_node("n", "zone: z"), {pod_in("shop", "old", "app: web, rev: '1'", "")});
  const NodeState empty = node_state(labelled_node("m", "zone: y"), {});
  const std::vector<NodeState> all{crowded, empty};
  CHECK(why_not(pod_in("shop", "p", "app: web, rev: '2'", spread("")), crowded, all) == kNoSpread);
  CHECK(why_not(resolved(pod_in("shop", "p", "app: web, rev: '2'", spread("matchLabelKeys: [rev]")), {}), crowded, all)
            .empty());
  CHECK(why_not(resolved(pod_in("shop", "p", "app: web, rev: '1'", spread("matchLabelKeys: [rev]")), {}), crowded,
                all) == kNoSpread);
  const auto apart = [](const char* rev) {
    return pod_in("shop", "p", std::string("app: web, rev: '") + rev + "'",
                  "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, "
                  "labelSelector: {matchLabels: {app: web}}, "
                  "mismatchLabelKeys: [rev]}]}}");
  };
  CHECK(why_not(resolved(apart("1"), {}), crowded, all).empty());
  CHECK(why_not(resolved(apart("2"), {}), crowded, all) == "node(s) didn't match pod anti-affinity rules");
}

TEST_CASE("with fewer domains than minDomains each may hold maxSkew at most") {
  const NodeState a = node_state(labelled_node("a", "zone: x"), {pod_in("shop", "q", "app: web", "")});
  const NodeState b = node_state(labelled_node("b", "zone: y"), {pod_in("shop", "r", "app: web", "")});
  CHECK(why_not(pod_in("shop", "p", "app: web", spread("")), a, {a, b}).empty());
  CHECK(why_not(pod_in("shop", "p", "app: web", spread("minDomains: 2")), a, {a, b}).empty());
  CHECK(why_not(pod_in("shop", "p", "app: web", spread("minDomains: 3")), a, {a, b}) == kNoSpread);
}

TEST_CASE(
    "whether nodes that a pod can't go to count for its spread is for nodeAffinityPolicy and nodeTaintsPolicy to say") {
  const NodeState here = node_state(labelled_node("a", "zone: x, disk: ssd"), {pod_in("shop", "q", "app: web", "")});
  const NodeState other = node_state(labelled_node("b", "zone: y"), {});
  const NodeState tainted = node_state(labelled_node("b", "zone: y", "taints: [{key: k, effect: NoSchedule}]"), {});
  const auto pod = [](const std::string& more, const std::string& selector) {
    return pod_in("shop", "p", "app: web", spread(more) + selector);
  };
  CHECK(why_not(pod("", ", nodeSelector: {disk: ssd}"), here, {here, other}).empty());
  CHECK(why_not(pod("nodeAffinityPolicy: Ignore", ", nodeSelector: {disk: ssd}"), here, {here, other}) == kNoSpread);
  CHECK(why_not(pod("", ""), here, {here, tainted}) == kNoSpread);
  CHECK(why_not(pod("nodeTaintsPolicy: Honor", ""), here, {here, tainted}).empty());
}

namespace {
VolumeLookup lookup(const std::string& claim, const std::vector<std::string>& volumes,
                    const std::string& storage_class) {
  std::vector<Object> parsed;
  for (const std::string& text : volumes) parsed.push_back(object(text));
  return {[claim](const ObjectKey&) { return claim.empty() ? std::optional<Object>() : object(claim); },
          [parsed](const std::string& name) {
            for (const Object& one : parsed) {
              if (one.name() == name) return std::optional<Object>(one);
            }
            return std::optional<Object>();
          },
          [storage_class](const std::string&) {
            return storage_class.empty() ? std::optional<Object>() : object(storage_class);
          },
          [parsed] { return parsed; }};
}
std::string volume_on(const std::string& name, const std::string& zone, const std::string& more = "") {
  return "{apiVersion: v1, kind: PersistentVolume, metadata: {name: " + name +
         "}, spec: {storageClassName: c, capacity: {storage: 2Gi}, accessModes: [ReadWriteOnce], " + more +
         "nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [" +
         zone + "]}]}]}}}}";
}
const char* const kUsing = "volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]";
const char* const kUnbound =
    "{metadata: {name: data, namespace: shop}, spec: {storageClassName: c, accessModes: [ReadWriteOnce], resources: "
    "{requests: {storage: 1Gi}}}, status: {phase: Pending}}";
}  // namespace

TEST_CASE("a bound volume keeps its pods where it is") {
  const std::string bound = "{metadata: {name: data, namespace: shop}, spec: {volumeName: pv}, status: {phase: Bound}}";
  const Object pod = pod_in("shop", "p", "", kUsing);
  const VolumeDemand demand = volume_demand(pod, lookup(bound, {volume_on("pv", "x")}, ""));
  const NodeState near = node_state(labelled_node("a", "zone: x"), {}),
                  far = node_state(labelled_node("b", "zone: y"), {});
  CHECK(why_not(pod, near, {near, far}, &demand).empty());
  CHECK(why_not(pod, far, {near, far}, &demand) == "node(s) had volume node affinity conflict");
  CHECK(volume_demand(pod, lookup(bound, {}, "")).problem == "persistentvolume \"pv\" not found.");
  CHECK(volume_demand(pod, lookup("", {}, "")).problem == "persistentvolumeclaim \"data\" not found.");
}

TEST_CASE("a claim that waits for its first consumer needs a volume, or a class that makes one, for the node") {
  const Object pod = pod_in("shop", "p", "", kUsing);
  const NodeState near = node_state(labelled_node("a", "zone: x"), {}),
                  far = node_state(labelled_node("b", "zone: y"), {});
  const std::string none = "node(s) didn't find available persistent volumes to bind";
  const std::string fixed =
      "{metadata: {name: c}, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}";
  const VolumeDemand by_hand = volume_demand(pod, lookup(kUnbound, {volume_on("pv", "x")}, fixed));
  CHECK(by_hand.has_unbound());
  CHECK(why_not(pod, near, {near, far}, &by_hand).empty());
  CHECK(why_not(pod, far, {near, far}, &by_hand) == none);
  const VolumeDemand taken =
      volume_demand(pod, lookup(kUnbound, {volume_on("pv", "x", "claimRef: {namespace: shop, name: else}, ")}, fixed));
  CHECK(why_not(pod, near, {near, far}, &taken) == none);
  const std::string made =
      "{metadata: {name: c}, provisioner: example.com/disk, volumeBindingMode: WaitForFirstConsumer, "
      "allowedTopologies: [{matchLabelExpressions: [{key: zone, values: [y]}]}]}";
  const VolumeDemand by_class = volume_demand(pod, lookup(kUnbound, {}, made));
  CHECK(why_not(pod, near, {near, far}, &by_class) == none);
  CHECK(why_not(pod, far, {near, far}, &by_class).empty());
  CHECK(volume_demand(pod, lookup(kUnbound, {}, "{metadata: {name: c}, provisioner: x, volumeBindingMode: Immediate}"))
            .problem == "pod has unbound immediate PersistentVolumeClaims.");
}

TEST_CASE("preemption breaks a disruption budget only where nothing else helps") {
  const auto low = [](const std::string& name, const std::string& app) {
    return object("{apiVersion: v1, kind: Pod, metadata: {name: " + name + ", namespace: shop, uid: " + name +
                  ", labels: {app: " + app +
                  "}}, spec: {priority: 1, containers: [{name: c, resources: {requests: {cpu: '3'}}}]}}");
  };
  Object pod = asking("p", "cpu: '3'");
  pod.edit({"spec"}).set("priority", 10);
  const std::vector<NodeState> nodes{node_state(labelled_node("a", "zone: x"), {low("held", "held")}),
                                     node_state(labelled_node("b", "zone: y"), {low("free", "free")})};
  const Object budget = object(
      "{metadata: {name: b, namespace: shop}, spec: {selector: {matchLabels: {app: held}}}, status: "
      "{disruptionsAllowed: 0}}");
  CHECK(plan_preemption(pod, nodes, nullptr, {budget}).node == "b");
  CHECK(plan_preemption(pod, {nodes[0]}, nullptr, {budget}).node == "a");
}

}  // namespace caisson::controllers
