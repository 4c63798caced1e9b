// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <future>

#include "cluster/kube/crash_file.h"
#include "cluster/kube/reconciler.h"
#include "cluster/kube/testing_client.h"
#include "core/base/file.h"

namespace caisson::kube {
namespace {
const ObjectKey kA{"n", "a"}, kB{"n", "b"};
constexpr Duration kSoon = std::chrono::seconds(10);

class Calls : public Reconciler {
 public:
  using Run = std::function<Result<Requeue>(const ObjectKey&)>;
  Calls(std::string name, Run run) : name_(std::move(name)), run_(std::move(run)) {}
  std::string_view name() const override { return name_; }
  Result<Requeue> reconcile(const ObjectKey& key) override { return run_(key); }

 private:
  std::string name_;
  Run run_;
};
std::unique_ptr<Reconciler> calls(std::string name, Calls::Run run) {
  return std::make_unique<Calls>(std::move(name), std::move(run));
}
}  // namespace

TEST_CASE("a change of an object runs its key, and its owner's where it is mapped so") {
  TestingClient client;
  client.put(kA, "1");
  FakeClock clock;
  Runtime runtime(client, clock);
  std::mutex mutex;
  std::map<std::string, int> runs;
  const Queue queue = runtime.add(calls("test", [&](const ObjectKey& key) -> Result<Requeue> {
    const std::lock_guard lock(mutex);
    ++runs[key.str()];
    return Requeue::never();
  }));
  runtime.watch(schema::kConfigMaps, queue);
  runtime.watch(schema::kConfigMaps, queue, [](const Object& o) {
    return std::vector<ObjectKey>{{"owner", o.name()}};
  });
  runtime.start();
  REQUIRE(runtime.wait_synced(kSoon));
  REQUIRE(eventually([&] {
    const std::lock_guard lock(mutex);
    return runs["n/a"] == 1 && runs["owner/a"] == 1;
  }));
  CHECK(runtime.wait_idle(kSoon));
}

TEST_CASE("a handler may read other informers until the runtime is gone") {
  TestingClient client;  // has the same objects for every kind
  client.put(kA, "1");
  auto runtime = std::make_unique<Runtime>(client, system_clock());
  Informer& read = runtime->informer(schema::kConfigMaps);
  std::promise<void> inside, there;
  std::size_t wrong = 0;
  runtime->informer(schema::kSecrets).on_change([&, ready = there.get_future().share()](const Object*, const Object*) {
    inside.set_value();
    ready.wait();
    while (client.open_watches() > 0) std::this_thread::yield();  // the other's ends as the runtime goes
    for (int i = 0; i < 20'000; ++i) wrong += read.list("n").size() == 1 ? 0 : 1;
  });
  runtime->start();
  inside.get_future().wait();
  REQUIRE(eventually([&] { return client.open_watches() == 1; }));
  there.set_value();
  runtime.reset();
  CHECK(wrong == 0);
}

TEST_CASE("one key never runs twice at once, and a reconciler never more than its share") {
  TestingClient client;
  FakeClock clock;
  Runtime runtime(client, clock, {.threads = 6, .crash_file = ""});
  std::mutex mutex;
  std::map<ObjectKey, int> running;
  int at_once_max = 0, same_key_max = 0, total = 0;
  const Queue queue = runtime.add(calls("test",
                                        [&](const ObjectKey& key) -> Result<Requeue> {
                                          {
                                            const std::lock_guard lock(mutex);
                                            same_key_max = std::max(same_key_max, ++running[key]);
                                            int at_once = 0;
                                            for (const auto& [k, n] : running) at_once += n;
                                            at_once_max = std::max(at_once_max, at_once);
                                            ++total;
                                          }
                                          std::this_thread::yield();
                                          const std::lock_guard lock(mutex);
                                          --running[key];
                                          return Requeue::never();
                                        }),
                                  2);
  runtime.start();
  for (int i = 0; i < 2000; ++i) queue.add({"n", std::to_string(i % 5)});
  REQUIRE(runtime.wait_idle(kSoon));
  CHECK_EQ(same_key_max, 1);
  CHECK_LE(at_once_max, 2);
  CHECK_GE(total, 5);
}

TEST_CASE("errors back off by the clock, a success resets, a delay waits for its time") {
  TestingClient client;
  FakeClock clock;
  Runtime runtime(client, clock);
  std::atomic<int> runs = 0;
  const Queue queue = runtime.add(calls("test", [&](const ObjectKey&) -> Result<Requeue> {
    const int n = ++runs;
    if (n <= 2) return Error{ErrorCode::internal, "not yet"};
    if (n == 3) return Requeue::after(std::chrono::minutes(1));
    return Requeue::never();
  }));
  runtime.start();
  queue.add(kA);
  REQUIRE(eventually([&] { return runs == 1; }));
  REQUIRE(runtime.wait_idle(kSoon));
  CHECK_EQ(runs, 1);
  clock.advance(std::chrono::milliseconds(10));
  REQUIRE(eventually([&] { return runs == 2; }));
  REQUIRE(runtime.wait_idle(kSoon));  // the failure is entered, so that its pause counts from now
  clock.advance(std::chrono::milliseconds(20));
  REQUIRE(eventually([&] { return runs == 3; }));
  REQUIRE(runtime.wait_idle(kSoon));
  CHECK_FALSE(runtime.wait_idle(Duration(0), std::chrono::minutes(2)));
  clock.advance(std::chrono::seconds(59));
  REQUIRE(runtime.wait_idle(kSoon));
  CHECK_EQ(runs, 3);
  clock.advance(std::chrono::seconds(1));
  REQUIRE(eventually([&] { return runs == 4; }));
  REQUIRE(eventually([&] { return runtime.metrics()["test"]["runs"].as_int() == 4; }));
  CHECK_EQ(runtime.metrics()["test"]["errors"].as_int(), 2);
}

TEST_CASE("a conflict runs again at once and is no error") {
  TestingClient client;
  FakeClock clock;
  Runtime runtime(client, clock);
  std::atomic<int> runs = 0;
  const Queue queue = runtime.add(calls("test", [&](const ObjectKey&) -> Result<Requeue> {
    if (++runs == 1) return Error{ErrorCode::conflict, "the object has been modified"};
    return Requeue::never();
  }));
  runtime.start();
  queue.add(kA);
  REQUIRE(eventually([&] { return runs == 2; }));
  CHECK_EQ(runtime.metrics()["test"]["errors"].as_int(), 0);
}

// Needs fork: the child crashes in a reconciliation as often as it is told.
TEST_CASE("a key that crashed the process twice is held, for an hour, and no other key is") {
  auto dir = TempDir::make();
  REQUIRE(dir.ok());
  const std::string path = dir->path() + "/crashes";
  FakeClock clock;
  const auto crash_in_child = [&](int number, bool by_itself) {
    const pid_t pid = fork();
    if (pid == 0) {
      signal(SIGABRT, SIG_DFL);  // the test framework reports where we want to die
      auto file = CrashFile::open(path, clock);
      if (!file.ok()) _exit(9);
      CrashFile::prepare_thread();
      (*file)->begin("deployment", "shop/web");
      if (by_itself) raise(number);
      kill(getpid(), SIGKILL);
      _exit(8);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
  };
  const auto is_held = [&](const char* key) {
    const auto file = CrashFile::open(path, clock);
    REQUIRE(file.ok());
    return (*file)->is_held("deployment", key);
  };
  CHECK_EQ(crash_in_child(0, false), SIGKILL);
  CHECK_EQ(crash_in_child(0, false), SIGKILL);
  CHECK_FALSE(is_held("shop/web"));  // killed from outside: nobody's fault
  CHECK_EQ(crash_in_child(SIGABRT, true), SIGABRT);
  CHECK_FALSE(is_held("shop/web"));
  CHECK_EQ(crash_in_child(SIGABRT, true), SIGABRT);
  CHECK(is_held("shop/web"));
  CHECK_FALSE(is_held("shop/api"));
  clock.advance(CrashFile::kHeldFor);
  CHECK_FALSE(is_held("shop/web"));
  const auto file = CrashFile::open(path, clock);
  REQUIRE(file.ok());
  (*file)->begin("deployment", "shop/web");
  (*file)->end();  // it lives: forgiven
  CHECK((*file)->held().empty());
}

TEST_CASE("the same event again raises the count of the one that is there") {
  TestingClient client;
  FakeClock clock;
  Object pod = Object::make(schema::kPods, "shop", "web");
  pod.edit({"metadata"}).set("uid", "u1");
  {
    EventRecorder recorder(client, clock, "kubelet", "node-1");
    recorder.record(pod, EventRecorder::Type::warning, "BackOff", "restarting");
    recorder.record(pod, EventRecorder::Type::warning, "BackOff", "restarting");
    recorder.record(pod, EventRecorder::Type::normal, "Pulled", "image is there");
  }
  CHECK_EQ(client.creates, 2);
  CHECK_EQ(client.patches, 1);
  int counted = 0;
  for (const auto& [key, event] : client.objects) {
    if (event["reason"].as_string() != "BackOff") continue;
    ++counted;
    CHECK_EQ(event["count"].as_int(), 2);
    CHECK_EQ(event["source"]["host"].str(), "node-1");
    CHECK_EQ(event["involvedObject"]["name"].str(), "web");
    CHECK_EQ(key.ns, "shop");
  }
  CHECK_EQ(counted, 1);
}

TEST_CASE("a source that says too much about one object is quietened") {
  TestingClient client;
  FakeClock clock;
  const Object pod = Object::make(schema::kPods, "shop", "web");
  {
    EventRecorder recorder(client, clock, "kubelet");
    for (int i = 0; i < 100; ++i)
      recorder.record(pod, EventRecorder::Type::warning, "Failed", "try " + std::to_string(i));
  }
  CHECK_EQ(client.creates + client.patches, 25);
  CHECK_EQ(client.creates, 10);  // nine singly, then one combined
}

TEST_CASE("a span recorded twice is one") {
  TestingClient client;
  const TraceContext trace = TraceContext::start();
  {
    const auto sink = make_span_recorder(client);
    Span span;
    span.context = trace.child("apply");
    span.name = "apply";
    sink->record(span);
    span.error = "refused";
    sink->record(span);
  }
  REQUIRE_EQ(client.objects.size(), 1);
  const Object& span = client.objects.begin()->second;
  CHECK_EQ(span.label("caisson.dev/trace-id"), trace.trace_id);
  CHECK_EQ(span.spec()["error"].str(), "refused");
}

}  // namespace caisson::kube
