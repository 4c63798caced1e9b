// SPDX-License-Identifier: Apache-2.0
// Needs root, runc, conmon and busybox (static): fields of a pod's spec, as their users see them, in real containers.
#include <sys/mount.h>
#include <sys/stat.h>

#include "machine/node/testing/bench_test.h"
#include "machine/node/volumes.h"

using namespace caisson;
using namespace caisson::node;
using namespace caisson::node::testing;

namespace {

bool says(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// A directory of the host with a mount below it, whose later mounts others may follow.
class SharedDirectory {
 public:
  explicit SharedDirectory(std::string path) : path_(std::move(path)) {
    REQUIRE(make_dirs(path_).ok());
    REQUIRE(::mount(path_.c_str(), path_.c_str(), nullptr, MS_BIND, nullptr) == 0);
    REQUIRE(::mount(nullptr, path_.c_str(), nullptr, MS_SHARED, nullptr) == 0);
    add("sub");
  }
  ~SharedDirectory() { CHECK(container::unmount_below(path_).ok()); }
  void add(const std::string& name) const {
    const std::string at = path_ + "/" + name;
    REQUIRE(make_dirs(at).ok());
    REQUIRE(::mount("tmpfs", at.c_str(), "tmpfs", 0, "size=64k") == 0);
    REQUIRE(write_file_unsynced(at + "/here", "").ok());
  }

 private:
  std::string path_;
};

// The log has come to hold it.
void wait_log(Bench& bench, const std::string& pod, const std::string& text) {
  bench.wait(pod, [&](const kube::Object&) { return says(bench.log(pod, "c"), text); });
}

}  // namespace

TEST_CASE("mounts: a path from the environment, read-only to the last mount below, and mounts that the host makes later") {
  Bench bench;
  const SharedDirectory host(bench.dir.path() + "/host");
  bench.apply(replace_all(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: mounts}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  securityContext: {fsGroup: 2000}
  containers:
  - name: c
    image: busybox
    env: [{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
    command:
    - sh
    - -c
    - |
      echo mine > /mine/f; cat /all/mounts/x/f; stat -c 'group %g %a' /all
      touch /ro/sub/f; echo recursive $?; touch /top/sub/f; echo top $?; touch /top/f; echo itself $?
      until test -e /follow/later/here; do sleep 0.02; done; test -e /ro/later/here; echo followed, not by the other $?
    volumeMounts:
    - {name: data, mountPath: /mine, subPathExpr: "$(POD_NAME)/x"}
    - {name: data, mountPath: /all}
    - {name: host, mountPath: /ro, readOnly: true, recursiveReadOnly: Enabled}
    - {name: host, mountPath: /top, readOnly: true}
    - {name: host, mountPath: /follow, mountPropagation: HostToContainer}
  volumes:
  - {name: data, emptyDir: {}}
  - {name: host, hostPath: {path: HOST, type: Directory}}
)yaml",
                          "HOST", bench.dir.path() + "/host"));
  wait_log(bench, "mounts", "itself");
  host.add("later");
  bench.wait_phase("mounts", "Succeeded");
  const std::string log = bench.log("mounts", "c");
  CHECK_MESSAGE(says(log, "F mine\n"), log);
  CHECK_MESSAGE(says(log, "group 2000 2777\n"), log);
  CHECK_MESSAGE(says(log, "recursive 1\n"), log);
  CHECK_MESSAGE(says(log, "top 0\n"), log);  // as Kubernetes documents it: readOnly alone is of the mount itself
  CHECK_MESSAGE(says(log, "itself 1\n"), log);
  CHECK_MESSAGE(says(log, "followed, not by the other 1\n"), log);
}

TEST_CASE("fsGroup gives a claim's files to the group at a pod's first start, or only where its root is another's") {
  const auto dir = TempDir::make();
  REQUIRE(dir.ok());
  const std::string claimed = dir->path() + "/claimed";
  const kube::Object claim(*yaml::read("{spec: {volumeName: v}, status: {phase: Bound}}"));
  const kube::Object volume(*yaml::read("{spec: {local: {path: " + claimed + "}}}"));
  const auto group_of = [](const std::string& path) {
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    return info.st_gid;
  };
  const auto start = [&](const std::string& policy, bool first) {
    const kube::Object pod(*yaml::read("{metadata: {name: p}, spec: {securityContext: {fsGroup: 2000" + policy +
                                       "}, volumes: [{name: d, persistentVolumeClaim: {claimName: c}}]}}"));
    VolumeSources sources;
    sources.claim = [&](const std::string&) { return std::optional(claim); };
    sources.volume = [&](const std::string&) { return std::optional(volume); };
    sources.first = first;
    const auto made = make_volumes(pod, dir->path(), sources);
    REQUIRE_MESSAGE(made.ok(), why(made));
  };
  struct Case {
    const char* policy;
    bool first, root_is_of_group, given;
  };
  for (const auto& c : {Case{"", true, true, true}, Case{", fsGroupChangePolicy: Always", true, true, true},
                        Case{", fsGroupChangePolicy: OnRootMismatch", true, true, false},
                        Case{", fsGroupChangePolicy: OnRootMismatch", true, false, true},
                        Case{", fsGroupChangePolicy: Always", false, true, false}}) {
    CAPTURE(c.policy);
    REQUIRE(remove_tree(claimed).ok());
    REQUIRE(make_dirs(claimed + "/below").ok());
    REQUIRE(::chown(claimed.c_str(), 0, c.root_is_of_group ? 2000 : 7) == 0);
    REQUIRE(::chmod(claimed.c_str(), 02770) == 0);
    start(c.policy, c.first);
    CHECK(group_of(claimed) == 2000);
    CHECK((group_of(claimed + "/below") == 2000) == c.given);
  }
}

TEST_CASE("a seccomp profile of the node's forbids what it names, and one that is not there is named") {
  Bench bench;
  REQUIRE(make_dirs(bench.dir.path() + "/seccomp/team").ok());
  REQUIRE(write_file_unsynced(bench.dir.path() + "/seccomp/team/no-mkdir.json",
                              R"({"defaultAction": "SCMP_ACT_ALLOW",
                                  "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]})")
              .ok());
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: tight}
spec:
  restartPolicy: Never
  securityContext: {seccompProfile: {type: Localhost, localhostProfile: team/no-mkdir.json}}
  containers: [{name: c, image: busybox, command: [sh, -c, "mkdir /tmp/x; echo mkdir $?; touch /tmp/y; echo touch $?"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: without}
spec:
  restartPolicy: Never
  securityContext: {seccompProfile: {type: Localhost, localhostProfile: team/other.json}}
  containers: [{name: c, image: busybox, command: ["true"]}]
)yaml");
  bench.wait_phase("tight", "Succeeded");
  CHECK_MESSAGE(says(bench.log("tight", "c"), "mkdir 1\n"), bench.log("tight", "c"));
  CHECK(says(bench.log("tight", "c"), "touch 0\n"));
  bench.wait("without", [&](const kube::Object& p) {
    return says(bench.container_status(p)["state"]["waiting"]["message"].str(), "seccomp profile team/other.json");
  });
}

TEST_CASE("the log of a container's former run is there with previous, and only when there was one") {
  Bench bench;
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: twice}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "test -e /d/ran && { echo second; exec sleep 1000; }; touch /d/ran; echo first; exit 1"]
    volumeMounts: [{name: d, mountPath: /d}]
  volumes: [{name: d, emptyDir: {}}]
)yaml");
  auto started = http::Server::start({});
  REQUIRE_MESSAGE(started.ok(), why(started));
  http::Server server = std::move(started).value();
  const std::string socket = bench.dir.path() + "/agent.sock";
  REQUIRE(server.listen_unix(socket, bench.node->handler()).ok());
  http::Client http({.unix_socket = socket});
  const auto log_of = [&](const std::string& query) {
    const auto answer = http.send({.url = "http://unix/containerLogs/default/twice/c" + query});
    return answer.ok() ? answer->body : answer.error().message;
  };
  bench.wait("twice", [&](const kube::Object& p) {
    return bench.container_status(p)["restartCount"].as_int() == 1 && says(bench.log("twice", "c", 1), "second");
  });
  CHECK(log_of("") == "second\n");
  CHECK(log_of("?previous=true") == "first\n");
  REQUIRE(bench.admin->remove(schema::kPods, {"default", "twice"}, {.grace_period_seconds = 1}).ok());
  bench.wait("twice", [](const kube::Object& p) { return p.uid().empty(); });
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: twice}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: busybox, command: [sleep, "1000"]}]
)yaml");
  bench.wait_ready("twice");
  CHECK_MESSAGE(says(log_of("?previous=true"), "previous terminated container \"c\" in pod \"twice\" not found"),
                log_of("?previous=true"));
}
