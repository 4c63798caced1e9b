// SPDX-License-Identifier: Apache-2.0
// Needs root, runc, conmon and busybox (static): two nodes of one instance on this machine.
#include "machine/node/testing/bench_test.h"

using namespace caisson;
using namespace caisson::node;
using namespace caisson::node::testing;

namespace {

// A second node beside the bench's, with a part of the range and a directory of its own.
struct Second {
  Bench& bench;
  const std::string directory = bench.dir.path() + "/nodes/2", cgroup = "/caisson-" + bench.instance + "/node2";
  std::optional<network::PodNetwork> network;
  std::unique_ptr<kube::Runtime> runtime;
  std::unique_ptr<Node> node;

  explicit Second(Bench& of) : bench(of) { start(); }
  ~Second() {
    stop();
    const auto cleaned = container::cleanup({cgroup, directory + "/containers", {directory}});
    CHECK_MESSAGE(cleaned.ok(), why(cleaned));
  }

  void start() {
    auto opened = network::PodNetwork::open({.instance = bench.instance,
                                             .pod_cidr = bench.pod_cidr,
                                             .service_cidr = bench.service_cidr,
                                             .node_cidr = "198.18." + bench.range + ".128/25",
                                             .state_dir = directory + "/network"});
    REQUIRE_MESSAGE(opened.ok(), why(opened));
    network.emplace(std::move(opened).value());
    runtime = std::make_unique<kube::Runtime>(*bench.own, system_clock());
    auto started = Node::start({.runtime = runtime.get(), .images = &bench.images, .network = &*network},
                               {.name = "n2",
                                .instance = bench.instance,
                                .cgroup = cgroup,
                                .data_dir = bench.dir.path(),
                                .state_dir = directory,
                                .address = network->node_address(),
                                .pod_cidr = "198.18." + bench.range + ".128/25",
                                .machine_shares = 2,
                                .machine_part = 1,
                                .control_plane = false,
                                .eviction = {.memory_bytes = 0, .disk_bytes = 0, .pids_share = 0}});
    REQUIRE_MESSAGE(started.ok(), why(started));
    node = std::move(started).value();
    runtime->start();
  }
  void stop() {
    node.reset();
    runtime.reset();
  }
};

std::string server(const std::string& name, const std::string& node) {
  return "{apiVersion: v1, kind: Pod, metadata: {name: " + name + ", namespace: default}, spec: {nodeName: " + node +
         ", terminationGracePeriodSeconds: 0, containers: [{name: c, image: busybox, command: [sh, -c, \"echo " + name +
         " > /tmp/index.html; exec httpd -f -p 8080 -h /tmp\"], readinessProbe: {tcpSocket: {port: 8080}, "
         "periodSeconds: 1}}]}}";
}

}  // namespace

TEST_CASE("two nodes of a machine keep to their own pods") {
  Bench bench;
  Second second(bench);
  for (const auto& [name, node] : {std::pair{"one", "n1"}, {"two", "n2"}}) {
    const auto made = bench.admin->create(kube::Object(*yaml::read(server(name, node))), {});
    REQUIRE_MESSAGE(made.ok(), why(made));
  }
  bench.wait_ready("one");
  bench.wait_ready("two");
  const kube::Object one = bench.pod("one"), two = bench.pod("two");
  CHECK(bench.node->containers().list().size() == 1);
  CHECK(second.node->containers().list().size() == 1);
  CHECK(two.status()["hostIP"].as_string() == second.network->node_address());
  CHECK(exists(second.directory + "/pods/" + two.uid()));
  CHECK(exists(bench.dir.path() + "/pods/" + one.uid()));
  CHECK(container::Cgroup(second.cgroup + "/pod" + two.uid()).exists());
  CHECK_FALSE(container::Cgroup("/caisson-" + bench.instance + "/pod" + two.uid()).exists());

  http::Client http({.use_proxy = false});
  for (const auto& pod : {one, two}) {
    const auto answer = http.send({.url = "http://" + pod.status()["podIP"].str() + ":8080/index.html"});
    REQUIRE_MESSAGE(answer.ok(), why(answer));
    CHECK(answer->body == std::string(pod.name()) + "\n");
  }

  kube::Object node;
  for (int i = 0; i < 10'000'000 && !kube::condition_is_true(node, "Ready"); ++i) {
    const auto found = bench.admin->get(schema::kNodes, {"", "n2"});
    if (found.ok()) node = *found;
  }
  CHECK(node.status()["allocatable"]["memory"].as_string() != node.status()["capacity"]["memory"].as_string());
  CHECK(node.label("node-role.kubernetes.io/control-plane").empty());
  CHECK_FALSE(node.metadata()["labels"].contains("node-role.kubernetes.io/control-plane"));

  // An agent that comes back finds its own pods, and only those.
  second.stop();
  second.start();
  CHECK(second.node->containers().list().size() == 1);
  CHECK(bench.container_status(bench.pod("two"))["restartCount"].as_int() == 0);
  for (const char* name : {"one", "two"})
    REQUIRE(bench.admin->remove(schema::kPods, {"default", name}, {.grace_period_seconds = 1}).ok());
  for (const char* name : {"one", "two"}) bench.wait(name, [](const kube::Object& p) { return p.uid().empty(); });
  CHECK_FALSE(container::Cgroup(second.cgroup + "/pod" + two.uid()).exists());
}
