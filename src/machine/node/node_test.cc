// SPDX-License-Identifier: Apache-2.0
// Needs root, runc, conmon and busybox (static): pods of real containers, links and mounts of an instance of their own,
// all gone at the end.
#include "machine/node/testing/bench_test.h"

using namespace caisson;
using namespace caisson::node;
using namespace caisson::node::testing;
using namespace std::chrono_literals;

TEST_CASE("a pod runs to its end: volumes, environment, init containers, log and status") {
  Bench bench;
  bench.apply(R"yaml(
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue, file.txt: "text of the file"}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
data: {password: c2VjcmV0}
---
apiVersion: v1
kind: Pod
metadata: {name: first, labels: {app: x}}
spec:
  restartPolicy: Never
  hostAliases: [{ip: 192.0.2.7, hostnames: [other.example]}]
  initContainers:
  - {name: prepare, image: busybox, command: [sh, -c, "echo prepared > /work/note"], volumeMounts: [{name: work, mountPath: /work}]}
  containers:
  - name: main
    image: busybox
    command: [sh, -c]
    args: ["cat /work/note; cat /config/file.txt; echo; cat /secret/password; echo; cat /var/run/secrets/kubernetes.io/serviceaccount/ca.crt; wc -c /var/run/secrets/kubernetes.io/serviceaccount/token; echo $(GREETING) $FROM_IMAGE $POD $IP; hostname; cat /etc/hosts /etc/resolv.conf; echo done > /dev/termination-log"]
    env:
    - {name: COLOR, valueFrom: {configMapKeyRef: {name: settings, key: color}}}
    - {name: GREETING, value: "hello-$(COLOR)"}
    - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    volumeMounts:
    - {name: work, mountPath: /work}
    - {name: config, mountPath: /config}
    - {name: secret, mountPath: /secret, readOnly: true}
  volumes:
  - {name: work, emptyDir: {}}
  - {name: config, configMap: {name: settings}}
  - {name: secret, secret: {secretName: keys}}
)yaml");
  bench.wait_phase("first", "Succeeded");
  const kube::Object pod = bench.pod("first");
  const std::string log = bench.log("first", "main");
  const std::string ip = pod.status()["podIP"].str();
  for (const std::string& line : {std::string("prepared"), std::string("text of the file"), std::string("secret"),
                                  std::string("the platform's CA"), "hello-blue yes first " + ip,
                                  std::string("192.0.2.7\tother.example"), "nameserver " + bench.cluster_dns,
                                  std::string("search default.svc.cluster.local svc.cluster.local cluster.local")}) {
    CHECK_MESSAGE(
        (log.find("stdout F " + line) != std::string::npos || log.find("stdout P " + line) != std::string::npos),
        line << " in " << log);
  }
  const Value& ended = bench.container_status(pod)["state"]["terminated"];
  CHECK(ended["exitCode"].as_int() == 0);
  CHECK(ended["reason"].as_string() == "Completed");
  CHECK(ended["message"].as_string() == "done\n");
  CHECK(pod.status()["qosClass"].as_string() == "BestEffort");
  CHECK(kube::condition_is_true(pod, "Initialized"));
  CHECK(kube::condition(pod, "Ready")["reason"].as_string() == "PodCompleted");
  CHECK(pod.status()["initContainerStatuses"][0]["ready"].as_bool());
  REQUIRE(bench.admin->remove(schema::kPods, {"default", "first"}, {}).ok());
  bench.wait("first", [](const kube::Object& p) { return p.uid().empty(); });
}

TEST_CASE("probes make a pod ready, its end is announced, and nothing is left of it") {
  Bench bench;
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: server
    image: busybox
    command: [sh, -c, "trap 'exit 0' TERM; echo ok > /tmp/index.html; httpd -p 8080 -h /tmp; while :; do sleep 0.1; done"]
    ports: [{name: http, containerPort: 8080}]
    readinessProbe: {httpGet: {path: /index.html, port: http}, periodSeconds: 60}
    livenessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
)yaml");
  bench.wait_ready("web");  // well before periodSeconds
  const kube::Object pod = bench.pod("web");
  CHECK(bench.container_status(pod)["ready"].as_bool());
  http::Client http({.use_proxy = false});
  const auto answer = http.send({.url = "http://" + pod.status()["podIP"].str() + ":8080/index.html"});
  REQUIRE_MESSAGE(answer.ok(), why(answer));
  CHECK(answer->body == "ok\n");
  REQUIRE(bench.admin->remove(schema::kPods, {"default", "web"}, {.grace_period_seconds = 5}).ok());
  bench.wait("web", [](const kube::Object& p) { return p.uid().empty(); });
  bool gone = false;
  for (int i = 0; i < 10'000'000 && !gone; ++i) gone = !exists(bench.dir.path() + "/pods/" + pod.uid());
  CHECK(gone);
  CHECK(bench.node->containers().list().empty());
  CHECK_FALSE(container::Cgroup("/caisson-" + bench.instance + "/pod" + pod.uid()).exists());
  CHECK(container::mounts_below(bench.dir.path() + "/pods")->empty());
  CHECK_FALSE(bench.network->find(pod.uid()));
}

