// SPDX-License-Identifier: Apache-2.0
// Needs root, runc, conmon and busybox (static): pods of real containers, links and mounts of an instance of their own,
// all gone at the end.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "artifact/container/cleanup.h"
#include "artifact/container/root.h"
#include "cluster/apiserver/api_server.h"
#include "cluster/kube/reconciler.h"
#include "cluster/schema/schema.h"
#include "cluster/store/store.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/process.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/http/client.h"
#include "core/http/server.h"
#include "core/http/tls.h"
#include "machine/network/pod_network.h"
#include "machine/node/node.h"

using namespace caisson;
using namespace caisson::node;
using namespace std::chrono_literals;

namespace {

template <class T>
std::string why(const Result<T>& result) {
  return result.ok() ? "" : result.error().message;
}

// One layer of busybox for every image name.
class BusyboxImages : public ImageProvider {
 public:
  explicit BusyboxImages(const std::string& directory) : tree_(directory + "/busybox") {
    for (const char* name : {"/bin", "/tmp", "/etc", "/proc", "/dev", "/sys"}) REQUIRE(make_dirs(tree_ + name).ok());
    const auto busybox = read_file("/bin/busybox");
    REQUIRE(busybox.ok());
    REQUIRE(write_file_unsynced(tree_ + "/bin/busybox", *busybox, 0755).ok());
    for (const char* name : {"sh", "echo", "cat", "sleep", "true", "false", "id", "hostname", "grep", "httpd", "env",
                             "mkdir", "touch", "test", "ls", "wget", "nc", "wc"}) {
      REQUIRE(::symlink("busybox", (tree_ + "/bin/" + name).c_str()) == 0);
    }
    REQUIRE(write_file_unsynced(tree_ + "/etc/passwd", "root:x:0:0::/:/bin/sh\n").ok());
  }
  Result<Image> ensure(const ImageRequest& request) override {
    if (request.name.find("absent") != std::string::npos)
      return Error{ErrorCode::not_found, "image " + request.name + " is nowhere"};
    Image image;
    image.reference = *content::parse_reference(request.name, {});
    image.digest = content::Digest::of("busybox");
    image.config.env = {"PATH=/bin", "FROM_IMAGE=yes"};
    image.config.cmd = {"sh"};
    image.trees = {tree_};
    return image;
  }

 private:
  std::string tree_;
};

struct Bench {
  TempDir dir = std::move(TempDir::make("node")).value();
  std::string instance = hex(random_bytes(3));
  // The real API server in process; the test acts as the administrator, the node as itself.
  std::unique_ptr<store::Store> store;
  std::optional<schema::Schema> schema;
  std::unique_ptr<apiserver::ApiServer> api;
  std::unique_ptr<kube::Client> admin, own;
  BusyboxImages images{dir.path()};
  std::optional<network::PodNetwork> network;
  std::unique_ptr<kube::Runtime> runtime;
  std::unique_ptr<Node> node;

  Bench() {
    auto opened = store::Store::open(dir.path() + "/store.db", system_clock());
    REQUIRE_MESSAGE(opened.ok(), why(opened));
    store = std::move(opened).value();
    schema.emplace(std::move(schema::Schema::built_in()).value());
    auto key = http::make_key_pem();
    REQUIRE_MESSAGE(key.ok(), why(key));
    apiserver::ApiServerOptions options;
    options.service_account_key_pem = SecretBytes(std::move(key).value());
    options.ca_pem = "the platform's CA\n";
    options.service_cidr = "198.18.65.0/24";
    options.node_name = "n1";
    auto served = apiserver::ApiServer::open(*store, *schema, std::move(options));
    REQUIRE_MESSAGE(served.ok(), why(served));
    api = std::move(served).value();
    admin = api->client({.name = "admin", .groups = {"system:masters"}});
    own = api->client({.name = "system:node:n1", .groups = {"system:nodes", "caisson:agents"}});
    // What the controllers make in a namespace.
    kube::Object ca = kube::Object::make(schema::kConfigMaps, "default", "kube-root-ca.crt");
    ca.edit({"data"}).set("ca.crt", "the platform's CA\n");
    for (const auto& object : {kube::Object::make(schema::kServiceAccounts, "default", "default"), ca}) {
      const auto made = admin->create(object, {});
      REQUIRE_MESSAGE(made.ok(), why(made));
    }
    start();
  }
  ~Bench() {
    stop();
    network.reset();
    const auto cleaned = container::cleanup({"/caisson-" + instance, dir.path() + "/containers", {dir.path()}});
    CHECK_MESSAGE(cleaned.ok(), why(cleaned));
    const auto unlinked = network::cleanup(instance, dir.path());
    CHECK_MESSAGE(unlinked.ok(), why(unlinked));
  }

  void start() {
    // A range of documentation (RFC 6890) that nothing on a test machine routes.
    auto opened = network::PodNetwork::open({.instance = instance,
                                             .pod_cidr = "198.18.64.0/24",
                                             .service_cidr = "198.18.65.0/24",
                                             .state_dir = dir.path() + "/network"});
    REQUIRE_MESSAGE(opened.ok(), why(opened));
    network.emplace(std::move(opened).value());
    runtime = std::make_unique<kube::Runtime>(*own, system_clock());
    auto started = Node::start({.runtime = runtime.get(), .images = &images, .network = &*network},
                               {.name = "n1",
                                .instance = instance,
                                .data_dir = dir.path(),
                                .address = network->node_address(),
                                .cluster_dns = "198.18.65.10"});
    REQUIRE_MESSAGE(started.ok(), why(started));
    node = std::move(started).value();
    runtime->start();
  }
  void stop() {
    node.reset();
    runtime.reset();
  }

  void apply(const std::string& text) {
    const auto documents = yaml::read_all(text);
    REQUIRE_MESSAGE(documents.ok(), why(documents));
    for (const auto& document : *documents) {
      kube::Object object(document);
      object.edit({"metadata"}).set("namespace", "default");
      if (object.kind() == "Pod") object.edit({"spec"}).set("nodeName", "n1");
      const auto made = admin->create(object, {});
      REQUIRE_MESSAGE(made.ok(), why(made));
    }
  }
  kube::Object pod(const std::string& name) {
    const auto found = admin->get(schema::kPods, {"default", name});
    return found.ok() ? *found : kube::Object();
  }
  // Blocks until the pod is so; says how it is when it does not come.
  void wait(const std::string& name, const std::function<bool(const kube::Object&)>& condition,
            std::chrono::seconds most = 30s) {
    const auto end = std::chrono::steady_clock::now() + most;
    while (!condition(pod(name))) {
      if (std::chrono::steady_clock::now() > end)
        FAIL("pod " << name << " is " << json::write(pod(name).status(), {.indent = 2}));
      std::this_thread::yield();
    }
  }
  void wait_phase(const std::string& name, const std::string& phase) {
    wait(name, [&](const kube::Object& p) { return p.status()["phase"].as_string() == phase; });
  }
  void wait_ready(const std::string& name) {
    wait(name, [](const kube::Object& p) { return kube::condition_is_true(p, "Ready"); });
  }
  std::string log(const std::string& name, const std::string& container, int attempt = 0) {
    const auto text = read_file(dir.path() + "/logs/pods/default_" + name + "_" + pod(name).uid() + "/" + container +
                                "/" + std::to_string(attempt) + ".log");
    return text.ok() ? *text : "";
  }
  const Value& container_status(const kube::Object& p, int index = 0) { return p.status()["containerStatuses"][index]; }
};

}  // namespace

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
                                  std::string("192.0.2.7\tother.example"), std::string("nameserver 198.18.65.10"),
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
