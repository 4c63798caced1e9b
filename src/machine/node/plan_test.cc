// SPDX-License-Identifier: Apache-2.0
#include "machine/node/plan.h"

#include <doctest/doctest.h>

#include "core/document/json.h"
#include "core/document/yaml.h"

using namespace caisson;
using namespace caisson::node;
using namespace std::chrono_literals;

namespace {

const Time kNow{1'700'000'000s};

kube::Object pod_from(const std::string& spec, const std::string& metadata = "{name: p, namespace: ns, uid: u}") {
  const auto value = yaml::read("apiVersion: v1\nkind: Pod\nmetadata: " + metadata + "\nspec: " + spec + "\n");
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return kube::Object(*value);
}

ContainerState running() {
  ContainerState state;
  state.phase = ContainerState::Phase::running;
  state.id = "id";
  state.start_passed = state.ready = true;
  return state;
}

ContainerState ended(int code, Duration ago = 1s, int crashes = 1) {
  ContainerState state;
  state.phase = ContainerState::Phase::terminated;
  state.id = "id";
  state.crashes = crashes;
  state.terminated = Terminated{code, code == 0 ? "Completed" : "Error", "", kNow - ago - 1s, kNow - ago, "id"};
  return state;
}

using States = std::map<std::string, ContainerState>;

std::string text_of(const Plan& plan) {
  std::string out;
  const auto add = [&out](const char* what, const std::vector<std::string>& names) {
    for (const auto& name : names) out += (out.empty() ? "" : " ") + std::string(what) + ":" + name;
  };
  add("start", plan.start);
  add("stop", plan.stop);
  add("skip", plan.skip);
  for (const auto& [name, left] : plan.back_off)
    out += (out.empty() ? "" : " ") + std::string("wait:") + name + ":" + format_duration(left);
  if (plan.finished) out += (out.empty() ? "" : " ") + std::string("finished");
  return out;
}

}  // namespace

TEST_CASE("what a pod needs next follows from its containers") {
  const std::string two = "containers: [{name: a}, {name: b}]";
  const std::string with_init = "initContainers: [{name: i}, {name: j}], containers: [{name: a}]";
  const std::string with_sidecar =
      "initContainers: [{name: s, restartPolicy: Always}, {name: i}], containers: [{name: a}]";
  struct Case {
    const char* name;
    std::string spec;
    States states;
    std::string want;
  };
  const Case cases[] = {
      {"new containers start together", two, {}, "start:a start:b"},
      {"a running pod needs nothing", two, {{"a", running()}, {"b", running()}}, ""},
      {"Always restarts at once after the first end", two, {{"a", ended(0)}, {"b", running()}}, "start:a"},
      {"the second crash waits ten seconds from its end", two, {{"a", ended(1, 4s, 2)}, {"b", running()}}, "wait:a:6s"},
      {"OnFailure leaves what succeeded",
       "restartPolicy: OnFailure, " + two,
       {{"a", ended(0)}, {"b", ended(2)}},
       "start:b"},
      {"OnFailure ends when all succeeded",
       "restartPolicy: OnFailure, " + two,
       {{"a", ended(0)}, {"b", ended(0)}},
       "finished"},
      {"Never ends with any code", "restartPolicy: Never, " + two, {{"a", ended(0)}, {"b", ended(2)}}, "finished"},
      {"Never waits for the last", "restartPolicy: Never, " + two, {{"a", ended(0)}, {"b", running()}}, ""},
      {"init containers come first", with_init, {}, "start:i"},
      {"one init container at a time", with_init, {{"i", running()}}, ""},
      {"the next init container", with_init, {{"i", ended(0)}}, "start:j"},
      {"the main ones after all init containers", with_init, {{"i", ended(0)}, {"j", ended(0)}}, "start:a"},
      {"a failed init container is tried again", with_init, {{"i", ended(1)}}, "start:i"},
      {"with Never a failed init container is the end",
       "restartPolicy: Never, " + with_init,
       {{"i", ended(1)}},
       "finished"},
      {"a sidecar starts, the rest waits for it", with_sidecar, {}, "start:s"},
      {"a started sidecar lets the next begin", with_sidecar, {{"s", running()}}, "start:i"},
      {"sidecars run beside the main container", with_sidecar, {{"s", running()}, {"i", ended(0)}}, "start:a"},
      {"a sidecar that ended starts again",
       with_sidecar,
       {{"s", ended(0)}, {"i", ended(0)}, {"a", running()}},
       "start:s"},
      {"sidecars stop when the work is done",
       "restartPolicy: Never, " + with_sidecar,
       {{"s", running()}, {"i", ended(0)}, {"a", ended(0)}},
       "stop:s"},
      {"of two sidecars the last stops first",
       "restartPolicy: Never, initContainers: [{name: z, restartPolicy: Always}, {name: b, restartPolicy: Always}], "
       "containers: [{name: a}]",
       {{"z", running()}, {"b", running()}, {"a", ended(0)}},
       "stop:b"},
      {"and the first after it",
       "restartPolicy: Never, initContainers: [{name: z, restartPolicy: Always}, {name: b, restartPolicy: Always}], "
       "containers: [{name: a}]",
       {{"z", running()}, {"b", ended(143)}, {"a", ended(0)}},
       "stop:z"},
      {"and then the pod has ended",
       "restartPolicy: Never, " + with_sidecar,
       {{"s", ended(143)}, {"i", ended(0)}, {"a", ended(0)}},
       "finished"},
  };
  for (const auto& c : cases) {
    PodState state;
    state.containers = c.states;
    CHECK_MESSAGE(text_of(plan(pod_from("{" + c.spec + "}"), state, kNow)) == c.want, c.name);
  }
}

TEST_CASE("a container that looks into a pod is started once, and goes with the others") {
  const std::string spec = "{containers: [{name: a}], ephemeralContainers: [{name: e}], restartPolicy: Never}";
  const auto pod = pod_from(spec);
  const auto planned = [&](States states) {
    PodState state;
    state.containers = std::move(states);
    return text_of(plan(pod, state, kNow));
  };
  CHECK(planned({{"a", running()}}) == "start:e");
  CHECK(planned({{"a", running()}, {"e", running()}}) == "");
  CHECK(planned({{"a", running()}, {"e", ended(1)}}) == "");
  CHECK(planned({{"a", ended(0)}, {"e", running()}}) == "stop:e");
  CHECK(planned({{"a", ended(0)}, {"e", ended(1)}}) == "finished");
  CHECK(planned({{"a", ended(0)}}) == "finished");
  PodState state;
  state.containers = {{"a", running()}, {"e", running()}};
  CHECK(pod_status(pod, state, "", false, kNow)["ephemeralContainerStatuses"][0]["name"].as_string() == "e");
}

TEST_CASE("ordered steps start one after another, and a failure skips the rest") {
  const std::string ordered =
      "{name: p, namespace: ns, uid: u, annotations: {caisson.dev/steps: ordered, caisson.dev/steps-continue: 'x, b'}}";
  const kube::Object pod = pod_from("{restartPolicy: Never, containers: [{name: a}, {name: b}, {name: c}]}", ordered);
  struct Case {
    States states;
    std::string want;
  };
  for (const auto& c : {Case{{}, "start:a"}, Case{{{"a", running()}}, ""}, Case{{{"a", ended(0)}}, "start:b"},
                        Case{{{"a", ended(3)}}, "skip:b skip:c"}, Case{{{"a", ended(0)}, {"b", ended(3)}}, "start:c"},
                        Case{{{"a", ended(3)}, {"b", ended(1)}, {"c", ended(1)}}, "finished"}}) {
    PodState state;
    state.containers = c.states;
    CHECK(text_of(plan(pod, state, kNow)) == c.want);
  }
}

TEST_CASE("restarts wait 0, 10 s, doubling to 5 min, and a calm run forgets") {
  const std::pair<int, Duration> cases[] = {{0, 0s},  {1, 0s},   {2, 10s},  {3, 20s},
                                            {4, 40s}, {6, 160s}, {7, 300s}, {50, 300s}};
  for (const auto& [crashes, delay] : cases) CHECK(restart_delay(crashes) == delay);
  CHECK(crashes_after(5, 9min) == 6);
  CHECK(crashes_after(5, 10min) == 1);
}

TEST_CASE("the phase says where the pod is") {
  struct Case {
    const char* name;
    std::string spec;
    States states;
    bool terminating;
    std::string want;
  };
  const std::string two = "containers: [{name: a}, {name: b}]";
  const Case cases[] = {
      {"nothing started", two, {}, false, "Pending"},
      {"one still waits", two, {{"a", running()}}, false, "Pending"},
      {"all run", two, {{"a", running()}, {"b", running()}}, false, "Running"},
      {"a crash under Always", two, {{"a", ended(1)}, {"b", running()}}, false, "Running"},
      {"all crashed under Always", two, {{"a", ended(1)}, {"b", ended(1)}}, false, "Running"},
      {"Never, all well", "restartPolicy: Never, " + two, {{"a", ended(0)}, {"b", ended(0)}}, false, "Succeeded"},
      {"Never, one failed", "restartPolicy: Never, " + two, {{"a", ended(0)}, {"b", ended(1)}}, false, "Failed"},
      {"ended by deletion", two, {{"a", ended(143)}, {"b", ended(0)}}, true, "Failed"},
      {"init goes on", "initContainers: [{name: i}], " + two, {{"i", running()}}, false, "Pending"},
      {"init failed for good",
       "restartPolicy: Never, initContainers: [{name: i}], " + two,
       {{"i", ended(1)}},
       false,
       "Failed"},
  };
  for (const auto& c : cases) {
    PodState state;
    state.containers = c.states;
    CHECK_MESSAGE(
        pod_status(pod_from("{" + c.spec + "}"), state, "h", c.terminating, kNow)["phase"].as_string() == c.want,
        c.name);
  }
}

TEST_CASE("a pod that is being ended is not ready, and times move only with the status") {
  kube::Object pod = pod_from("{containers: [{name: a}]}");
  PodState state;
  state.containers = {{"a", running()}};
  pod.edit().set("status", pod_status(pod, state, "h", false, kNow));
  CHECK(kube::condition_is_true(pod, "Ready"));
  const Value again = pod_status(pod, state, "h", false, kNow + 1h);
  CHECK(again == pod.status());
  const Value ending = pod_status(pod, state, "h", true, kNow + 1h);
  pod.edit().set("status", ending);
  CHECK_FALSE(kube::condition_is_true(pod, "Ready"));
  CHECK(kube::condition(pod, "Ready")["lastTransitionTime"].as_string() == format_time(kNow + 1h));
  CHECK_FALSE(ending["containerStatuses"][0]["ready"].as_bool());
}

TEST_CASE("conditions of others and readiness gates count") {
  kube::Object pod = pod_from("{readinessGates: [{conditionType: example.com/x}], containers: [{name: a}]}");
  pod.edit({"status", "conditions"}) = *yaml::read("[{type: PodScheduled, status: 'True'}]");
  PodState state;
  state.containers = {{"a", running()}};
  pod.edit().set("status", pod_status(pod, state, "h", false, kNow));
  CHECK(kube::condition_is_true(pod, "PodScheduled"));
  CHECK(kube::condition_is_true(pod, "ContainersReady"));
  CHECK(kube::condition(pod, "Ready")["reason"].as_string() == "ReadinessGatesNotReady");
}

TEST_CASE("quality of service by requests and limits") {
  struct Case {
    std::string resources, want;
  };
  for (const auto& c : {Case{"{}", "BestEffort"}, Case{"{requests: {cpu: 1}}", "Burstable"},
                        Case{"{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1, memory: 1Gi}}", "Guaranteed"},
                        Case{"{limits: {cpu: 1, memory: 1Gi}}", "Guaranteed"},
                        Case{"{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}", "Burstable"}}) {
    CHECK_MESSAGE(qos_class(pod_from("{containers: [{name: a, resources: " + c.resources + "}]}")) == c.want,
                  c.resources);
  }
}

TEST_CASE("a pod's state is the same after it was written and read") {
  PodState state{.uid = "u", .ns = "ns", .name = "p", .ip = "192.0.2.1", .start = kNow, .sandbox = true};
  state.containers = {{"a", running()}, {"b", ended(3, 2s, 4)}};
  state.containers["b"].last = Terminated{1, "Error", "m", kNow, kNow, "x"};
  const auto read = pod_state_from(*json::parse(json::write(to_value(state))));
  REQUIRE(read.ok());
  CHECK(*read == state);
  CHECK_FALSE(pod_state_from(*json::parse(R"({"version":2})")).ok());
}
