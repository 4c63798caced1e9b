// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/replica_set.h"
#include "cluster/controllers/testing_objects.h"

namespace caisson::controllers {
using namespace testing;

TEST_CASE("a ReplicaSet makes what is missing and gives up what is too much") {
  struct Case {
    int want, have;
    std::int64_t create;
    std::size_t remove;
  };
  for (const Case& c : {Case{3, 0, 3, 0}, Case{3, 3, 0, 0}, Case{1, 3, 0, 2}, Case{0, 2, 0, 2}, Case{900, 0, 500, 0}}) {
    Object set = object("spec: {}");
    set.edit({"spec"}).set("replicas", c.want);
    std::vector<Object> pods;
    for (int i = 0; i < c.have; ++i) pods.push_back(pod({.name = "p" + std::to_string(i)}));
    const ReplicaSetPlan plan = plan_replicas(set, pods, pods, kNow);
    CHECK_EQ(plan.create, c.create);
    CHECK_EQ(plan.remove.size(), c.remove);
  }
}

TEST_CASE("victims are chosen as upstream ranks them: the useless, the cheap, the crowded, the young") {
  struct Case {
    const char* why;
    PodText first, second;
    std::vector<std::size_t> related;
  };
  for (const Case& c : {
           Case{"unassigned", {.name = "a", .node = ""}, {.name = "b"}, {}},
           Case{"pending", {.name = "a", .phase = "Pending"}, {.name = "b"}, {}},
           Case{"unknown before running", {.name = "a", .phase = "Unknown"}, {.name = "b"}, {}},
           Case{"not ready", {.name = "a", .ready = false}, {.name = "b"}, {}},
           Case{"cheap to lose", {.name = "a", .cost = "-5"}, {.name = "b"}, {}},
           Case{"cost before crowding", {.name = "a", .cost = "-5"}, {.name = "b"}, {1, 9}},
           Case{"on a crowded node", {.name = "a"}, {.name = "b"}, {3, 1}},
           Case{"ready for a shorter time", {.name = "a", .ready_s = 10}, {.name = "b", .ready_s = 1000}, {}},
           Case{"restarted more often", {.name = "a", .restarts = 4}, {.name = "b", .restarts = 1}, {}},
           Case{"younger", {.name = "a", .age_s = 10}, {.name = "b", .age_s = 10000}, {}},
           Case{"unready beats restarts", {.name = "a", .ready = false}, {.name = "b", .restarts = 9}, {}},
       }) {
    CAPTURE(c.why);
    CHECK_EQ(in_deletion_order({pod(c.second), pod(c.first)},
                               c.related.empty() ? c.related : std::vector{c.related[1], c.related[0]}, kNow)[0]
                 .name(),
             "a");
    CHECK_EQ(in_deletion_order({pod(c.first), pod(c.second)}, c.related, kNow)[0].name(), "a");
  }
}

TEST_CASE("a ReplicaSet's status counts its pods and keeps zero out") {
  const Object set = object(
      "{metadata: {generation: 2}, spec: {replicas: 3, minReadySeconds: 60, template: {metadata: {labels: {a: b}}}}}");
  Object labelled = pod({.name = "a", .ready_s = 100});
  labelled.set_label("a", "b");
  const Value status = replica_set_status(
      set, {labelled, pod({.name = "c", .ready_s = 10}), pod({.name = "d", .ready = false})}, "", "", kNow);
  CHECK(status ==
        read("{replicas: 3, fullyLabeledReplicas: 1, readyReplicas: 2, availableReplicas: 1, observedGeneration: 2}"));
  CHECK(replica_set_status(set, {}, "", "", kNow) == read("{replicas: 0, observedGeneration: 2}"));
  Object failing = set;
  failing.edit().set("status", replica_set_status(set, {}, "FailedCreate", "exceeded quota", kNow));
  CHECK_EQ(kube::condition(failing, "ReplicaFailure")["message"].str(), "exceeded quota");
  CHECK_FALSE(replica_set_status(failing, {}, "", "", kNow).contains("conditions"));
}

TEST_CASE("a pod of a template carries its owner's trace beside the template") {
  const Object owner = object(
      "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-1, namespace: shop, uid: u1, annotations: "
      "{caisson.dev/traceparent: 00-1-2-01}}}");
  const Value pod_template =
      read("{metadata: {labels: {app: web}, annotations: {a: b}}, spec: {containers: [{name: c}]}}");
  const Object made = pod_from_template(owner, pod_template, "web-1-");
  CHECK(made.value() == read(R"(apiVersion: v1
kind: Pod
metadata:
  generateName: web-1-
  namespace: shop
  labels: {app: web}
  annotations: {a: b, caisson.dev/traceparent: 00-1-2-01}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: u1, controller: true, blockOwnerDeletion: true}]
spec: {containers: [{name: c}]}
)"));
}

TEST_CASE("a template's hash depends on its content and the collision count only") {
  const Value a = read("{metadata: {labels: {app: web, pod-template-hash: x}}, spec: {a: 1, b: 2}}");
  const Value b = read("{spec: {b: 2, a: 1}, metadata: {labels: {app: web}}}");
  CHECK_EQ(template_hash(a, 0), template_hash(b, 0));
  CHECK_NE(template_hash(a, 0), template_hash(a, 1));
  CHECK(same_template(a, b));
  CHECK_NE(template_hash(a, 0), template_hash(read("{spec: {a: 1, b: 3}}"), 0));
  CHECK(
      same_template(read("{metadata: {labels: {pod-template-hash: x}}, spec: {}}"), read("{metadata: {}, spec: {}}")));
}

}  // namespace caisson::controllers