TEST_CASE("a crashing container starts again and then backs off; a missing image says so") {
  Bench bench;
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: crash}
spec:
  containers: [{name: c, image: busybox, command: [sh, -c, "echo oops; exit 3"], terminationMessagePolicy: FallbackToLogsOnError}]
---
apiVersion: v1
kind: Pod
metadata: {name: noimage}
spec:
  containers: [{name: c, image: absent}]
---
apiVersion: v1
kind: Pod
metadata: {name: noprogram}
spec:
  restartPolicy: Never
  containers: [{name: c, image: busybox, command: [/nope]}]
---
apiVersion: v1
kind: Pod
metadata: {name: nomap}
spec:
  containers: [{name: c, image: busybox, envFrom: [{configMapRef: {name: later}}], command: [sleep, "1000"]}]
)yaml");
  bench.wait("crash", [&](const kube::Object& p) {
    return bench.container_status(p)["state"]["waiting"]["reason"].as_string() == "CrashLoopBackOff";
  });
  const kube::Object crash = bench.pod("crash");
  CHECK(bench.container_status(crash)["restartCount"].as_int() == 1);
  CHECK(bench.container_status(crash)["lastState"]["terminated"]["exitCode"].as_int() == 3);
  CHECK(bench.container_status(crash)["lastState"]["terminated"]["message"].as_string() == "oops\n");
  bench.wait("noimage", [&](const kube::Object& p) {
    return bench.container_status(p)["state"]["waiting"]["reason"].as_string() == "ImagePullBackOff";
  });
  CHECK(bench.container_status(bench.pod("noimage"))["state"]["waiting"]["message"].as_string().find("is nowhere") !=
        std::string::npos);
  bench.wait_phase("noprogram", "Failed");
  CHECK(bench.container_status(bench.pod("noprogram"))["state"]["terminated"]["reason"].as_string() == "StartError");
  bench.wait("nomap", [&](const kube::Object& p) {
    return bench.container_status(p)["state"]["waiting"]["reason"].as_string() == "CreateContainerConfigError";
  });
  CHECK(bench.container_status(bench.pod("nomap"))["state"]["waiting"]["message"].as_string() ==
        "configmap \"later\" not found");
}

TEST_CASE("steps run in order, what follows a failure is skipped, and results are told before the end") {
  Bench bench;
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata:
  name: steps
  annotations: {caisson.dev/steps: ordered, caisson.dev/steps-continue: "b", caisson.dev/results-dir: results}
spec:
  restartPolicy: Never
  containers:
  - {name: a, image: busybox, command: [sh, -c, "echo one > /results/first"], volumeMounts: &m [{name: results, mountPath: /results}]}
  - {name: b, image: busybox, command: [sh, -c, "test -e /results/first || exit 9; exit 4"], volumeMounts: *m}
  - {name: c, image: busybox, command: [sh, -c, "exit 5"], volumeMounts: *m}
  - {name: d, image: busybox, command: [sh, -c, "echo never > /results/second"], volumeMounts: *m}
  volumes: [{name: results, emptyDir: {}}]
)yaml");
  bench.wait_phase("steps", "Failed");
  const kube::Object pod = bench.pod("steps");
  std::vector<std::string> codes;
  for (const auto& status : pod.status()["containerStatuses"].items()) {
    codes.push_back(status["state"]["terminated"]["exitCode"].scalar_text() +
                    status["state"]["terminated"]["reason"].str());
  }
  CHECK(join(codes, " ") == "0Completed 4Error 5Error 1Skipped");
  CHECK(pod.annotation("caisson.dev/results") == R"({"first":"one\n"})");
}

