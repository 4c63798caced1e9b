// SPDX-License-Identifier: Apache-2.0
// StatefulSet, DaemonSet, CronJob: their plans.
#include "cluster/controllers/cron_job.h"
#include "cluster/controllers/daemon_set.h"
#include "cluster/controllers/revisions.h"
#include "cluster/controllers/stateful_set.h"
#include "cluster/controllers/testing_objects.h"
#include "core/calendar/tzif_test.h"

namespace caisson::controllers {
using namespace testing;

namespace {

Object revision(const std::string& name, int image) {
  return object("{metadata: {name: " + name +
                "}, data: {spec: {template: {$patch: replace, metadata: {labels: {app: w}}, spec: {v: " +
                std::to_string(image) + "}}}}}");
}
Object stateful(int replicas, const std::string& more = "") {
  return object(
      "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: w, namespace: shop, uid: s}, spec: {serviceName: w, "
      "replicas: " +
      std::to_string(replicas) + (more.empty() ? "" : ", " + more) + "}, status: {currentReplicas: 9}}");
}
// "0u" is pod 0 of the update revision, ready; "-" not ready, "!" being deleted.
std::vector<Object> ordinals(const std::string& words) {
  std::vector<Object> out;
  for (std::size_t at = 0; at < words.size();) {
    const auto end = std::min(words.find(' ', at), words.size());
    const std::string word = words.substr(at, end - at);
    out.push_back(pod({.name = "w-" + word.substr(0, 1), .ready = word.find('-') == std::string::npos}));
    out.back().set_label("controller-revision-hash", word.find('u') != std::string::npos ? "w-u" : "w-c");
    if (word.find('!') != std::string::npos) out.back().edit({"metadata"}).set("deletionTimestamp", ago(1));
    at = end + 1;
  }
  return out;
}
std::string names(const std::vector<Object>& pods) {
  std::string out;
  for (const Object& pod : pods) out += (out.empty() ? "" : " ") + pod.name();
  return out;
}

}  // namespace

TEST_CASE("a StatefulSet goes one by one: up in order, down and over from the end, never past one that is not ready") {
  struct Case {
    const char* why;
    Object set;
    const char *pods, *create, *remove;
  };
  for (const Case& c : {
           Case{"first", stateful(3), "", "w-0", ""},
           Case{"the next waits", stateful(3), "0u-", "", ""},
           Case{"the next", stateful(3), "0u", "w-1", ""},
           Case{"a hole is filled first", stateful(3), "0u 2u", "w-1", ""},
           Case{"parallel", stateful(3, "podManagementPolicy: Parallel"), "", "w-0 w-1 w-2", ""},
           Case{"down from the end", stateful(1), "0u 1u 2u", "", "w-2"},
           Case{"down one at a time", stateful(1), "0u 1u 2u!", "", ""},
           Case{"update from the end", stateful(3), "0c 1c 2c", "", "w-2"},
           Case{"update waits for the last", stateful(3), "0c 1c 2u-", "", ""},
           Case{"update goes on", stateful(3), "0c 1c 2u", "", "w-1"},
           Case{"partition", stateful(3, "updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}"),
                "0c 1c 2u", "", ""},
           Case{"on delete", stateful(3, "updateStrategy: {type: OnDelete}"), "0c 1c 2c", "", ""},
           Case{"ordinals start at", stateful(1, "ordinals: {start: 5}"), "", "w-5", ""},
       }) {
    CAPTURE(c.why);
    const StatefulSetPlan plan =
        plan_stateful_set(c.set, ordinals(c.pods), revision("w-c", 1), revision("w-u", 2), kNow);
    CHECK_EQ(names(plan.create), c.create);
    CHECK_EQ(names(plan.remove), c.remove);
  }
}

TEST_CASE("a StatefulSet's pod has its name, its host name and its own claims") {
  const Object set =
      stateful(1, "selector: {matchLabels: {app: w}}, volumeClaimTemplates: [{metadata: {name: data}, spec: {a: b}}]");
  const StatefulSetPlan plan = plan_stateful_set(set, {}, revision("w-c", 1), revision("w-u", 2), kNow);
  REQUIRE_EQ(plan.create.size(), 1);
  const Object& made = plan.create[0];
  CHECK_EQ(made.spec()["hostname"].str(), "w-0");
  CHECK_EQ(made.spec()["subdomain"].str(), "w");
  CHECK_EQ(made.label("apps.kubernetes.io/pod-index"), "0");
  CHECK_EQ(made.label("controller-revision-hash"), "w-c");  // below what still is current
  CHECK(made.spec()["volumes"] == read("[{name: data, persistentVolumeClaim: {claimName: data-w-0}}]"));
  CHECK(claims_for(set, 0)[0].metadata()["labels"] == read("{app: w}"));
}

TEST_CASE("a StatefulSet's status ends the rollout when all are new and ready") {
  const Value status =
      plan_stateful_set(stateful(2), ordinals("0u 1u"), revision("w-c", 1), revision("w-u", 2), kNow).status;
  CHECK_EQ(status["currentRevision"].str(), "w-u");
  CHECK_EQ(status["currentReplicas"].as_int(), 2);
  const Value half =
      plan_stateful_set(stateful(2), ordinals("0c 1u"), revision("w-c", 1), revision("w-u", 2), kNow).status;
  CHECK_EQ(half["currentRevision"].str(), "w-c");
  CHECK_EQ(half["currentReplicas"].as_int(), 1);
  CHECK_EQ(half["updatedReplicas"].as_int(), 1);
}

TEST_CASE("a DaemonSet has one pod on each node that will have it, and replaces so many at a time") {
  const auto node = [](const std::string& name, const char* taints = "[]") {
    return object("{metadata: {name: " + name + "}, spec: {taints: " + taints + "}}");
  };
  const auto on = [](const std::string& node, const char* hash, bool ready = true) {
    Object out = pod({.name = "d-" + node, .node = node, .ready = ready});
    out.set_label("controller-revision-hash", hash);
    return out;
  };
  const Object set = object(
      "{metadata: {name: d, namespace: shop, generation: 1}, spec: {template: {metadata: {labels: {app: d}}, spec: "
      "{}}}}");
  DaemonSetPlan plan = plan_daemon_set(set, {node("a"), node("b"), node("c", "[{key: x, effect: NoSchedule}]")},
                                       {on("a", "h")}, "h", kNow);
  CHECK(plan.create == std::vector<std::string>{"b"});
  CHECK(plan.status == read("{currentNumberScheduled: 1, numberMisscheduled: 0, desiredNumberScheduled: 2, "
                            "numberReady: 1, observedGeneration: 1, "
                            "updatedNumberScheduled: 1, numberAvailable: 1, numberUnavailable: 1}"));
  CHECK_EQ(names(plan_daemon_set(set, {node("a"), node("b")}, {on("a", "old"), on("b", "old")}, "h", kNow).remove),
           "d-a");
  CHECK_EQ(names(plan_daemon_set(set, {node("a"), node("b")}, {on("a", "h", false), on("b", "old")}, "h", kNow).remove),
           "");
  CHECK_EQ(
      names(plan_daemon_set(set, {node("a"), node("b")}, {on("a", "old", false), on("b", "old")}, "h", kNow).remove),
      "d-a");
  CHECK_EQ(names(plan_daemon_set(set, {node("a", "[{key: x, effect: NoExecute}]")}, {on("a", "h")}, "h", kNow).remove),
           "d-a");
  Object surging = set;
  surging.edit({"spec"}).set("updateStrategy",
                             read("{type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}"));
  plan = plan_daemon_set(surging, {node("a"), node("b")}, {on("a", "old"), on("b", "old")}, "h", kNow);
  CHECK_EQ(plan.create.size(), 1);
  CHECK(plan.remove.empty());
  const Object made = daemon_pod(set, "a", "h");
  CHECK_EQ(made.spec()["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
                      ["nodeSelectorTerms"][0]["matchFields"][0]["values"][0]
                          .str(),
           "a");
  CHECK_EQ(made.spec()["tolerations"].size(), 6);
}

TEST_CASE("cron schedules are read, and the next time is found") {
  struct Case {
    const char *text, *after, *want;
  };
  for (const Case& c : {Case{"* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z"},
                        Case{"*/15 * * * *", "2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"},
                        Case{"0 3 * * mon-fri", "2026-01-02T03:00:00Z", "2026-01-05T03:00:00Z"},
                        Case{"30 4 1 */2 *", "2026-01-02T00:00:00Z", "2026-03-01T04:30:00Z"},
                        Case{"0 0 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"},
                        Case{"0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
                        Case{"@hourly", "2026-01-01T00:59:59Z", "2026-01-01T01:00:00Z"},
                        Case{"@every 90s", "2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z"},
                        Case{"5,10-12 * * * *", "2026-01-01T00:05:00Z", "2026-01-01T00:10:00Z"}}) {
    CAPTURE(c.text);
    const auto schedule = CronSchedule::parse(c.text);
    REQUIRE(schedule.ok());
    const auto next = schedule->next(*parse_time(c.after));
    REQUIRE(next);
    CHECK_EQ(format_time(*next), c.want);
  }
  for (const char* text : {"", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "*/0 * * * *", "5-1 * * * *",
                           "* * * foo *", "@every x", "@noon"}) {
    CAPTURE(text);
    CHECK_FALSE(CronSchedule::parse(text).ok());
  }
  CHECK_FALSE(CronSchedule::parse("0 0 31 2 *")->next(kNow));
}

TEST_CASE("a schedule follows the clock of its zone through changes of clocks") {
  const auto zone = calendar::TimeZone::parse("there", calendar::testing::tzif({{0, 0}}, calendar::testing::kBerlin));
  REQUIRE(zone);
  const auto next = [&](const char* schedule, const char* after) {
    const auto found = CronSchedule::parse(schedule).value().next(parse_time(after).value(), zone.get());
    return found ? format_time(*found) : "never";
  };
  CHECK(next("0 9 * * *", "2026-01-10T00:00:00Z") == "2026-01-10T08:00:00Z");
  CHECK(next("0 9 * * *", "2026-07-10T00:00:00Z") == "2026-07-10T07:00:00Z");
  CHECK(next("0 0 1 * *", "2026-06-15T00:00:00Z") == "2026-06-30T22:00:00Z");
  CHECK(next("30 2 * * *", "2026-03-28T12:00:00Z") == "2026-03-30T00:30:00Z");  // 02:30 is left out on the 29th
  CHECK(next("30 2 * * *", "2026-10-24T12:00:00Z") == "2026-10-25T00:30:00Z");  // and comes twice on 25 October
  CHECK(next("30 2 * * *", "2026-10-25T00:30:00Z") == "2026-10-25T01:30:00Z");
  CHECK(next("0 0 31 2 *", "2026-01-01T00:00:00Z") == "never");
}

TEST_CASE("of missed times only the latest runs, and none that is too late") {
  const auto hourly = CronSchedule::parse("@hourly");
  REQUIRE(hourly.ok());
  Object cron = object("{metadata: {name: c, creationTimestamp: '2026-01-01T00:30:00Z'}, spec: {}}");
  const Time now = *parse_time("2026-01-01T05:10:00Z");
  CHECK_EQ(format_time(*due_time(cron, *hourly, now).run), "2026-01-01T05:00:00Z");
  cron.edit({"spec"}).set("startingDeadlineSeconds", 60);
  CHECK_FALSE(due_time(cron, *hourly, now).run);
  CHECK_EQ(format_time(*due_time(cron, *hourly, now).missed), "2026-01-01T05:00:00Z");
  cron.edit({"status"}).set("lastScheduleTime", "2026-01-01T05:00:00Z");
  CHECK_FALSE(due_time(cron, *hourly, now).missed);
  CHECK_EQ(format_time(*due_time(cron, *hourly, now).next), "2026-01-01T06:00:00Z");
}

TEST_CASE("a CronJob keeps the last jobs of each kind") {
  const Object cron = object("{spec: {successfulJobsHistoryLimit: 1}}");
  std::vector<Object> jobs;
  for (const auto& [name, type, age] : {std::tuple{"a", "Complete", 30}, std::tuple{"b", "Complete", 20},
                                        std::tuple{"c", "Failed", 10}, std::tuple{"d", "Complete", 5}}) {
    jobs.push_back(object("{metadata: {name: " + std::string(name) + ", creationTimestamp: '" + ago(age) + "'}}"));
    kube::set_condition(jobs.back(), type, true, "", "", kNow);
  }
  CHECK_EQ(names(plan_job_history(cron, jobs)), "a b");
}

}  // namespace caisson::controllers
