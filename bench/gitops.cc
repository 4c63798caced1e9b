// SPDX-License-Identifier: Apache-2.0
// gitops_bench [APPLICATIONS | table]: times of GitOps, for docs/benchmarks.md. The API server, the store and the
// reconcilers run in this process; the repository is a bare one on disk. A time begins when the ref has moved and its
// PushEvent is written, and ends when the Application says Synced at that commit and its operation has ended.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "delivery/gitops/platform_test.h"

namespace {

using namespace caisson;
using namespace caisson::gitops::testing;
using Clock = std::chrono::steady_clock;

constexpr int kObjects = 50;
constexpr int kRounds = 100, kHeals = 20;
constexpr int kWaits = 15;  // of 20 s each
constexpr const char* kAutomated = "  syncPolicy: {automated: {prune: true, selfHeal: true}}\n";

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void print(const char* what, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) {
    return times[std::min(times.size() - 1, static_cast<std::size_t>(share * static_cast<double>(times.size())))];
  };
  std::printf("%s: P50 %.1f ms, P99 %.1f ms (%zu times)\n", what, at(0.5), at(0.99), times.size());
  std::fflush(stdout);
}

std::string config_map(int number, int value, std::size_t more_bytes = 0) {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c" + std::to_string(number) + "}\ndata: {key: \"" +
         std::to_string(value) + "\", more: \"" + std::string(more_bytes, 'x') + "\"}\n";
}

std::map<std::string, std::string> files(const std::string& folder, int count, int value) {
  std::map<std::string, std::string> out;
  for (int i = 0; i < count; ++i) out[folder + "/c" + std::to_string(i) + ".yaml"] = config_map(i, value);
  return out;
}

