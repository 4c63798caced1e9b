// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <unistd.h>

#include "artifact/container/capabilities.h"
#include "artifact/container/seccomp.h"
#include "artifact/container/spec.h"
#include "core/base/file.h"
#include "core/document/json.h"

using namespace caisson;
using namespace caisson::container;

namespace {

std::vector<std::string> strings(const Value& list) {
  std::vector<std::string> out;
  for (const auto& item : list.items()) out.push_back(item.str());
  return out;
}

const Value* rule_for(const Value& seccomp, std::string_view call) {
  for (const auto& rule : seccomp["syscalls"].items()) {
    for (const auto& name : rule["names"].items()) {
      if (name.as_string() == call) return &rule;
    }
  }
  return nullptr;
}

ContainerSpec some_spec() {
  ContainerSpec spec;
  spec.id = "c1";
  spec.root = "/root-of-c1";
  spec.args = {"sh"};
  return spec;
}

}  // namespace

TEST_CASE("capabilities are dropped and added as the CRI has it") {
  const std::vector<std::string> base = {"CAP_CHOWN", "CAP_KILL"};
  struct Case {
    std::vector<std::string> add, drop, want;
  };
  for (const auto& c : {Case{{}, {}, {"CAP_CHOWN", "CAP_KILL"}}, Case{{}, {"ALL"}, {}},
                        Case{{"NET_BIND_SERVICE"}, {"ALL"}, {"CAP_NET_BIND_SERVICE"}},
                        Case{{"cap_sys_time"}, {"KILL"}, {"CAP_CHOWN", "CAP_SYS_TIME"}}}) {
    const auto got = resolve_capabilities(base, c.add, c.drop);
    REQUIRE(got.ok());
    CHECK(*got == c.want);
  }
  const auto all = resolve_capabilities(base, {"ALL"}, {"SYS_ADMIN"});
  REQUIRE(all.ok());
  CHECK(all->size() == all_capabilities().size() - 1);
  const auto unknown = resolve_capabilities(base, {"NET_BIND"}, {});
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().message == "unknown capability \"NET_BIND\"; did you mean NET_BIND_SERVICE?");
}

TEST_CASE("clone3 is answered with ENOSYS unless CAP_SYS_ADMIN is held, and new namespaces are filtered in clone") {
  const Value plain = default_seccomp(default_capabilities());
  CHECK(plain["defaultAction"].as_string() == "SCMP_ACT_ERRNO");
  CHECK((*rule_for(plain, "clone3"))["errnoRet"].as_int() == 38);
  const Value& condition = (*rule_for(plain, "clone"))["args"][0];
  CHECK(condition["op"].as_string() == "SCMP_CMP_MASKED_EQ");
  CHECK(condition["value"].as_int() == 0x7E020000);
  CHECK(rule_for(plain, "mount") == nullptr);
  CHECK(rule_for(plain, "chroot") != nullptr);
  const Value admin = default_seccomp(all_capabilities());
  CHECK((*rule_for(admin, "clone3"))["action"].as_string() == "SCMP_ACT_ALLOW");
  CHECK(rule_for(admin, "mount") != nullptr);
}

TEST_CASE("a profile in Docker's format keeps what applies to the capabilities held") {
  const auto profile = json::parse(R"({"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
    {"names":["read"],"action":"SCMP_ACT_ALLOW"},
    {"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
    {"names":["clone"],"action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_SYS_ADMIN"]}}]})");
  const auto without = seccomp_from_profile(*profile, {});
  REQUIRE(without.ok());
  CHECK(rule_for(*without, "mount") == nullptr);
  CHECK(rule_for(*without, "clone") != nullptr);
  const auto broken = seccomp_from_profile(
      *json::parse(R"({"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"action":"SCMP_ACT_ALLOW"}]})"), {});
  REQUIRE_FALSE(broken.ok());
  CHECK(broken.error().message == "syscalls[0].names: at least one system call");
}

TEST_CASE("what this process may not give is clamped, not refused") {
  ContainerSpec spec = some_spec();
  spec.oom_score_adj = -998;
  const Value config = runtime_config(spec, "/caisson-x/c1",
                                      {.may_lower_oom_score = false, .oom_score_adj = 5, .open_files_max = 20000});
  CHECK(config["process"]["oomScoreAdj"].as_int() == 5);
  CHECK(config["process"]["rlimits"][0]["hard"].as_int() == 20000);
  const Value free = runtime_config(spec, "/caisson-x/c1", {});
  CHECK(free["process"]["oomScoreAdj"].as_int() == -998);
}

