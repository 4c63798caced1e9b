// SPDX-License-Identifier: Apache-2.0
// Needs root, runc, conmon and busybox (static): what a pod's spec may ask for, with real containers.
#include "machine/node/admit.h"
#include "machine/node/testing/bench_test.h"

using namespace caisson;
using namespace caisson::node;
using namespace caisson::node::testing;
using namespace std::chrono_literals;

namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("containers share processes, settings of their namespaces and files of an image") {
  Bench bench;
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: shared}
spec:
  restartPolicy: Never
  shareProcessNamespace: true
  terminationGracePeriodSeconds: 1
  securityContext:
    sysctls: [{name: net.ipv4.ip_local_port_range, value: "20000 20999"}, {name: kernel.shm_rmid_forced, value: "1"}]
  containers:
  - {name: long, image: busybox, command: [sleep, "1000"]}
  - name: look
    image: busybox
    command: [sh, -c, "until ps | grep -q 'sleep 100[0]'; do :; done; ps; cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/shm_rmid_forced; ls /other/bin/busybox; touch /other/x; echo $?"]
    volumeMounts: [{name: other, mountPath: /other}]
  volumes:
  - {name: other, image: {reference: "other:1"}}
)yaml");
  bench.wait("shared", [&](const kube::Object& p) {
    return !p.status()["containerStatuses"][1]["state"]["terminated"].is_null();
  });
  const std::string log = bench.log("shared", "look");
  CHECK_MESSAGE(has(log, "/pause"), log);
  CHECK_MESSAGE(has(log, "20000\t20999"), log);
  CHECK_MESSAGE(has(log, "/other/bin/busybox"), log);
  CHECK_MESSAGE(has(log, "stdout F 1\n"), log);  // neither writable nor forgotten: touch fails
  bench.stop();                                  // a new agent finds the shared namespace where it was
  bench.start();
  REQUIRE(bench.admin->remove(schema::kPods, {"default", "shared"}, {.grace_period_seconds = 1}).ok());
  bench.wait("shared", [](const kube::Object& p) { return p.uid().empty(); });
  CHECK(container::mounts_below(bench.dir.path() + "/pods")->empty());
}

TEST_CASE("a container that is added to a running pod sees the processes of its target, once") {
  Bench bench;
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: app}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: main, image: busybox, command: [sleep, "1000"]}
)yaml");
  bench.wait_ready("app");
  const Value debug{{"name", "debug"},
                    {"image", "busybox"},
                    {"targetContainerName", "main"},
                    {"command", Value::list_of({"sh", "-c", "ps; exit 3"})}};
  const auto added =
      bench.admin->patch(schema::kPods, {"default", "app"}, kube::PatchType::merge,
                         Value{{"spec", Value{{"ephemeralContainers", Value(std::vector<Value>{debug})}}}},
                         {.subresource = "ephemeralcontainers"});
  REQUIRE_MESSAGE(added.ok(), why(added));
  const auto ended = [](const kube::Object& p) {
    return p.status()["ephemeralContainerStatuses"][0]["state"]["terminated"]["exitCode"].as_int() == 3;
  };
  bench.wait("app", ended);
  CHECK_MESSAGE(has(bench.log("app", "debug"), "sleep 1000"), bench.log("app", "debug"));
  const kube::Object pod = bench.pod("app");
  CHECK(kube::condition_is_true(pod, "Ready"));
  CHECK(pod.status()["ephemeralContainerStatuses"][0]["restartCount"].as_int() == 0);
}

TEST_CASE("a pod that the node can't run as it says is refused and named") {
  Bench bench;
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: unsafe}
spec:
  securityContext: {sysctls: [{name: kernel.msgmax, value: "65536"}]}
  containers: [{name: main, image: busybox, command: [sleep, "1000"]}]
)yaml");
  bench.wait_phase("unsafe", "Failed");
  CHECK(bench.pod("unsafe").status()["reason"].as_string() == "SysctlForbidden");
}

TEST_CASE("a user namespace that can't be had is refused, with why") {
  const kube::Object pod(*yaml::read("{kind: Pod, spec: {hostUsers: false, containers: [{name: c}]}}"));
  CHECK_FALSE(refusal_of(pod, {}));
  const auto refused = refusal_of(pod, {.no_user_namespaces = "map the ids of /x: Invalid argument"});
  REQUIRE(refused);
  CHECK(refused->reason == "UserNamespacesNotSupported");
  CHECK(has(refused->message, "map the ids of /x: Invalid argument"));
  const kube::Object shared(*yaml::read("{kind: Pod, spec: {hostUsers: false, hostPID: true, containers: []}}"));
  CHECK(has(refusal_of(shared, {})->message, "hostPID"));
  CHECK_FALSE(refusal_of(kube::Object(*yaml::read("{kind: Pod, spec: {containers: []}}")),
                         {.no_user_namespaces = "not asked for"}));
}

TEST_CASE("which settings of the kernel a pod may change") {
  CHECK(is_safe_sysctl("net.ipv4.tcp_syncookies"));
  CHECK_FALSE(is_safe_sysctl("net.core.somaxconn"));
  CHECK(sysctl_scope("net.core.somaxconn") == SysctlScope::network);
  CHECK(sysctl_scope("kernel.shm_rmid_forced") == SysctlScope::ipc);
  CHECK(sysctl_scope("vm.swappiness") == SysctlScope::none);
}

TEST_CASE("a deleted pod's sidecars end after its main containers, the last one first") {
  Bench bench;
  const std::string order = bench.dir.path() + "/order";
  REQUIRE(make_dirs(order, 0777).ok());
  const auto container = [](const std::string& name, const std::string& more = "") {
    return "{name: " + name +
           ", image: busybox, volumeMounts: [{name: order, mountPath: /order}], command: [sh, -c, \"trap 'echo " +
           name + " >>/order/log; exit' TERM; : >/order/" + name +
           "; while :; do sleep 0.1; done\"], readinessProbe: {exec: {command: [sh, -c, '[ -e /order/" + name +
           " ]']}, periodSeconds: 1}" + more + "}";
  };
  bench.apply(
      "apiVersion: v1\nkind: Pod\nmetadata: {name: ordered}\nspec:\n  terminationGracePeriodSeconds: 20\n  "
      "initContainers: [" +
      container("z", ", restartPolicy: Always") + ", " + container("b", ", restartPolicy: Always") +
      "]\n  containers: [" + container("main") + "]\n  volumes: [{name: order, hostPath: {path: " + order + "}}]\n");
  bench.wait_ready("ordered");
  REQUIRE(bench.admin->remove(schema::kPods, {"default", "ordered"}).ok());
  bench.wait("ordered", [](const kube::Object& p) { return p.uid().empty(); });
  CHECK(*read_file(order + "/log") == "main\nb\nz\n");
}