void wait(Platform& it, const std::function<bool()>& condition) {
  for (int i = 0; i < kWaits; ++i)
    if (it.eventually(condition)) return;
  std::fprintf(stderr, "not there in time: %s\n",
               json::write(it.application("shop")["status"]).substr(0, 2'000).c_str());
  std::exit(1);
}

double push(Platform& it, const std::map<std::string, std::string>& changed) {
  const std::string commit = it.repository.push(changed);
  std::vector<std::string> paths;
  for (const auto& [path, text] : changed) paths.push_back(path);
  const auto start = Clock::now();
  it.announce(commit, paths);
  wait(it, [&] { return it.is("shop", "Synced", commit); });
  return ms_since(start);
}

void one_application() {
  Platform it;
  it.repository.push(files("app", kObjects, 0));
  auto start = Clock::now();
  it.create_application("shop", "app", kAutomated);
  wait(it, [&] { return it.is("shop", "Synced", ""); });
  print("Application of 50 ConfigMaps created -> Synced", {ms_since(start)});
  std::vector<double> times;
  for (int i = 1; i <= kRounds; ++i) times.push_back(push(it, {{"app/c0.yaml", config_map(0, i)}}));
  print("one of 50 changed, ref moved -> Synced", times);
  times.clear();
  for (int i = 1; i <= 20; ++i) times.push_back(push(it, files("app", kObjects, 1000 + i)));
  print("all 50 changed, ref moved -> Synced", times);
  times.clear();
  const std::string wanted = it.data("c1");
  for (int i = 0; i < kHeals; ++i) {
    start = Clock::now();
    must(it.client->patch(schema::kConfigMaps, {"shop", "c1"}, kube::PatchType::merge,
                          Value{{"data", Value{{"key", "edited" + std::to_string(i)}}}}));
    wait(it, [&] { return it.data("c1") == wanted; });
    times.push_back(ms_since(start));
    if (i == 0) print("self-heal, the first time", times);
  }
  print("self-heal, edit after edit", times);
}

double cpu_seconds() {
  struct rusage used {};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double peak_mb() {
  struct rusage used {};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_maxrss) / 1024;
}

// A commit to one Application of many: how many are rendered for it; and what all cost while nothing happens.
void one_of_many(Platform& it, int count) {
  const std::string name = "a" + std::to_string(count / 2), path = "apps/" + name + "/0.yaml";
  const std::string commit = it.repository.push(
      {{path, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "-0}\ndata: {key: \"1\"}\n"}});
  const auto start = Clock::now();
  it.announce(commit, {path});
  wait(it, [&] { return it.is(name, "Synced", commit); });
  const double took = ms_since(start);
  const double cpu = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::seconds(5));
  const std::lock_guard lock(it.spans.mutex);
  std::printf("a commit to one of %d: Synced after %.1f ms, %zd rendered; idle: %.2f %% of a core\n", count, took,
              std::count(it.spans.names.begin(), it.spans.names.end(), "render"), (cpu_seconds() - cpu) / 5 * 100);
}

void many_applications(int count) {
  Platform it;
  std::map<std::string, std::string> all;
  for (int i = 0; i < count; ++i) {
    for (int k = 0; k < kObjects; ++k) {
      const std::string name = "a" + std::to_string(i) + "-" + std::to_string(k);
      all["apps/a" + std::to_string(i) + "/" + std::to_string(k) + ".yaml"] =
          "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {key: \"0\"}\n";
    }
  }
  it.repository.push(all);
  const auto start = Clock::now();
  const double cpu = cpu_seconds();
  for (int i = 0; i < count; ++i)
    it.create_application("a" + std::to_string(i), "apps/a" + std::to_string(i), kAutomated);
  for (int i = 0; i < count; ++i) wait(it, [&] { return it.is("a" + std::to_string(i), "Synced", ""); });
  std::printf("%d Applications of 50 objects, created -> all Synced: %.1f s, %.1f s of CPU; at most %.0f MB\n", count,
              ms_since(start) / 1000, cpu_seconds() - cpu, peak_mb());
  one_of_many(it, count);
}

// How cost grows: one Application of more and more objects, of larger ones, and out of a large repository.
void one_line(const char* what, std::size_t objects, std::size_t object_bytes, std::size_t other_files, int commits) {
  Platform it;
  std::string stream;  // for git fast-import: many small commits, then everything else in one
  const auto blob = [&](const std::string& path, const std::string& text) {
    stream += "M 100644 inline " + path + "\ndata " + std::to_string(text.size()) + "\n" + text + "\n";
  };
  const auto commit = [&](int number) {
    stream += "commit refs/heads/main\nmark :" + std::to_string(number) + "\ncommitter t <t@t> " +
              std::to_string(1'700'000'000 + number) + " +0000\ndata 1\nx\n";
    if (number > 1) stream += "from :" + std::to_string(number - 1) + "\n";
  };
  for (int i = 1; i <= commits; ++i) {
    commit(i);
    blob("history.txt", std::to_string(i));
  }
  commit(commits + 1);
  for (std::size_t i = 0; i < other_files; ++i)
    blob("other/" + std::to_string(i / 1000) + "/" + std::to_string(i) + ".yaml", "a: " + std::to_string(i) + "\n");
  for (std::size_t i = 0; i < objects; ++i) {
    blob("app/c" + std::to_string(i) + ".yaml", config_map(static_cast<int>(i), 0, object_bytes));
  }
  Command import;
  import.args = {"git", "fast-import", "--quiet"};
  import.directory = it.root + "/git/shop/deploy.git";
  import.input = std::move(stream);
  must(run_checked(import));
  auto start = Clock::now();
  double cpu = cpu_seconds();
  it.create_application("shop", "app", kAutomated);
  wait(it, [&] { return it.is("shop", "Synced", ""); });
  std::printf("%s: created -> Synced %.0f ms (%.0f ms of CPU)", what, ms_since(start), (cpu_seconds() - cpu) * 1000);
  Command pull;
  pull.args = {"git", "pull", "-q", "origin", "main"};
  pull.directory = it.root + "/clone";
  must(run_checked(pull));
  cpu = cpu_seconds();
  const double took = push(it, {{"app/c0.yaml", config_map(0, 1)}});
  std::printf(", one changed %.0f ms (%.0f ms of CPU), at most %.0f MB\n", took, (cpu_seconds() - cpu) * 1000,
              peak_mb());
  std::fflush(stdout);
}

void table() {
  one_line("50 objects", 50, 10, 0, 1);
  one_line("500 objects", 500, 10, 0, 1);
  one_line("5,000 objects", 5'000, 10, 0, 1);
  one_line("50 objects of 40 kB, 2 MB", 50, 40'000, 0, 1);
  one_line("500 objects of 40 kB, 20 MB", 500, 40'000, 0, 1);
  one_line("50 objects among 10,000 files and 1,000 commits", 50, 10, 10'000, 1'000);
  one_line("50 objects among 100,000 files and 10,000 commits", 50, 10, 100'000, 10'000);
}

}  // namespace

int main(int argc, char** argv) {
  doctest::Context context;
  context.setAsDefaultForAssertsOutOfTestCases();
  if (argc > 1 && std::string(argv[1]) == "table") {
    table();
    return 0;
  }
  one_application();
  if (argc > 1) many_applications(std::atoi(argv[1]));
  return 0;
}
