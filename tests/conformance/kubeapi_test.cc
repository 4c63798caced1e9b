// SPDX-License-Identifier: Apache-2.0
// kubeapi: conversations with a real Kubernetes 1.33, replayed by the corpus' own tool against tests/apiserver_dev
// beside this program. A case is a scenario, "topic/name"; those that wait for controllers are not run here.
#include <doctest/doctest.h>

#include <filesystem>
#include <thread>

#include "conformance/corpus.h"
#include "core/base/process.h"
#include "core/document/json.h"

namespace caisson::conformance {
namespace {

constexpr auto kStartMax = std::chrono::seconds(20);
constexpr auto kReplayMax = std::chrono::minutes(10);

std::string beside_this_program(const std::string& name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? name : (self.parent_path() / name).string();
}

// The server on a port of its own choosing; `directory` has its token when this returns.
Process start_server(const std::string& directory) {
  Command command{.args = {beside_this_program("apiserver_dev"), directory}, .time_max = Duration(0)};
  auto started = Process::start(command, {.err_file = directory + "/log"});
  REQUIRE_MESSAGE(started.ok(), started.error().message);
  Process server = std::move(started).value();
  const auto until = std::chrono::steady_clock::now() + kStartMax;
  while (!exists(directory + "/port") && std::chrono::steady_clock::now() < until) {
    REQUIRE_MESSAGE(!server.poll(), text_of(directory + "/log"));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  REQUIRE_MESSAGE(exists(directory + "/port"), "the server did not start: " << text_of(directory + "/log"));
  return server;
}

}  // namespace

TEST_CASE("the API answers as the recorded kube-apiserver") {
  const std::string corpus = corpus_dir("kubeapi");
  const std::string tool = corpus + "/../../tools/kubeapi_replay.py";
  if (corpus.empty() || !exists(tool) || find_program("python3").empty()) {
    MESSAGE("skipped: no corpus, no replay tool or no python3");
    return;
  }
  const auto directory = TempDir::make("kubeapi");
  REQUIRE(directory.ok());
  Process server = start_server(directory->path());
  const std::string results = directory->path() + "/results.json";
  const auto replayed =
      run({.args = {"python3", "-B", tool, "--server", "https://127.0.0.1:" + text_of(directory->path() + "/port"),
                    "--token", text_of(directory->path() + "/token"), "-j", "4", "--json", results, corpus},
           .time_max = kReplayMax});
  REQUIRE_MESSAGE(replayed.ok(), replayed.error().message);
  const auto report = json::parse(text_of(results));
  REQUIRE_MESSAGE(report.ok(), replayed->err);
  Outcomes outcomes("kubeapi");
  for (const Value& scenario : report->items()) {
    const std::string id = scenario["topic"].str() + "/" + scenario["name"].str();
    if (scenario["pass"].as_bool())
      outcomes.passed(id);
    else
      outcomes.failed(id, scenario["difference"].str());
  }
  outcomes.check(true);
}

}  // namespace caisson::conformance