TEST_CASE("mounts come after those they lie in, and replace the usual ones") {
  ContainerSpec spec = some_spec();
  spec.mounts = {{"/h/sub", "/data/sub/", true}, {"/h", "/data"}, {"/h/shm", "/dev/shm"}};
  const Value config = runtime_config(spec, "/x", {});
  std::vector<std::string> targets;
  for (const auto& mount : config["mounts"].items()) targets.push_back(mount["destination"].str());
  CHECK(targets == std::vector<std::string>{"/proc", "/dev", "/dev/pts", "/dev/mqueue", "/sys", "/sys/fs/cgroup",
                                            "/data", "/data/sub", "/dev/shm"});
  CHECK(strings(config["mounts"][7]["options"]) == std::vector<std::string>{"rbind", "rprivate", "ro"});
  CHECK_FALSE(config["linux"].contains("rootfsPropagation"));
  spec.mounts[0].options = {"rshared"};
  CHECK(runtime_config(spec, "/x", {})["linux"]["rootfsPropagation"].str() == "rshared");
}

TEST_CASE("a privileged container holds every capability and nothing is masked") {
  ContainerSpec spec = some_spec();
  spec.privileged = true;
  spec.seccomp = default_seccomp({});
  const Value config = runtime_config(spec, "/x", {});
  CHECK(strings(config["process"]["capabilities"]["effective"]) == all_capabilities());
  CHECK_FALSE(config["linux"].contains("maskedPaths"));
  CHECK_FALSE(config["linux"].contains("seccomp"));
  CHECK_FALSE(config["process"]["noNewPrivileges"].as_bool());
}

TEST_CASE("exec takes the container's process with what differs") {
  ContainerSpec spec = some_spec();
  spec.env = {{"A", "1"}, {"B", "2"}};
  const Value config = runtime_config(spec, "/x", {});
  const Value process = exec_process(config, {.args = {"ls"}, .env = {{"B", "3"}}, .terminal = true});
  CHECK(strings(process["args"]) == std::vector<std::string>{"ls"});
  const auto env = strings(process["env"]);
  CHECK(std::find(env.begin(), env.end(), "B=3") != env.end());
  CHECK(std::find(env.begin(), env.end(), "B=2") == env.end());
  CHECK(std::find(env.begin(), env.end(), "TERM=xterm") != env.end());
}

TEST_CASE("an image's user is looked up in the image, with its groups") {
  const auto dir = TempDir::make();
  REQUIRE(make_dirs(dir->path() + "/etc").ok());
  REQUIRE(
      write_file(dir->path() + "/etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:1000:2000::/home/app:/bin/sh\n").ok());
  REQUIRE(write_file(dir->path() + "/etc/group", "root:x:0:\nextra:x:3000:app,b\n").ok());
  struct Case {
    std::string text;
    User want;
  };
  for (const auto& c : {Case{"", {0, 0, {}}}, Case{"app", {1000, 2000, {3000}}}, Case{"1000", {1000, 2000, {3000}}},
                        Case{"77", {77, 0, {}}}, Case{"77:88", {77, 88, {}}}, Case{"app:extra", {1000, 3000, {}}}}) {
    const auto got = resolve_user(dir->path(), c.text);
    REQUIRE_MESSAGE(got.ok(), c.text);
    CHECK_MESSAGE(*got == c.want, c.text);
  }
  const auto unknown = resolve_user(dir->path(), "nobody");
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().message == "no user \"nobody\" in the image's /etc/passwd");
}

TEST_CASE("links in a root never lead out of it") {
  const auto dir = TempDir::make();
  REQUIRE(make_dirs(dir->path() + "/a").ok());
  REQUIRE(::symlink("/etc", (dir->path() + "/abs").c_str()) == 0);
  REQUIRE(::symlink("../../../../up", (dir->path() + "/a/rel").c_str()) == 0);
  REQUIRE(::symlink("loop", (dir->path() + "/loop").c_str()) == 0);
  CHECK(*resolve_in_root(dir->path(), "/abs/passwd") == dir->path() + "/etc/passwd");
  CHECK(*resolve_in_root(dir->path(), "a/rel/x") == dir->path() + "/up/x");
  CHECK(*resolve_in_root(dir->path(), "../../x") == dir->path() + "/x");
  CHECK_FALSE(resolve_in_root(dir->path(), "loop").ok());
}
