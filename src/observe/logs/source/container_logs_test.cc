// SPDX-License-Identifier: Apache-2.0
// The way of a line from a container's file to the store, with the agent's side as it is.
#include "observe/logs/source/container_logs.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "core/base/file.h"
#include "machine/node/log_stream.h"
#include "machine/node/logs.h"
#include "observe/logs/store/cursor.h"

namespace caisson::logs {
namespace {

struct Fixture {
  TempDir dir = TempDir::make().value();
  std::string logs = dir.path() + "/logs", socket = dir.path() + "/agent.sock";
  std::unique_ptr<node::LogStream> stream;
  std::optional<http::Server> server;
  std::unique_ptr<Store> store;
  std::unique_ptr<ContainerLogs> follower;
  std::int64_t written = 0;

  Fixture() {
    REQUIRE(make_dirs(logs + "/pods").ok());
    start_agent();
    start_server();
  }
  void start_agent() {
    stream = node::LogStream::start(logs).value();
    server.emplace(http::Server::start({}).value());
    REQUIRE(server
                ->listen_unix(socket, stream->before([](http::ExchangePtr exchange) {
                  exchange->respond({.status = 404, .headers = {}, .body = ""});
                }))
                .ok());
  }
  void kill_agent() {
    server.reset();
    stream.reset();
  }
  void start_server() {
    store = Store::open(dir.path() + "/store", {}, system_clock()).value();
    follower = std::make_unique<ContainerLogs>(
        *store, ContainerLogsOptions{{.unix_socket = socket}, "n1", [](const ContainerSource& source) {
                                       return SourceLabels{Labels::from({{"namespace", source.ns},
                                                                         {"pod", source.pod},
                                                                         {"container", source.container},
                                                                         {"app", "web"}}),
                                                           Labels::from({{"commit", "c0ffee"}})};
                                     }});
    follower->start();
  }
  void kill_server() {
    follower.reset();
    store.reset();
  }

  std::string file(const std::string& pod, int attempt = 0) const {
    return logs + "/pods/team_" + pod + "_uid/main/" + std::to_string(attempt) + ".log";
  }
  // One write, as a container's monitor does.
  void write(const std::string& path, int count) {
    REQUIRE(make_dirs(path_dir(path)).ok());
    std::string text;
    for (int i = 0; i < count; ++i)
      text += format_time_nanos(system_clock().now()) + " stdout F line " + std::to_string(++written) + "\n";
    REQUIRE(append_file(path, text).ok());
  }
  std::vector<std::int64_t> numbers(const std::string& pod) const {
    std::vector<std::int64_t> out;
    const std::vector<Matcher> matchers{Matcher::make(metrics::MatchType::equal, "pod", pod).value()};
    for (StreamBlocks& one : store->select(matchers, 0, INT64_MAX)) {
      Cursor cursor(std::move(one.blocks), {});
      for (Run run = cursor.next().value(); run.count > 0; run = cursor.next().value())
        for (std::size_t i = 0; i < run.count; ++i)
          out.push_back(std::stoll(std::string(run.lines->line(run.index(i)).substr(5))));
    }
    return out;
  }
  // Whether this process, which the agent is a part of here, has the file open.
  static bool is_open(const std::string& path) {
    for (const std::string& fd : list_dir("/proc/self/fd").value()) {
      char target[4096];
      const ssize_t length = ::readlink(("/proc/self/fd/" + fd).c_str(), target, sizeof target);
      if (length > 0 && path_clean(path) == std::string_view(target, static_cast<std::size_t>(length))) return true;
    }
    return false;
  }
  template <class Done>
  bool within(Done done) const {  // what another thread does takes its time
    for (int i = 0; i < 1000; ++i) {
      if (done()) return true;
      ::usleep(10'000);
    }
    return false;
  }
  bool has_all(const std::string& pod, std::size_t count) const {
    return within([&] { return numbers(pod).size() >= count; }) && [&] {
      auto got = numbers(pod);
      std::sort(got.begin(), got.end());
      return got.size() == count && std::adjacent_find(got.begin(), got.end()) == got.end();
    }();
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a container's lines come with its labels, and its commit as metadata") {
  write(file("web"), 3);
  REQUIRE(has_all("web", 3));
  const auto streams = store->select({}, 0, INT64_MAX);
  REQUIRE(streams.size() == 1);
  CHECK(streams[0].labels ==
        Labels::from(
            {{"namespace", "team"}, {"pod", "web"}, {"container", "main"}, {"app", "web"}, {"stream", "stdout"}}));
  CHECK(streams[0].blocks[0].read(Columns::all).value()->metadata_of(0) == Labels::from({{"commit", "c0ffee"}}));
}

TEST_CASE_FIXTURE(Fixture, "kills of both sides, rotations, and a pod that goes meanwhile: every line once") {
  std::mt19937 random(11);
  std::size_t lines = 0;
  const auto more = [&](const std::string& path) {
    const int count = 1 + static_cast<int>(random() % 50);
    write(path, count);
    lines += static_cast<std::size_t>(count);
  };
  for (int round = 0; round < 24; ++round) {
    more(file("web"));
    switch (round % 6) {
      case 1:
        kill_server();
        more(file("web"));
        start_server();
        break;
      case 2:
        kill_agent();
        more(file("web"));
        start_agent();
        break;
      case 3:
        REQUIRE(node::rotate_log(file("web"), 10, node::kLogFilesKept).value());
        more(file("web"));
        break;
      case 4:
        kill_server();
        more(file("web"));
        REQUIRE(node::rotate_log(file("web"), 10, node::kLogFilesKept).value());
        more(file("web"));
        start_server();
        break;
      default:
        REQUIRE(has_all("web", lines));
    }
  }
  CHECK(has_all("web", lines));

  kill_server();
  const std::int64_t before = written;
  write(file("gone"), 10);
  REQUIRE(
      within([&] { return is_open(logs + "/pods/team_gone_uid/main/0.log"); }));  // the agent has seen it, and holds it
  REQUIRE(remove_tree(logs + "/pods/team_gone_uid").ok());
  start_server();
  CHECK(has_all("gone", 10));
  CHECK(numbers("gone").front() == before + 1);
  CHECK(within([&] { return !store->positions().contains("team_gone_uid/main/0.log"); }));
  CHECK(store->positions().contains("team_web_uid/main/0.log"));
}

}  // namespace caisson::logs