TEST_CASE("steps are passed over by their when, and their streams are files for the next") {
  Bench bench;
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata:
  name: steps
  annotations:
    caisson.dev/steps: ordered
    caisson.dev/results-dir: results
    caisson.dev/steps-dir: steps
    caisson.dev/steps-when: '{"step-b":[{"input":"$(steps.a.results.go)","operator":"in","values":["yes"]}]}'
    caisson.dev/steps-streams: '{"step-a":{"stdout":"/results/first"},"step-c":{"stdout":"/results/second"}}'
spec:
  restartPolicy: Never
  containers:
  - {name: step-a, image: busybox, command: [sh, -c, "printf no > /steps/step-a/results/go; echo one"], volumeMounts: &m [{name: results, mountPath: /results}, {name: steps, mountPath: /steps}]}
  - {name: step-b, image: busybox, command: [sh, -c, "exit 9"], volumeMounts: *m}
  - {name: step-c, image: busybox, command: [sh, -c, "grep one /results/first && echo two"], volumeMounts: *m}
  volumes: [{name: results, emptyDir: {}}, {name: steps, emptyDir: {}}]
)yaml");
  bench.wait_phase("steps", "Succeeded");
  const kube::Object pod = bench.pod("steps");
  CHECK(pod.status()["containerStatuses"][1]["state"]["terminated"]["reason"].as_string() == "Skipped");
  CHECK(pod.annotation("caisson.dev/results") == R"({"first":"one\n","second":"one\ntwo\n"})");
}

TEST_CASE("a failing liveness probe restarts the container") {
  Bench bench;
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: sick}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: busybox
    command: [sleep, "1000"]
    livenessProbe: {exec: {command: ["false"]}, periodSeconds: 1, failureThreshold: 1}
)yaml");
  bench.wait("sick", [&](const kube::Object& p) { return bench.container_status(p)["restartCount"].as_int() >= 1; });
  CHECK(bench.container_status(bench.pod("sick"))["lastState"]["terminated"]["exitCode"].as_int() == 137);
}

TEST_CASE("pods outlive the agent: a new one goes on where the old one was") {
  Bench bench;
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: stays}
spec:
  containers:
  - {name: c, image: busybox, command: [sleep, "1000"], readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1}}
---
apiVersion: v1
kind: Pod
metadata: {name: goes}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: busybox, command: [sleep, "1000"]}]
)yaml");
  bench.wait_ready("stays");
  bench.wait_ready("goes");
  const std::string before = bench.container_status(bench.pod("stays"))["containerID"].str(),
                    ip = bench.pod("stays").status()["podIP"].str();
  const std::string gone_uid = bench.pod("goes").uid();
  bench.stop();
  REQUIRE(bench.admin->remove(schema::kPods, {"default", "goes"}, {.grace_period_seconds = 0})
              .ok());  // while no node looks
  bench.start();
  for (int i = 0; i < 100'000'000 && exists(bench.dir.path() + "/pods/" + gone_uid); ++i) std::this_thread::yield();
  CHECK_FALSE(exists(bench.dir.path() + "/pods/" + gone_uid));
  const kube::Object after = bench.pod("stays");
  CHECK(bench.container_status(after)["containerID"].as_string() == before);
  CHECK(bench.container_status(after)["restartCount"].as_int() == 0);
  CHECK(after.status()["podIP"].as_string() == ip);
  CHECK(kube::condition_is_true(after, "Ready"));
  CHECK(bench.node->containers().list().size() == 1);
}

