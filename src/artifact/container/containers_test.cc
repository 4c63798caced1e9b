// SPDX-License-Identifier: Apache-2.0
// Needs root, runc, conmon and busybox (static): real containers in a cgroup of their own, which are gone at the end.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "artifact/container/capabilities.h"
#include "artifact/container/cleanup.h"
#include "artifact/container/containers.h"
#include "artifact/container/root.h"
#include "artifact/container/sandbox.h"
#include "artifact/container/seccomp.h"
#include "artifact/container/user_namespace.h"
#include "core/base/process.h"
#include "core/base/random.h"
#include "core/base/text.h"

using namespace caisson;
using namespace caisson::container;
using namespace std::chrono_literals;

namespace {

constexpr Duration kSoon = 20s;

// A busybox layer, an instance of its own, and its clean-up.
struct Bench {
  TempDir dir = std::move(TempDir::make("containers")).value();
  std::string layer = dir.path() + "/layer";
  std::string cgroup_root = "/caisson-test-" + random_name_suffix(6);
  int roots = 0;

  Bench() {
    for (const char* name : {"/bin", "/tmp", "/etc", "/proc", "/dev", "/sys"}) REQUIRE(make_dirs(layer + name).ok());
    const auto busybox = read_file("/bin/busybox");
    REQUIRE(busybox.ok());
    REQUIRE(write_file_unsynced(layer + "/bin/busybox", *busybox, 0755).ok());
    for (const char* name : {"sh", "echo", "cat", "sleep", "true", "stty", "id", "hostname", "grep", "dd", "mkdir",
                             "touch", "head", "tr"}) {
      REQUIRE(::symlink("busybox", (layer + "/bin/" + name).c_str()) == 0);
    }
  }
  ~Bench() {
    const auto cleaned = cleanup({cgroup_root, state(), {dir.path()}});
    CHECK_MESSAGE(cleaned.ok(), (cleaned.ok() ? "" : cleaned.error().message));
  }

  std::string state() const { return dir.path() + "/containers"; }
  Result<std::unique_ptr<Containers>> open(std::function<void(const ContainerStatus&)> on_exit =
                                               [](const ContainerStatus&) {}) {
    return Containers::open({.state_root = state(), .cgroup_root = cgroup_root}, std::move(on_exit));
  }
  ContainerSpec spec(const std::string& id, std::vector<std::string> args) {
    const std::string base = dir.path() + "/roots/" + id;
    const auto mounted = mount_root({{layer}, base + "/upper", base + "/work", base + "/merged"});
    REQUIRE_MESSAGE(mounted.ok(), (mounted.ok() ? "" : mounted.error().message));
    ContainerSpec spec;
    spec.id = id;
    spec.root = base + "/merged";
    spec.args = std::move(args);
    spec.capabilities = default_capabilities();
    spec.seccomp = default_seccomp(spec.capabilities);
    spec.cgroup = "pod1/" + id;
    spec.log_path = dir.path() + "/" + id + ".log";
    spec.labels = {{"name", id}};
    return spec;
  }
  std::string log(const std::string& id) const {
    const auto text = read_file(dir.path() + "/" + id + ".log");
    return text.ok() ? *text : "";
  }
};

template <class T>
std::string why(const Result<T>& result) {
  return result.ok() ? "" : result.error().message;
}

#define OK(expr)                                       \
  do {                                                 \
    const auto ok_result_ = (expr);                    \
    REQUIRE_MESSAGE(ok_result_.ok(), why(ok_result_)); \
  } while (false)

std::string drain(ExecProcess& process) {
  std::string out;
  char buffer[1024];
  for (;;) {
    pollfd one{process.out(), POLLIN, 0};
    ::poll(&one, 1, 10'000);
    const ssize_t got = ::read(process.out(), buffer, sizeof buffer);
    if (got <= 0) return out;
    out.append(buffer, static_cast<std::size_t>(got));
  }
}

}  // namespace

TEST_CASE("user namespaces are made by many threads at once") {
  std::vector<std::thread> threads;
  std::atomic<int> made = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) made += make_user_namespace({0x7000'0000}).ok() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(made == 200);
}

TEST_CASE("a container runs, logs in CRI lines, and its exit code and end are told once") {
  Bench bench;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<ContainerStatus> ended;
  const auto containers = bench.open([&](const ContainerStatus& status) {
    const std::lock_guard lock(mutex);
    ended.push_back(status);
    changed.notify_all();
  });
  REQUIRE_MESSAGE(containers.ok(), why(containers));
  OK((*containers)->create(bench.spec("one", {"sh", "-c", "echo hello; echo bad >&2; exit 7"})));
  OK((*containers)->start("one"));
  {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, kSoon, [&] { return !ended.empty(); }));
    CHECK(ended.size() == 1);
    CHECK(ended[0].exit->code == 7);
    CHECK(ended[0].label("name") == "one");
    CHECK_FALSE(ended[0].exit->oom_killed);
  }
  CHECK(bench.log("one").find(" stdout F hello\n") != std::string::npos);
  CHECK(bench.log("one").find(" stderr F bad\n") != std::string::npos);
  OK((*containers)->remove("one"));
  CHECK_FALSE((*containers)->find("one"));
  CHECK_FALSE(Cgroup(bench.cgroup_root + "/pod1/one").exists());
}

