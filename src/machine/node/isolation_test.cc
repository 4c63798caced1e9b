// SPDX-License-Identifier: Apache-2.0
// Needs root, runc, conmon and busybox (static): pods that misbehave hurt only themselves, and leave nothing behind.
#include <sys/mount.h>

#include "artifact/container/cgroup.h"
#include "machine/node/testing/bench_test.h"

using namespace caisson;
using namespace caisson::node;
using namespace caisson::node::testing;
using namespace std::chrono_literals;

namespace {

// A neighbour that must go on unharmed: it never restarts and stays ready.
constexpr const char* kNeighbour = R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: neighbour}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: busybox, command: [sleep, "100000"], readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1, timeoutSeconds: 10}}
)yaml";

void check_neighbour(Bench& bench) {
  bench.wait_ready("neighbour");
  CHECK(bench.container_status(bench.pod("neighbour"))["restartCount"].as_int() == 0);
}

int entries(const std::string& directory) {
  const auto names = list_dir(directory);
  return names.ok() ? static_cast<int>(names->size()) : 0;
}

// A disk of its own for a node's data, in memory.
class SmallDisk {
 public:
  SmallDisk(Bench& bench, std::uint64_t size_bytes) : bench_(bench), path_(bench.dir.path() + "/small") {
    const std::string options = "mode=755,size=" + std::to_string(size_bytes);
    REQUIRE(make_dirs(path_).ok());
    REQUIRE(::mount("tmpfs", path_.c_str(), "tmpfs", 0, options.c_str()) == 0);
  }
  const std::string& path() const { return path_; }

  // The bench's node with its data here, under pressure when less than `left_bytes` are left.
  std::unique_ptr<Node> start_node(std::uint64_t left_bytes) {
    bench_.runtime = std::make_unique<kube::Runtime>(*bench_.own, system_clock());
    auto started =
        Node::start({.runtime = bench_.runtime.get(), .images = &bench_.images, .network = &*bench_.network},
                    {.name = "n1",
                     .instance = bench_.instance,
                     .data_dir = path_,
                     .address = bench_.network->node_address(),
                     .cluster_dns = bench_.cluster_dns,
                     .eviction = {.memory_bytes = 0, .disk_bytes = left_bytes, .disk_share = 1, .pids_share = 0},
                     .housekeeping_every = 200ms});
    REQUIRE_MESSAGE(started.ok(), why(started));
    bench_.runtime->start();
    return std::move(started).value();
  }
  // After the node: its containers, which have their state here.
  ~SmallDisk() {
    bench_.runtime.reset();
    const auto cleaned = container::cleanup({"/caisson-" + bench_.instance, path_ + "/containers", {path_}});
    CHECK_MESSAGE(cleaned.ok(), why(cleaned));
    ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

 private:
  Bench& bench_;
  const std::string path_;
};

}  // namespace

TEST_CASE("the data of a local volume goes when the volume is gone, and nothing else does") {
  Bench bench;
  const std::string root = bench.dir.path() + "/volumes/", gone = "pvc-00000000-0000-0000-0000-00000000000a",
                    there = "pvc-00000000-0000-0000-0000-00000000000b";
  bench.apply("apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: " + there +
              "}\nspec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: " + root + there +
              "_default_data}}\n");
  for (const std::string& name : {there + "_default_data", std::string("default_older"),
                                  std::string("pvc-short_default_data"), gone + "_default_data"}) {
    REQUIRE(make_dirs(root + name).ok());
    REQUIRE(write_file(root + name + "/file", "kept").ok());
  }
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (exists(root + gone + "_default_data") && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  CHECK_FALSE(exists(root + gone + "_default_data"));
  CHECK(exists(root + there + "_default_data/file"));
  CHECK(exists(root + "default_older/file"));
  CHECK(exists(root + "pvc-short_default_data/file"));
}

TEST_CASE("a container that takes too much memory is killed and said to be, its neighbour is not") {
  Bench bench;
  bench.apply(kNeighbour);
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: hog}
spec:
  restartPolicy: Never
  containers:
  - {name: c, image: busybox, command: [sh, -c, "tail /dev/zero"], resources: {limits: {memory: 16Mi}}}
)yaml");
  bench.wait_phase("hog", "Failed");
  const kube::Object hog = bench.pod("hog");
  CHECK(bench.container_status(hog)["state"]["terminated"]["reason"].as_string() == "OOMKilled");
  CHECK(bench.container_status(hog)["state"]["terminated"]["exitCode"].as_int() == 137);
  check_neighbour(bench);
}

