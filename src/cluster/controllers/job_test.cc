// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/job.h"
#include "cluster/controllers/testing_objects.h"

namespace caisson::controllers {
using namespace testing;

namespace {
Object job(const std::string& spec, const std::string& status = "startTime: '2023-11-14T22:13:00Z'") {
  return object("{apiVersion: batch/v1, kind: Job, metadata: {name: j, namespace: shop, uid: j1}, spec: {" + spec +
                (spec.empty() ? "" : ", ") +
                "backoffLimit: 2, template: {metadata: {}, spec: {containers: [{name: c}]}}}, status: {" + status +
                "}}");
}
Object job_pod(const std::string& name, const std::string& phase, bool tracked = true, int index = -1) {
  Object out = pod({.name = name, .phase = phase});
  if (tracked) out.add_finalizer(kJobTracking);
  if (index >= 0) out.set_annotation(kCompletionIndex, std::to_string(index));
  return out;
}
std::string condition_reason(const Value& status, std::string_view type) {
  Object holder;
  holder.edit().set("status", status);
  return kube::condition(holder, type)["reason"].str();
}
}  // namespace

TEST_CASE("indexes are written as ranges and read back") {
  for (const char* text : {"", "0", "0,1", "0-2", "1,3-5,7"}) CHECK_EQ(format_indexes(parse_indexes(text)), text);
}

TEST_CASE("a job makes as many pods as may run now") {
  struct Case {
    const char* spec;
    std::vector<const char*> phases;
    std::size_t create, remove;
  };
  for (const Case& c :
       {Case{"parallelism: 1, completions: 1", {}, 1, 0}, Case{"parallelism: 2, completions: 5", {}, 2, 0},
        Case{"parallelism: 2, completions: 5", {"Running"}, 1, 0}, Case{"parallelism: 3, completions: 2", {}, 2, 0},
        Case{"parallelism: 1, completions: 3", {"Running", "Pending"}, 0, 1}, Case{"parallelism: 2", {"Running"}, 1, 0},
        Case{"parallelism: 2", {"Succeeded", "Running"}, 0, 0},
        Case{"parallelism: 2, suspend: true", {"Running"}, 0, 1}}) {
    CAPTURE(c.spec);
    std::vector<Object> pods;
    for (const char* phase : c.phases) pods.push_back(job_pod("p" + std::to_string(pods.size()), phase));
    const JobPlan plan = plan_job(job(c.spec), pods, kNow);
    CHECK_EQ(plan.create.size(), c.create);
    CHECK_EQ(plan.remove.size(), c.remove);
  }
}

TEST_CASE("each pod's end is counted once: noted, released, then part of the number") {
  Object j = job("parallelism: 1, completions: 2");
  Object ended = job_pod("a", "Succeeded");
  JobPlan plan = plan_job(j, {ended}, kNow);
  CHECK(plan.status["uncountedTerminatedPods"] == read("{succeeded: [uid-a]}"));
  CHECK_FALSE(plan.status.contains("succeeded"));
  CHECK_EQ(plan.release.size(), 1);
  CHECK_EQ(plan.create.size(), 1);  // it counts already for what is still to do

  j.edit().set("status", plan.status);
  CHECK(plan_job(j, {ended}, kNow).status == plan.status);  // again, after a crash before the release
  ended.remove_finalizer(kJobTracking);
  plan = plan_job(j, {ended}, kNow);
  CHECK_EQ(plan.status["succeeded"].as_int(), 1);
  CHECK(plan.status["uncountedTerminatedPods"] == Value::map());
  j.edit().set("status", plan.status);
  CHECK_EQ(plan_job(j, {ended}, kNow).status["succeeded"].as_int(), 1);
  CHECK_EQ(plan_job(j, {}, kNow).status["succeeded"].as_int(), 1);  // the pod may go
}

TEST_CASE("a job completes when all is counted and nothing runs") {
  Object j = job("parallelism: 1, completions: 1");
  Object ended = job_pod("a", "Succeeded");
  JobPlan plan = plan_job(j, {ended}, kNow);
  CHECK_EQ(condition_reason(plan.status, "SuccessCriteriaMet"), "CompletionsReached");
  CHECK_EQ(condition_reason(plan.status, "Complete"), "");
  j.edit().set("status", plan.status);
  ended.remove_finalizer(kJobTracking);
  plan = plan_job(j, {ended}, kNow);
  CHECK_EQ(condition_reason(plan.status, "Complete"), "CompletionsReached");
  CHECK_EQ(plan.status["completionTime"].str(), format_time(kNow));
}

TEST_CASE("a job fails by its limits") {
  struct Case {
    const char *spec, *status;
    std::vector<Object> pods;
    const char* want;
  };
  Object exited = job_pod("x", "Failed");
  exited.edit({"status"}).set("containerStatuses", read("[{name: c, state: {terminated: {exitCode: 42}}}]"));
  Object one = job_pod("i", "Failed", true, 1), zero = job_pod("o", "Succeeded", true, 0);
  for (const Case& c : {
           Case{"parallelism: 1, completions: 1",
                "startTime: '2023-11-14T22:13:00Z', failed: 2",
                {job_pod("a", "Failed")},
                "BackoffLimitExceeded"},
           Case{"parallelism: 1, completions: 1, activeDeadlineSeconds: 10",
                "startTime: '2023-11-14T22:13:00Z'",
                {job_pod("a", "Running")},
                "DeadlineExceeded"},
           Case{"parallelism: 1, completions: 1, podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: "
                "In, values: [42]}}]}",
                "startTime: '2023-11-14T22:13:00Z'",
                {exited},
                "PodFailurePolicy"},
           Case{"parallelism: 2, completions: 2, completionMode: Indexed, backoffLimitPerIndex: 0",
                "startTime: '2023-11-14T22:13:00Z'",
                {zero, one},
                "FailedIndexes"},
           Case{"parallelism: 1, completions: 1, podFailurePolicy: {rules: [{action: Ignore, onExitCodes: {operator: "
                "In, values: [42]}}]}",
                "startTime: '2023-11-14T22:13:00Z', failed: 2",
                {exited},
                ""},
       }) {
    CAPTURE(c.spec);
    CHECK_EQ(condition_reason(plan_job(job(c.spec, c.status), c.pods, kNow).status, "FailureTarget"), c.want);
  }
}

TEST_CASE("after a failure the next pod waits, longer each time") {
  const Object j = job("parallelism: 1, completions: 1");
  Object failed = job_pod("a", "Failed");
  failed.edit({"status"})
      .set("containerStatuses", read("[{state: {terminated: {exitCode: 1, finishedAt: '" + ago(4) + "'}}}]"));
  JobPlan plan = plan_job(j, {failed}, kNow);
  CHECK(plan.create.empty());
  CHECK(plan.again == std::optional<Duration>(std::chrono::seconds(6)));
  CHECK_EQ(plan_job(j, {failed}, kNow + std::chrono::seconds(7)).create.size(), 1);
}

TEST_CASE("an indexed job gives each pod its index, and ends early by its success policy") {
  const Object j =
      job("parallelism: 3, completions: 3, completionMode: Indexed, successPolicy: {rules: [{succeededIndexes: '0'}]}");
  JobPlan plan = plan_job(j, {job_pod("a", "Running", true, 1)}, kNow);
  REQUIRE_EQ(plan.create.size(), 2);
  CHECK_EQ(plan.create[0].annotation(kCompletionIndex), "0");
  CHECK_EQ(plan.create[1].annotation(kCompletionIndex), "2");
  CHECK_EQ(plan.create[1].metadata()["generateName"].str(), "j-2-");
  CHECK_EQ(plan.create[1].spec()["hostname"].str(), "j-2");
  CHECK_EQ(plan.create[1].spec()["containers"][0]["env"][0]["name"].str(), "JOB_COMPLETION_INDEX");
  plan = plan_job(j, {job_pod("z", "Succeeded", true, 0), job_pod("a", "Running", true, 1)}, kNow);
  CHECK_EQ(condition_reason(plan.status, "SuccessCriteriaMet"), "SuccessPolicy");
  CHECK_EQ(plan.status["completedIndexes"].str(), "0");
  CHECK_EQ(plan.remove.size(), 1);
}

TEST_CASE("a finished job lives as long as it was given") {
  Object j = job("ttlSecondsAfterFinished: 30");
  CHECK_FALSE(time_to_live(j, kNow));
  kube::set_condition(j, "Complete", true, "", "", kNow);
  CHECK(time_to_live(j, kNow + std::chrono::seconds(10)) == std::optional<Duration>(std::chrono::seconds(20)));
  CHECK(time_to_live(j, kNow + std::chrono::seconds(99)) == std::optional<Duration>(Duration(0)));
}

}  // namespace caisson::controllers
