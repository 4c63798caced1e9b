// SPDX-License-Identifier: Apache-2.0
// Figures for docs/benchmarks.md, by script/bench node; left out of ordinary runs. Needs root, runc, conmon and
// busybox.
#include <algorithm>
#include <cstdio>
#include <set>

#include "machine/node/testing/bench_test.h"

using namespace caisson;
using namespace caisson::node;
using namespace caisson::node::testing;
using namespace std::chrono_literals;

namespace {

std::string sleeper(const std::string& name) {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
         "}\nspec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: busybox, command: [sleep, "
         "'100000']}]}\n";
}

std::int64_t pss_kb() {
  const auto text = read_file("/proc/self/smaps_rollup");
  if (!text.ok()) return 0;
  for (const auto line : split(*text, '\n'))
    if (line.starts_with("Pss:"))
      return parse_int(trim(replace_all(std::string(line.substr(4)), "kB", ""))).value_or(0);
  return 0;
}

std::int64_t ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

// Blocks until so many pods are ready: told by a watch, because asking without end would take one of the cores.
class ReadyPods {
 public:
  explicit ReadyPods(Bench& bench) {
    auto watched = bench.admin->watch(schema::kPods, {}, [this](const kube::WatchEvent& event) {
      if (!kube::condition_is_true(event.object, "Ready")) return;
      const std::lock_guard lock(mutex_);
      ready_.insert(event.object.uid());
      changed_.notify_all();
    });
    REQUIRE_MESSAGE(watched.ok(), why(watched));
    watch_ = std::move(watched).value();
  }
  void wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, 180s, [&] { return ready_.size() >= count; }));
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> ready_;  // GUARDED_BY(mutex_)
  std::unique_ptr<kube::Watch> watch_;
};

TEST_CASE("measure: pods become ready" * doctest::skip()) {
  Bench bench;
  ReadyPods ready(bench);
  std::vector<std::int64_t> alone;
  for (int i = 0; i < 11; ++i) {
    const auto start = std::chrono::steady_clock::now();
    bench.apply(sleeper("one" + std::to_string(i)));
    ready.wait(static_cast<std::size_t>(i) + 1);
    alone.push_back(ms_since(start));
  }
  std::sort(alone.begin(), alone.end());
  const std::int64_t before = pss_kb();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) bench.apply(sleeper("many" + std::to_string(i)));
  ready.wait(111);
  const std::int64_t all = ms_since(start);
  std::printf("pod created to ready, median of 11 (API server in process): %lld ms\n",
              static_cast<long long>(alone[5]));
  std::printf("100 pods created to ready: %lld ms\n", static_cast<long long>(all));
  std::printf("memory (PSS) of API server and node in one process: %lld KiB, and %lld KiB for each of 100 pods\n",
              static_cast<long long>(before), static_cast<long long>((pss_kb() - before) / 100));
}