TEST_CASE("a container that forks without end stays within its limit, and all of it ends") {
  Bench bench;
  bench.apply(kNeighbour);
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: bomb}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: busybox, command: [sh, -c, "trap '' TERM; while :; do sleep 100000 & done"], resources: {limits: {memory: 1Gi}}}
)yaml");
  bench.wait("bomb", [](const kube::Object& p) { return !p.uid().empty(); });
  const container::Cgroup cgroup("/caisson-" + bench.instance + "/pod" + bench.pod("bomb").uid());
  // The shell says that it can't fork and ends: what it had started is killed with it, and it starts anew.
  bench.wait(
      "bomb", [&](const kube::Object& p) { return bench.container_status(p)["restartCount"].as_int() > 0; }, 180s);
  CHECK(cgroup.processes().size() < 5000);
  check_neighbour(bench);
  REQUIRE(bench.admin->remove(schema::kPods, {"default", "bomb"}, {.grace_period_seconds = 1}).ok());
  bench.wait(
      "bomb", [](const kube::Object& p) { return p.uid().empty(); }, 120s);
  CHECK_FALSE(cgroup.exists());
}

TEST_CASE("who fills the disk or floods the log above its limit is evicted") {
  Bench bench;
  bench.apply(kNeighbour);
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: filler}
spec:
  containers:
  - {name: c, image: busybox, command: [sh, -c, "dd if=/dev/zero of=/data/x bs=1M count=8; sleep 100000"], volumeMounts: [{name: data, mountPath: /data}]}
  volumes:
  - {name: data, emptyDir: {sizeLimit: 4Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: flood}
spec:
  containers:
  - {name: c, image: busybox, command: [yes, "a line of log that says nothing"], resources: {limits: {ephemeral-storage: 4Mi, cpu: 200m}}}
)yaml");
  for (const char* name : {"filler", "flood"}) {
    bench.wait_phase(name, "Failed");
    const kube::Object pod = bench.pod(name);
    CHECK(pod.status()["reason"].as_string() == "Evicted");
    CHECK(kube::condition_is_true(pod, "DisruptionTarget"));
  }
  CHECK(bench.pod("filler").status()["message"].str().find("\"4Mi\"") != std::string::npos);
  CHECK(bench.pod("flood").status()["message"].str().find("ephemeral storage limit") != std::string::npos);
  check_neighbour(bench);
}