TEST_CASE("a command that is not in the root is refused in runc's words, and leaves nothing") {
  Bench bench;
  const auto containers = bench.open();
  REQUIRE_MESSAGE(containers.ok(), why(containers));
  const auto created = (*containers)->create(bench.spec("bad", {"/no/such/program"}));
  REQUIRE_FALSE(created.ok());
  CHECK(created.error().code == ErrorCode::invalid);
  CHECK_MESSAGE(created.error().message.find("/no/such/program") != std::string::npos, created.error().message);
  CHECK((*containers)->list().empty());
  CHECK_FALSE(exists(bench.state() + "/c/bad"));
}

TEST_CASE("running out of memory is told apart from a kill") {
  Bench bench;
  const auto containers = bench.open();
  REQUIRE_MESSAGE(containers.ok(), why(containers));
  ContainerSpec spec =
      bench.spec("oom", {"sh", "-c", "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo $x | cat >/dev/null"});
  spec.limits.memory_bytes_max = 24 << 20;
  OK((*containers)->create(spec));
  OK((*containers)->start("oom"));
  auto exit = (*containers)->wait("oom", kSoon);
  REQUIRE_MESSAGE(exit.ok(), why(exit));
  CHECK(exit->oom_killed);

  OK((*containers)->create(bench.spec("killed", {"sleep", "1000"})));
  OK((*containers)->start("killed"));
  OK((*containers)->kill("killed"));
  exit = (*containers)->wait("killed", kSoon);
  REQUIRE_MESSAGE(exit.ok(), why(exit));
  CHECK(exit->code == 137);
  CHECK_FALSE(exit->oom_killed);
}

TEST_CASE("a signal reaches the container's first process") {
  Bench bench;
  const auto containers = bench.open();
  REQUIRE_MESSAGE(containers.ok(), why(containers));
  OK((*containers)
         ->create(bench.spec("term", {"sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"})));
  OK((*containers)->start("term"));
  // The trap is set once the line is in the log.
  for (int i = 0; i < 200 && bench.log("term").empty(); ++i) {
    CHECK((*containers)->exec_run("term", {.args = {"true"}}, 10s).ok());
  }
  OK((*containers)->signal("term", SIGTERM));
  const auto exit = (*containers)->wait("term", kSoon);
  REQUIRE_MESSAGE(exit.ok(), why(exit));
  CHECK(exit->code == 3);
}

