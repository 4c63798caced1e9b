// SPDX-License-Identifier: Apache-2.0
// Needs root, runc, conmon and busybox (static), and a kernel that maps ids of overlayfs' layers (5.19).
#include <sys/stat.h>

#include "machine/node/testing/bench_test.h"

using namespace caisson;
using namespace caisson::node;
using namespace caisson::node::testing;

namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// The owner of a file on the host's disk; -1 when it is not there.
std::int64_t owner(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? std::int64_t{info.st_uid} : -1;
}

std::string isolated(const std::string& name, const std::string& more = "") {
  return R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: )yaml" +
         name + R"yaml(}
spec:
  hostUsers: false
  terminationGracePeriodSeconds: 0
  securityContext: {fsGroup: 2000}
)yaml" + more +
         R"yaml(
  containers:
  - name: main
    image: busybox
    command: [sh, -c]
    args: ["cat /proc/self/uid_map; echo image $(stat -c %u:%g /bin/busybox); echo mine > /own; echo there > /scratch/file; echo given $(cat /secret/password) $(stat -c %u /secret); echo shm > /dev/shm/x && echo net $(ls /sys/class/net); exec sleep 100000"]
    volumeMounts: [{name: scratch, mountPath: /scratch}, {name: secret, mountPath: /secret, readOnly: true}]
    readinessProbe: {exec: {command: [test, -e, /dev/shm/x]}, periodSeconds: 1, timeoutSeconds: 10}
  volumes: [{name: scratch, emptyDir: {}}, {name: secret, secret: {secretName: keys}}]
)yaml";
}

constexpr const char* kSecret = R"yaml(
apiVersion: v1
kind: Secret
metadata: {name: keys}
data: {password: c2VjcmV0}
)yaml";

}  // namespace

TEST_CASE("root of a pod with a user namespace is nobody on the host, and its files keep their owners") {
  Bench bench;
  REQUIRE(::chmod(bench.dir.path().c_str(), 0711) ==
          0);  // as the data directory is: root of a pod must walk through it
  if (const std::string why = container::why_no_user_namespaces(bench.dir.path()); !why.empty()) {
    MESSAGE("not possible here: " << why);
    return;
  }
  bench.apply(kSecret);
  bench.apply(isolated("first"));
  bench.apply(isolated("second"));
  bench.wait_ready("first");
  bench.wait_ready("second");
  const std::string log = bench.log("first", "main");
  CHECK_MESSAGE(has(log, "image 0:0"), log);
  CHECK_MESSAGE(has(log, "given secret 0"), log);
  CHECK_MESSAGE(has(log, "eth0"), log);
  std::set<std::int64_t> ranges;
  for (const char* name : {"first", "second"}) {
    const std::string uid = bench.pod(name).uid(), directory = bench.dir.path() + "/pods/" + uid;
    for (const auto& status : bench.node->containers().list()) {
      if (status.label("pod") != uid) continue;
      const std::int64_t ids = owner("/proc/" + std::to_string(status.pid));
      CHECK(ids >= 0x70000000);
      ranges.insert(ids);
      const std::string own = directory + "/containers/" + status.id;
      CHECK(owner(own + "/upper/own") == ids);  // what the container makes of its root is its own
      CHECK(owner(own + "/root/bin/busybox") == ids);
    }
    CHECK(owner(directory + "/volumes/scratch/file") == 0);  // volumes are as anybody else sees them
    CHECK(owner(directory + "/volumes/secret/password") == 0);
  }
  CHECK(ranges.size() == 2);

  // The agent that comes next knows whose ids are whose.
  bench.stop();
  bench.start();
  bench.apply(isolated("third"));
  bench.wait_ready("third");
  const std::string uid = bench.pod("third").uid();
  for (const auto& status : bench.node->containers().list())
    if (status.label("pod") == uid) CHECK_FALSE(ranges.contains(owner("/proc/" + std::to_string(status.pid))));

  for (const char* name : {"first", "second", "third"})
    REQUIRE(bench.admin->remove(schema::kPods, {"default", name}, {.grace_period_seconds = 1}).ok());
  for (const char* name : {"first", "second", "third"})
    bench.wait(name, [](const kube::Object& p) { return p.uid().empty(); });
  CHECK(container::mounts_below(bench.dir.path() + "/pods")->empty());
}

TEST_CASE("containers of one user namespace share processes, and users beyond it are refused") {
  Bench bench;
  REQUIRE(::chmod(bench.dir.path().c_str(), 0711) == 0);
  if (!container::why_no_user_namespaces(bench.dir.path()).empty()) return;
  bench.apply(kSecret);
  bench.apply(isolated("shared", "  shareProcessNamespace: true\n"));
  bench.wait_ready("shared");
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: far}
spec:
  hostUsers: false
  securityContext: {runAsUser: 70000}
  containers: [{name: main, image: busybox, command: [sleep, "1000"]}]
)yaml");
  bench.wait("far", [&](const kube::Object& p) {
    const Value& waiting = bench.container_status(p)["state"]["waiting"];
    return waiting["reason"].as_string() == "CreateContainerConfigError" &&
           has(waiting["message"].str(), "70000 is not in the pod's user namespace");
  });
}