TEST_CASE(
    "a disk that runs full evicts who fills it and nobody else, and the node takes no pod until it is told over") {
  Bench bench;
  bench.stop();
  SmallDisk disk(bench, 256u << 20);
  const auto node = disk.start_node(64u << 20);
  bench.apply(kNeighbour);
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: small}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: busybox, command: [sh, -c, "dd if=/dev/zero of=/x bs=1M count=8; sleep 100000"]}
)yaml");
  bench.wait_ready("small");
  check_neighbour(bench);
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: filler}
spec:
  containers:
  - {name: c, image: busybox, command: [sh, -c, "dd if=/dev/zero of=/data/x bs=1M count=200; sleep 100000"], volumeMounts: [{name: data, mountPath: /data}]}
  volumes:
  - {name: data, emptyDir: {}}
)yaml");
  bench.wait_phase("filler", "Failed");
  CHECK(bench.pod("filler").status()["reason"].as_string() == "Evicted");
  CHECK(bench.pod("filler").status()["message"].as_string() == "The node was low on resource: ephemeral-storage. ");
  const auto end = std::chrono::steady_clock::now() + 30s;
  const auto told = [&] {
    const auto node = bench.admin->get(schema::kNodes, {"", "n1"});
    return node.ok() && kube::condition_is_true(*node, "DiskPressure");
  };
  while (!told() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  CHECK(told());
  bench.apply("apiVersion: v1\nkind: Pod\nmetadata: {name: late}\nspec: {containers: [{name: c, image: busybox}]}\n");
  bench.wait_phase("late", "Failed");
  CHECK(bench.pod("late").status()["reason"].as_string() == "Evicted");
  CHECK(bench.pod("late").status()["message"].str().find("DiskPressure") != std::string::npos);
  // The filler's volume is gone with it, and who used little was not asked to go.
  CHECK(read_host(disk.path()).disk_available_bytes > (64u << 20));
  check_neighbour(bench);
  CHECK(kube::condition_is_true(bench.pod("small"), "Ready"));
}

TEST_CASE("pods that come and go leave no mount, namespace, link, cgroup or process") {
  Bench bench;
  // CAISSON_SOAK_PODS: how many; 500 in script/soak.
  const char* wanted = std::getenv("CAISSON_SOAK_PODS");
  const int total = wanted ? static_cast<int>(parse_int(wanted).value_or(20)) : 20, at_once = 20;
  for (int done = 0; done < total; done += at_once) {
    for (int i = 0; i < at_once; ++i) {
      bench.apply("apiVersion: v1\nkind: Pod\nmetadata: {name: p" + std::to_string(i) +
                  "}\nspec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: busybox, command: [sleep, "
                  "'100000'], "
                  "volumeMounts: [{name: m, mountPath: /m}]}], volumes: [{name: m, emptyDir: {medium: Memory}}]}\n");
    }
    for (int i = 0; i < at_once; ++i)
      bench.wait(
          "p" + std::to_string(i), [](const kube::Object& p) { return kube::condition_is_true(p, "Ready"); }, 120s);
    for (int i = 0; i < at_once; ++i)
      REQUIRE(
          bench.admin->remove(schema::kPods, {"default", "p" + std::to_string(i)}, {.grace_period_seconds = 0}).ok());
    for (int i = 0; i < at_once; ++i)
      bench.wait(
          "p" + std::to_string(i), [](const kube::Object& p) { return p.uid().empty(); }, 120s);
  }
  // An object that is deleted at once is gone before the node has cleared its pod.
  const auto end = std::chrono::steady_clock::now() + 60s;
  const std::string pods = bench.dir.path() + "/pods", containers = bench.dir.path() + "/containers/c";
  const std::string logs = bench.dir.path() + "/logs/pods";
  while (entries(pods) + entries(containers) + entries(logs) > 0 && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  CHECK(entries(pods) == 0);
  CHECK(entries(containers) == 0);
  CHECK(entries(logs) == 0);
  CHECK(container::mounts_below(bench.dir.path())->empty());
  CHECK(bench.network->attached().empty());
  const auto links = list_dir("/sys/class/net");
  REQUIRE(links.ok());
  for (const auto& name : *links) CHECK_FALSE(name.starts_with("c" + bench.instance + "v"));
  CHECK(container::Cgroup("/caisson-" + bench.instance).processes().empty());
  const bool v2 = container::cgroup_version() == container::CgroupVersion::v2;
  const auto cgroups = list_dir((v2 ? "/sys/fs/cgroup/caisson-" : "/sys/fs/cgroup/memory/caisson-") + bench.instance);
  REQUIRE(cgroups.ok());
  for (const auto& name : *cgroups) CHECK_FALSE(name.starts_with("pod"));
}