TEST_CASE("exec gives output, exit code, standard input and a terminal of the wanted size") {
  Bench bench;
  const auto containers = bench.open();
  REQUIRE_MESSAGE(containers.ok(), why(containers));
  OK((*containers)->create(bench.spec("box", {"sleep", "1000"})));
  OK((*containers)->start("box"));

  const auto plain = (*containers)->exec_run("box", {.args = {"sh", "-c", "echo out; echo err >&2; exit 5"}}, 10s);
  REQUIRE_MESSAGE(plain.ok(), why(plain));
  CHECK(plain->code == 5);
  CHECK(plain->output.find("out\n") != std::string::npos);
  CHECK(plain->output.find("err\n") != std::string::npos);

  const auto late = (*containers)->exec_run("box", {.args = {"sleep", "100"}}, 200ms);
  REQUIRE_FALSE(late.ok());
  CHECK(late.error().code == ErrorCode::timeout);

  auto cat = (*containers)->exec("box", {.args = {"cat"}});
  REQUIRE_MESSAGE(cat.ok(), why(cat));
  std::unique_ptr<ExecProcess> process = std::move(cat).value();
  REQUIRE(write_all(process->in(), "through\n").ok());
  process->close_in();
  CHECK(drain(*process) == "through\n");
  CHECK(*process->wait(10s) == 0);

  auto tty =
      (*containers)
          ->exec("box", {.args = {"sh", "-c", "read x; until stty size | grep '33 77'; do :; done"}, .terminal = true});
  REQUIRE_MESSAGE(tty.ok(), why(tty));
  process = std::move(tty).value();
  process->resize(33, 77);
  REQUIRE(write_all(process->in(), "\n").ok());
  CHECK(drain(*process).find("33 77") != std::string::npos);  // runc hands the size on after the start, hence the loop
  CHECK(*process->wait(10s) == 0);
}

