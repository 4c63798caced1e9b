// SPDX-License-Identifier: Apache-2.0
// Numbers: upstream's own tables (pkg/controller/deployment/rolling_test.go, util/deployment_util_test.go,
// sync_test.go; v1.33).
#include "cluster/controllers/deployment.h"
#include "cluster/controllers/testing_objects.h"

namespace caisson::controllers {
using namespace testing;

namespace {

Object deployment(int replicas, const char* surge, const char* unavailable) {
  return object(
      "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop, uid: d, generation: 2}, spec: "
      "{replicas: " +
      std::to_string(replicas) +
      ", revisionHistoryLimit: 2, progressDeadlineSeconds: 600, strategy: {type: RollingUpdate, rollingUpdate: "
      "{maxSurge: " +
      surge + ", maxUnavailable: " + unavailable +
      "}}, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {v: new}}}}");
}

// A ReplicaSet of `version` with so many wanted and available pods; older for smaller ages.
Object set(const std::string& version, int replicas, int available, int age_s = 0) {
  Object out = object(
      "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {namespace: shop}, spec: {template: {metadata: {labels: {app: "
      "web}}, spec: {}}}}");
  out.edit({"metadata"}).set("name", "web-" + version);
  out.edit({"metadata"}).set("uid", version);
  out.edit({"metadata"}).set("creationTimestamp", ago(age_s));
  out.edit({"spec"}).set("replicas", replicas);
  out.edit({"spec", "template", "spec"}).set("v", version);
  out.edit({"status"}).set("replicas", replicas);
  out.edit({"status"}).set("readyReplicas", available);
  out.edit({"status"}).set("availableReplicas", available);
  return out;
}

std::string text(const std::vector<Scale>& scales) {
  std::string out;
  for (const Scale& s : scales)
    out += (out.empty() ? "" : " ") + s.replica_set.name() + "=" + std::to_string(s.replicas);
  return out;
}

}  // namespace

TEST_CASE("surge rounds up, unavailability down, and one pod at least may be missing") {
  struct Case {
    int replicas;
    const char *surge, *unavailable;
    std::int64_t want_surge, want_unavailable;
  };
  for (const Case& c :
       {Case{10, "25%", "25%", 3, 2}, Case{10, "0", "0", 0, 1}, Case{1, "25%", "25%", 1, 0}, Case{4, "1", "0", 1, 0},
        Case{3, "100%", "100%", 3, 3}, Case{0, "1", "1", 1, 0}, Case{2, "0", "5", 0, 2}, Case{10, "0%", "5%", 0, 1}}) {
    CAPTURE(c.replicas);
    const Fences got = fences(deployment(c.replicas, c.surge, c.unavailable));
    CHECK_EQ(got.surge, c.want_surge);
    CHECK_EQ(got.unavailable, c.want_unavailable);
  }
}

TEST_CASE("a set that was told to shrink and has not yet keeps both fences") {
  Object late = set("old", 3, 3, 100);
  late.edit({"spec"}).set("replicas", 2);
  const Object web = deployment(3, "1", "0");
  CHECK_EQ(text(plan_rolling(web, {set("new", 1, 1), {late}})), "");           // a second new pod would be the fifth
  CHECK_EQ(text(plan_rolling(web, {set("new", 2, 2), {late}})), "web-old=1");  // and not 0
}

TEST_CASE("each step of a rolling update keeps both fences") {
  struct Case {
    const char* why;
    int replicas;
    const char *surge, *unavailable;
    std::pair<int, int> current, old;  // wanted, available
    const char* want;
  };
  for (const Case& c : {
           Case{"begin with the surge", 10, "2", "0", {0, 0}, {10, 10}, "web-new=2"},
           Case{"without surge the old goes first", 10, "0", "2", {0, 0}, {10, 10}, "web-old=8"},
           Case{"then the new fills up", 10, "0", "2", {0, 0}, {8, 8}, "web-new=2"},
           Case{"wait for the new to be available", 10, "0", "2", {2, 0}, {8, 8}, ""},
           Case{"the available new lets old ones go", 10, "2", "0", {2, 2}, {10, 10}, "web-old=8"},
           Case{
               "unhealthy old ones go even while the new is not available", 10, "0", "2", {2, 0}, {10, 8}, "web-old=8"},
           Case{"more unhealthy ones than the fence", 10, "2", "2", {2, 0}, {10, 4}, "web-old=8"},
           Case{"too large a new set shrinks", 5, "1", "0", {8, 8}, {0, 0}, "web-new=5"},
           Case{"done", 10, "2", "0", {10, 10}, {0, 0}, ""},
           Case{"last step", 10, "25%", "25%", {10, 10}, {2, 2}, "web-old=0"},
           Case{"one replica: the new must be there first", 1, "25%", "25%", {0, 0}, {1, 1}, "web-new=1"},
           Case{"one replica: not before it is available", 1, "25%", "25%", {1, 0}, {1, 1}, ""},
           Case{"one replica: then the old goes", 1, "25%", "25%", {1, 1}, {1, 1}, "web-old=0"},
       }) {
    CAPTURE(c.why);
    ReplicaSets sets{set("new", c.current.first, c.current.second), {set("old", c.old.first, c.old.second, 100)}};
    CHECK_EQ(text(plan_rolling(deployment(c.replicas, c.surge, c.unavailable), sets)), c.want);
  }
}

TEST_CASE("of several old sets the oldest is emptied first, the unhealthy before") {
  const Object d = deployment(10, "0", "3");
  ReplicaSets sets{set("new", 0, 0), {set("a", 4, 4, 300), set("b", 6, 6, 200)}};
  CHECK_EQ(text(plan_rolling(d, sets)), "web-a=1");
  sets.old = {set("a", 4, 4, 300), set("b", 6, 4, 200)};
  CHECK_EQ(text(plan_rolling(d, sets)), "web-a=3 web-b=4");
}

TEST_CASE("recreation waits until the old pods are gone") {
  Object d = deployment(3, "1", "0");
  d.edit({"spec"}).set("strategy", read("{type: Recreate}"));
  CHECK_EQ(text(plan_recreate(d, {std::nullopt, {set("old", 3, 3)}}, true)), "web-old=0");
  CHECK_EQ(text(plan_recreate(d, {set("new", 0, 0), {set("old", 0, 0)}}, true)), "");
  CHECK_EQ(text(plan_recreate(d, {set("new", 0, 0), {set("old", 0, 0)}}, false)), "web-new=3");
}

TEST_CASE("scaling during a rollout keeps the proportions of the sets") {
  struct Case {
    const char* why;
    int from, to;
    std::pair<int, int> sizes;
    const char* want;
  };  // new, old
  for (const Case& c : {
           Case{"up", 10, 20, {5, 5}, "web-new=10 web-old=10"},
           Case{"down", 10, 5, {5, 5}, "web-old=2 web-new=3"},
           Case{"to nothing", 10, 0, {5, 5}, "web-old=0 web-new=0"},
           Case{"uneven", 10, 15, {3, 7}, "web-old=11 web-new=4"},
       }) {
    CAPTURE(c.why);
    Object d = deployment(c.to, "0", "1");
    ReplicaSets sets{set("new", c.sizes.first, c.sizes.first), {set("old", c.sizes.second, c.sizes.second, 100)}};
    annotate_size(*sets.current, c.from, c.from);
    annotate_size(sets.old[0], c.from, c.from);
    CHECK(is_scaling(d, sets));
    CHECK_EQ(text(plan_scale(d, sets)), c.want);
  }
  ReplicaSets only{set("new", 3, 3), {set("old", 0, 0, 100)}};
  CHECK_EQ(text(plan_scale(deployment(5, "1", "0"), only)), "web-new=5");
  CHECK_EQ(text(plan_scale(deployment(3, "1", "0"), only)), "");
}

TEST_CASE("a rollback gives the old ReplicaSet the next revision and remembers the one it had") {
  const Object d = deployment(1, "1", "0");
  Object first = set("new", 1, 1, 100), second = set("old", 1, 1);
  first.set_annotation("deployment.kubernetes.io/revision", "1");
  second.set_annotation("deployment.kubernetes.io/revision", "2");
  const ReplicaSets sets = sort_out(d, {second, first});
  REQUIRE(sets.current);
  CHECK_EQ(sets.current->name(), "web-new");
  Object current = *sets.current;
  CHECK(annotate(d, current, next_revision(sets.old), true));
  CHECK_EQ(revision(current), 3);
  CHECK_EQ(current.annotation("deployment.kubernetes.io/revision-history"), "1");
  CHECK_FALSE(annotate(d, current, next_revision(sets.old), true));
}

TEST_CASE("a new ReplicaSet has the template, the hash and the trace of its deployment") {
  Object d = deployment(3, "1", "0");
  d.set_annotation("caisson.dev/traceparent", "00-1-2-01");
  d.set_annotation("kubectl.kubernetes.io/last-applied-configuration", "{}");
  const Object made = make_replica_set(d, 4);
  const std::string hash = template_hash(d.spec()["template"], 0);
  CHECK_EQ(made.name(), "web-" + hash);
  CHECK_EQ(made.label("pod-template-hash"), hash);
  CHECK_EQ(made.spec()["selector"]["matchLabels"]["pod-template-hash"].str(), hash);
  CHECK_EQ(made.annotation("deployment.kubernetes.io/revision"), "4");
  CHECK_EQ(made.annotation("deployment.kubernetes.io/desired-replicas"), "3");
  CHECK_EQ(made.annotation("deployment.kubernetes.io/max-replicas"), "4");
  CHECK_EQ(made.annotation("caisson.dev/traceparent"), "00-1-2-01");
  CHECK(made.annotation("kubectl.kubernetes.io/last-applied-configuration").empty());
  CHECK_FALSE(made.spec()["template"]["metadata"].contains("annotations"));
  CHECK(same_template(made.spec()["template"], d.spec()["template"]));
  Object later = made;
  d.set_annotation("caisson.dev/traceparent", "00-9-9-01");
  CHECK_FALSE(annotate(d, later, 4, true));
}

TEST_CASE("old ReplicaSets beyond the history limit go, the lowest revisions first, never one with pods") {
  const Object d = deployment(1, "1", "0");
  std::vector<Object> old;
  for (int i = 1; i <= 5; ++i) {
    old.push_back(set("r" + std::to_string(i), i == 2 ? 1 : 0, 0));
    old.back().set_annotation("deployment.kubernetes.io/revision", std::to_string(i));
  }
  const auto gone = plan_cleanup(d, old);
  REQUIRE_EQ(gone.size(), 2);
  CHECK_EQ(gone[0].name(), "web-r1");
  CHECK_EQ(gone[1].name(), "web-r3");
}

TEST_CASE("the conditions of a rollout say what upstream says") {
  Object d = deployment(2, "1", "0");
  ReplicaSets sets{set("new", 1, 0), {set("old", 2, 2, 100)}};
  d.edit().set("status", rollout_status(d, sets, kNow));
  CHECK_EQ(kube::condition(d, "Available")["reason"].str(), "MinimumReplicasAvailable");
  CHECK_EQ(kube::condition(d, "Progressing")["reason"].str(), "ReplicaSetUpdated");
  CHECK_EQ(kube::condition(d, "Progressing")["message"].str(), "ReplicaSet \"web-new\" is progressing.");
  CHECK_EQ(d.status()["unavailableReplicas"].as_int(), 1);

  // Nothing moves for longer than the deadline.
  const Time late = kNow + std::chrono::seconds(601);
  CHECK_EQ(*until_deadline(d, d.status(), kNow + std::chrono::seconds(100)), Duration(std::chrono::seconds(501)));
  Object stuck = d;
  stuck.edit().set("status", rollout_status(d, sets, late));
  CHECK_EQ(kube::condition(stuck, "Progressing")["reason"].str(), "ProgressDeadlineExceeded");
  CHECK_EQ(kube::condition(stuck, "Progressing")["message"].str(), "ReplicaSet \"web-new\" has timed out progressing.");
  CHECK_FALSE(until_deadline(stuck, stuck.status(), late));

  // It arrives after all; later silence is no failure.
  sets = {set("new", 2, 2), {set("old", 0, 0, 100)}};
  stuck.edit().set("status", rollout_status(stuck, sets, late));
  CHECK(is_complete(stuck, stuck.status()));
  CHECK_EQ(kube::condition(stuck, "Progressing")["message"].str(),
           "ReplicaSet \"web-new\" has successfully progressed.");
  const Value settled = rollout_status(stuck, sets, late + std::chrono::hours(5));
  CHECK(settled == stuck.status());
}

TEST_CASE("a failing ReplicaSet shows in its deployment, and stops showing") {
  Object d = deployment(2, "1", "0");
  ReplicaSets sets{set("new", 2, 0), {}};
  kube::set_condition(*sets.current, "ReplicaFailure", true, "FailedCreate", "exceeded quota", kNow);
  d.edit().set("status", rollout_status(d, sets, kNow));
  CHECK_EQ(kube::condition(d, "ReplicaFailure")["message"].str(), "exceeded quota");
  sets.current = set("new", 2, 0);
  d.edit().set("status", rollout_status(d, sets, kNow));
  CHECK(kube::condition(d, "ReplicaFailure").is_null());
}

TEST_CASE("a pause shows in Progressing and passes") {
  Object d = deployment(2, "1", "0");
  d.edit({"spec"}).set("paused", true);
  Value status = Value::map();
  CHECK(note_pause(d, status, kNow));
  CHECK_EQ(find_condition(status, "Progressing")["reason"].str(), "DeploymentPaused");
  CHECK_FALSE(note_pause(d, status, kNow));
  d.edit({"spec"}).set("paused", false);
  CHECK(note_pause(d, status, kNow));
  CHECK_EQ(find_condition(status, "Progressing")["reason"].str(), "DeploymentResumed");
  CHECK_FALSE(note_pause(d, status, kNow));
}

}  // namespace caisson::controllers