TEST_CASE("logs are served and followed, and exec carries output, input and the exit code") {
  Bench bench;
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: talk}
spec:
  restartPolicy: Never
  containers: [{name: c, image: busybox, command: [sh, -c, "for i in 1 2 3; do echo line $i; done; while ! test -e /tmp/go; do sleep 0.05; done; echo last"]}]
)yaml");
  bench.wait_ready("talk");
  auto started = http::Server::start({});
  REQUIRE_MESSAGE(started.ok(), why(started));
  http::Server server = std::move(started).value();
  const std::string socket = bench.dir.path() + "/agent.sock";
  REQUIRE(server.listen_unix(socket, bench.node->handler()).ok());
  http::Client http({.unix_socket = socket});
  for (int i = 0; i < 1'000'000 && bench.log("talk", "c").find("line 3") == std::string::npos; ++i)
    std::this_thread::yield();
  const auto tail = http.send({.url = "http://unix/containerLogs/default/talk/c?tailLines=2"});
  REQUIRE_MESSAGE(tail.ok(), why(tail));
  CHECK(tail->body == "line 2\nline 3\n");
  const auto unknown = http.send({.url = "http://unix/containerLogs/default/talk/x"});
  REQUIRE(unknown.ok());
  CHECK(unknown->status == 400);

  auto follow = http.open({.url = "http://unix/containerLogs/default/talk/c?follow=true&tailLines=1", .time_max = 30s});
  REQUIRE_MESSAGE(follow.ok(), why(follow));

  const auto exec = [&](const std::string& query) {
    auto socket_or =
        http.websocket({.url = "http://unix/exec/default/talk/c?" + query}, {"v5.channel.k8s.io", "v4.channel.k8s.io"});
    REQUIRE_MESSAGE(socket_or.ok(), why(socket_or));
    return std::move(socket_or).value();
  };
  const auto collect = [](http::ClientWebSocket& ws) {
    std::map<int, std::string> out;
    for (;;) {
      const auto message = ws.receive();
      if (!message.ok() || !*message) return out;
      if (!(*message)->data.empty()) out[(*message)->data[0]] += (*message)->data.substr(1);
    }
  };
  auto plain = exec("command=sh&command=-c&command=" + percent_encode("echo out; echo err >&2; exit 6") +
                    "&stdout=true&stderr=true");
  CHECK(plain->subprotocol == "v5.channel.k8s.io");
  auto got = collect(*plain);
  CHECK(got[1] == "out\n");
  CHECK(got[2] == "err\n");
  CHECK(got[3].find("\"message\":\"6\"") != std::string::npos);

  auto cat = exec("command=cat&stdin=true&stdout=true");
  REQUIRE(cat->send(std::string("\0abc", 4)).ok());
  REQUIRE(cat->send(std::string("\xff\0", 2)).ok());  // v5: no more input
  got = collect(*cat);
  CHECK(got[1] == "abc");
  CHECK(got[3].find("Success") != std::string::npos);

  auto tty = exec("command=sh&stdin=true&stdout=true&tty=true");
  REQUIRE(tty->send(std::string("\x04{\"Width\":99,\"Height\":22}", 25)).ok());
  REQUIRE(tty->send(std::string("\0stty size 2>/dev/null || echo none; touch /tmp/go; exit\n", 57)).ok());
  got = collect(*tty);
  CHECK(got[3].find("status") != std::string::npos);

  std::string text;
  for (;;) {
    const auto piece = (*follow)->read_some();
    REQUIRE_MESSAGE(piece.ok(), why(piece));
    if (piece->empty()) break;
    text += *piece;
  }
  CHECK(text == "line 3\nlast\n");
  bench.wait_phase("talk", "Succeeded");
}

TEST_CASE("input for a container that does not read holds up nobody else's streams") {
  Bench bench;
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: deaf}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: busybox, stdin: true, command: [sleep, "100000"]}]
)yaml");
  bench.wait_ready("deaf");
  auto started = http::Server::start({});
  REQUIRE_MESSAGE(started.ok(), why(started));
  http::Server server = std::move(started).value();
  const std::string socket = bench.dir.path() + "/agent.sock";
  REQUIRE(server.listen_unix(socket, bench.node->handler()).ok());
  http::Client http({.unix_socket = socket});
  const auto open = [&](const std::string& what) {
    auto opened = http.websocket({.url = "http://unix/" + what, .time_max = 30s}, {"v5.channel.k8s.io"});
    REQUIRE_MESSAGE(opened.ok(), why(opened));
    return std::move(opened).value();
  };
  const auto flooded = open("attach/default/deaf/c?stdin=true&stdout=true");
  for (int i = 0; i < 48; ++i) REQUIRE(flooded->send(std::string(1, '\0') + std::string(64u << 10, 'x')).ok());
  const auto other = open("exec/default/deaf/c?stdout=true&command=echo&command=here");
  std::string said;
  for (;;) {
    const auto message = other->receive();
    if (!message.ok() || !*message) break;
    if ((*message)->data.starts_with('\1')) said += (*message)->data.substr(1);
  }
  CHECK(said == "here\n");
}

TEST_CASE("the node keeps its object and its lease") {
  Bench bench;
  kube::Object node;
  for (int i = 0; i < 10'000'000 && !kube::condition_is_true(node, "Ready"); ++i) {
    const auto found = bench.admin->get(schema::kNodes, {"", "n1"});
    if (found.ok()) node = *found;
  }
  CHECK(kube::condition_is_true(node, "Ready"));
  CHECK(node.label("kubernetes.io/hostname") == "n1");
  CHECK(node.status()["capacity"]["pods"].as_string() == "250");
  CHECK(node.status()["addresses"][0]["address"].as_string() == bench.network->node_address());
  for (int i = 0; i < 10'000'000; ++i) {
    if (bench.admin->get(schema::kLeases, {"kube-node-lease", "n1"}).ok()) break;
  }
  CHECK(bench.admin->get(schema::kLeases, {"kube-node-lease", "n1"}).ok());
}