namespace {

std::string read_to_the_end(Attachment& streams) {
  std::string out;
  for (;;) {
    pollfd one{streams.fd(), POLLIN, 0};
    REQUIRE(::poll(&one, 1, 10'000) == 1);
    auto piece = streams.read();
    if (!piece.ok() && piece.error().code == ErrorCode::timeout) continue;
    REQUIRE(piece.ok());
    if (!*piece) return out;
    CHECK((*piece)->stream == 1);
    out += (*piece)->data;
  }
}

void write_whole(Attachment& streams, std::string_view data) {
  while (!data.empty()) {
    const auto taken = streams.write(data);
    REQUIRE_MESSAGE(taken.ok(), why(taken));
    data.remove_prefix(*taken);
    if (*taken == 0) std::this_thread::yield();  // it reads on
  }
}

}  // namespace

TEST_CASE("attach reads and writes the container's own streams") {
  Bench bench;
  const auto containers = bench.open();
  REQUIRE_MESSAGE(containers.ok(), why(containers));
  ContainerSpec spec = bench.spec("echoer", {"sh", "-c", "read line; echo got $line"});
  spec.keep_stdin = true;
  OK((*containers)->create(spec));
  auto attachment = (*containers)->attach("echoer");
  REQUIRE_MESSAGE(attachment.ok(), why(attachment));
  const std::unique_ptr<Attachment> streams = std::move(attachment).value();
  OK((*containers)->start("echoer"));
  write_whole(*streams, "abc\n");
  CHECK(read_to_the_end(*streams) == "got abc\n");
}

TEST_CASE("input for a container that does not read is taken until there is no room, and never waits") {
  Bench bench;
  const auto containers = bench.open();
  REQUIRE_MESSAGE(containers.ok(), why(containers));
  ContainerSpec spec = bench.spec("deaf", {"sleep", "1000"});
  spec.keep_stdin = true;
  OK((*containers)->create(spec));
  OK((*containers)->start("deaf"));
  auto attachment = (*containers)->attach("deaf");
  REQUIRE_MESSAGE(attachment.ok(), why(attachment));
  const std::string block(64u << 10, 'x');
  std::size_t together = 0;
  for (int full = 0; full < 1000;) {  // the monitor takes its part a moment later
    const auto taken = (*attachment)->write(block);
    REQUIRE_MESSAGE(taken.ok(), why(taken));
    full = *taken == 0 ? full + 1 : 0;
    together += *taken;
    REQUIRE(together < (64u << 20));
  }
  CHECK(together > 0);
}

TEST_CASE("input that is for one attachment ends when that one ends it") {
  Bench bench;
  const auto containers = bench.open();
  REQUIRE_MESSAGE(containers.ok(), why(containers));
  ContainerSpec spec = bench.spec("counter", {"sh", "-c", "wc -c"});
  spec.keep_stdin = true;
  spec.stdin_once = true;
  OK((*containers)->create(spec));
  OK((*containers)->start("counter"));
  auto attachment = (*containers)->attach("counter");
  REQUIRE_MESSAGE(attachment.ok(), why(attachment));
  const std::unique_ptr<Attachment> streams = std::move(attachment).value();
  write_whole(*streams, std::string(300'000, 'x'));
  for (;;) {
    const auto closed = streams->close_in();
    REQUIRE_MESSAGE(closed.ok(), why(closed));
    if (*closed) break;
    std::this_thread::yield();
  }
  CHECK(read_to_the_end(*streams).find("300000") != std::string::npos);
}

TEST_CASE("containers of one sandbox share host name and network, and the sandbox leaves nothing") {
  Bench bench;
  const auto containers = bench.open();
  REQUIRE_MESSAGE(containers.ok(), why(containers));
  const SandboxSpec wanted{.directory = bench.dir.path() + "/sandbox", .hostname = "pod-7"};
  const auto sandbox = make_sandbox(wanted);
  REQUIRE_MESSAGE(sandbox.ok(), why(sandbox));
  CHECK(sandbox_is_live(wanted));
  for (const char* id : {"a", "b"}) {
    ContainerSpec spec = bench.spec(id, {"sh", "-c", "hostname; cat /proc/self/ns/net 2>/dev/null; sleep 1000"});
    spec.namespaces = {.network = sandbox->network, .ipc = sandbox->ipc, .uts = sandbox->uts};
    OK((*containers)->create(spec));
    OK((*containers)->start(id));
    const auto name = (*containers)->exec_run(id, {.args = {"hostname"}}, 10s);
    REQUIRE_MESSAGE(name.ok(), why(name));
    CHECK(name->output == "pod-7\n");
  }
  struct stat a {
  }, b{};
  REQUIRE(::stat(("/proc/" + std::to_string((*containers)->find("a")->pid) + "/ns/net").c_str(), &a) == 0);
  REQUIRE(::stat(("/proc/" + std::to_string((*containers)->find("b")->pid) + "/ns/net").c_str(), &b) == 0);
  CHECK(a.st_ino == b.st_ino);
  for (const char* id : {"a", "b"}) OK((*containers)->remove(id));
  OK(remove_sandbox(wanted.directory));
  CHECK_FALSE(sandbox_is_live(wanted));
  CHECK(mounts_below(wanted.directory)->empty());
}

TEST_CASE("containers outlive a killed program and are taken up again, with what ended meanwhile") {
  Bench bench;
  const ContainerSpec stays = bench.spec("stays", {"sleep", "1000"});
  const ContainerSpec ends = bench.spec("ends", {"sh", "-c", "read x </tmp/go; exit 9"});
  REQUIRE(::mkfifo((ends.root + "/tmp/go").c_str(), 0666) == 0);
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // a program that makes containers and is killed
    const auto containers = bench.open();
    bool good = containers.ok();
    for (const auto* spec : {&stays, &ends})
      good = good && (*containers)->create(*spec).ok() && (*containers)->start(spec->id).ok();
    [[maybe_unused]] const ssize_t wrote = ::write(ready[1], good ? "y" : "n", 1);
    ::pause();
    ::_exit(1);
  }
  char answer = 0;
  REQUIRE(::read(ready[0], &answer, 1) == 1);
  CHECK(answer == 'y');
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  {
    const UniqueFd go(
        ::open((ends.root + "/tmp/go").c_str(), O_WRONLY | O_CLOEXEC));  // lets "ends" end while nobody watches
    REQUIRE(go.get() >= 0);
  }
  const auto again = bench.open();
  REQUIRE_MESSAGE(again.ok(), why(again));
  const auto running = (*again)->find("stays");
  REQUIRE(running);
  CHECK(running->state == ContainerStatus::State::running);
  CHECK(running->label("name") == "stays");
  CHECK((*again)->exec_run("stays", {.args = {"true"}}, 10s)->code == 0);
  const auto exit = (*again)->wait("ends", kSoon);
  REQUIRE_MESSAGE(exit.ok(), why(exit));
  CHECK(exit->code == 9);
  OK((*again)->kill("stays"));
  CHECK((*again)->wait("stays", kSoon)->code == 137);
}

TEST_CASE("a killed monitor ends its container, which is told as lost") {
  Bench bench;
  const auto containers = bench.open();
  REQUIRE_MESSAGE(containers.ok(), why(containers));
  OK((*containers)->create(bench.spec("orphan", {"sleep", "1000"})));
  OK((*containers)->start("orphan"));
  const auto monitor = read_file(bench.state() + "/c/orphan/monitor.pid");
  REQUIRE(monitor.ok());
  ::kill(static_cast<pid_t>(*parse_int(trim(*monitor))), SIGKILL);
  const auto exit = (*containers)->wait("orphan", kSoon);
  REQUIRE_MESSAGE(exit.ok(), why(exit));
  CHECK(exit->lost);
  CHECK(exit->code == 137);
}

TEST_CASE("run_once streams output, gives the code, and keeps its time") {
  Bench bench;
  const auto containers = bench.open();
  REQUIRE_MESSAGE(containers.ok(), why(containers));
  std::string out;
  const auto collect = [&out](std::string_view text) { out += text; };
  const auto code =
      (*containers)->run_once(bench.spec("r1", {"sh", "-c", "echo one; echo two >&2; exit 4"}), {.output = collect});
  REQUIRE_MESSAGE(code.ok(), why(code));
  CHECK(*code == 4);
  CHECK(out.size() == 8);  // runc copies the two streams each by itself: their order is not kept
  CHECK(out.find("one\n") != std::string::npos);
  CHECK(out.find("two\n") != std::string::npos);

  const auto late =
      (*containers)
          ->run_once(bench.spec("r2", {"sh", "-c", "sleep 1000 & sleep 1000"}), {.output = collect, .time_max = 500ms});
  REQUIRE_FALSE(late.ok());
  CHECK(late.error().code == ErrorCode::timeout);
  CHECK_FALSE(Cgroup(bench.cgroup_root + "/pod1/r2").exists());

  out.clear();
  const auto cut =
      (*containers)
          ->run_once(bench.spec("r3", {"sh", "-c", "echo 123456789"}), {.output = collect, .output_bytes_max = 4});
  REQUIRE_MESSAGE(cut.ok(), why(cut));
  CHECK(out == "1234\n[output cut off after 4 bytes]\n");

  std::stop_source source;
  std::thread stopper([&] { source.request_stop(); });
  const auto stopped =
      (*containers)->run_once(bench.spec("r4", {"sleep", "1000"}), {.output = collect, .stop = source.get_token()});
  stopper.join();
  REQUIRE_FALSE(stopped.ok());
  CHECK(stopped.error().code == ErrorCode::unavailable);

  const auto bad = (*containers)->run_once(bench.spec("r5", {"/nope"}), {});
  REQUIRE_FALSE(bad.ok());
  CHECK(bad.error().code == ErrorCode::invalid);
  CHECK((*containers)->list().empty());
}

TEST_CASE("a user without rights, a read-only root and dropped capabilities hold inside") {
  Bench bench;
  const auto containers = bench.open();
  REQUIRE_MESSAGE(containers.ok(), why(containers));
  ContainerSpec spec =
      bench.spec("plain", {"sh", "-c", "id; touch /x 2>&1; grep -E 'CapEff|NoNewPrivs|^Seccomp:' /proc/self/status"});
  spec.user = {1000, 3000, {2000}};
  spec.read_only_root = true;
  spec.capabilities.clear();
  std::string out;
  const auto code = (*containers)->run_once(spec, {.output = [&out](std::string_view text) { out += text; }});
  REQUIRE_MESSAGE(code.ok(), why(code));
  CHECK_MESSAGE(out.find("uid=1000 gid=3000 groups=2000") != std::string::npos, out);
  CHECK_MESSAGE(out.find("Read-only file system") != std::string::npos, out);
  CHECK_MESSAGE(out.find("CapEff:\t0000000000000000") != std::string::npos, out);
  CHECK_MESSAGE(out.find("NoNewPrivs:\t1") != std::string::npos, out);
  CHECK_MESSAGE(out.find("Seccomp:\t2") != std::string::npos, out);
}

TEST_CASE("a log that was renamed is opened anew") {
  Bench bench;
  const auto containers = bench.open();
  REQUIRE_MESSAGE(containers.ok(), why(containers));
  ContainerSpec spec = bench.spec("talker", {"sh", "-c", "read a </tmp/go; echo after"});
  REQUIRE(::mkfifo((spec.root + "/tmp/go").c_str(), 0666) == 0);
  OK((*containers)->create(spec));
  OK((*containers)->start("talker"));
  REQUIRE(::rename(spec.log_path.c_str(), (spec.log_path + ".1").c_str()) == 0);
  OK((*containers)->reopen_log("talker"));
  for (int i = 0; i < 500 && !exists(spec.log_path); ++i) {
    CHECK((*containers)->exec_run("talker", {.args = {"true"}}, 10s).ok());  // takes its time, so this is a wait
  }
  { const UniqueFd go(::open((spec.root + "/tmp/go").c_str(), O_WRONLY | O_CLOEXEC)); }
  REQUIRE((*containers)->wait("talker", kSoon).ok());
  CHECK(bench.log("talker").find("stdout F after") != std::string::npos);
}

TEST_CASE("cleanup takes away running containers, mounts, namespaces and cgroups") {
  Bench bench;
  {
    const auto containers = bench.open();
    REQUIRE_MESSAGE(containers.ok(), why(containers));
    REQUIRE(make_sandbox({.directory = bench.dir.path() + "/sandbox", .hostname = "x"}).ok());
    OK((*containers)->create(bench.spec("left", {"sleep", "1000"})));
    OK((*containers)->start("left"));
  }
  const auto report = cleanup({bench.cgroup_root, bench.state(), {bench.dir.path()}});
  REQUIRE_MESSAGE(report.ok(), why(report));
  CHECK(report->processes >= 2);
  CHECK(report->containers == 1);
  CHECK(report->mounts >= 4);
  CHECK(mounts_below(bench.dir.path())->empty());
  CHECK_FALSE(Cgroup(bench.cgroup_root).exists());
  const auto twice = cleanup({bench.cgroup_root, bench.state(), {bench.dir.path()}});
  REQUIRE_MESSAGE(twice.ok(), why(twice));
  CHECK(twice->processes == 0);
}

TEST_CASE("cleanup with grace lets a container end by itself, and does not wait for one that can't") {
  Bench bench;
  {
    const auto containers = bench.open();
    REQUIRE_MESSAGE(containers.ok(), why(containers));
    OK((*containers)
           ->create(bench.spec("polite",
                               {"sh", "-c", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"})));
    OK((*containers)->start("polite"));
    OK((*containers)->create(bench.spec("deaf", {"sleep", "1000"})));
    OK((*containers)->start("deaf"));
    for (int i = 0; i < 500 && bench.log("polite").find("up") == std::string::npos; ++i) {
      CHECK((*containers)->exec_run("deaf", {.args = {"true"}}, 10s).ok());  // takes its time, so this is a wait
    }
  }
  const Duration began = system_clock().monotonic();
  const auto report = cleanup({bench.cgroup_root, bench.state(), {bench.dir.path()}, 60s});
  REQUIRE_MESSAGE(report.ok(), why(report));
  CHECK(system_clock().monotonic() - began < 30s);
  CHECK(bench.log("polite").find("bye") != std::string::npos);
  CHECK_FALSE(Cgroup(bench.cgroup_root).exists());
}

TEST_CASE("a root of many layers shows the topmost first, and too many are refused") {
  Bench bench;
  std::vector<std::string> lowers;
  for (int i = 0; i < 150; ++i) {
    const std::string layer =
        bench.dir.path() + "/many/a-rather-long-directory-name-as-digests-have-them-" + std::to_string(i);
    REQUIRE(make_dirs(layer).ok());
    REQUIRE(write_file_unsynced(layer + "/file", std::to_string(i)).ok());
    lowers.push_back(layer);
  }
  const std::string at = bench.dir.path() + "/m";
  OK(mount_root({lowers, at + "/upper", at + "/work", at + "/merged"}));
  CHECK(*read_file(at + "/merged/file") == "0");
  OK(mount_root({{lowers[3]}, "", "", at + "/ro"}));
  CHECK(*read_file(at + "/ro/file") == "3");
  CHECK_FALSE(write_file_unsynced(at + "/ro/other", "x").ok());
  OK(unmount(at + "/merged"));
  OK(unmount(at + "/ro"));
  lowers.resize(501, lowers[0]);
  const auto refused = mount_root({lowers, "", "", at + "/ro"});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::bad_request);
}
