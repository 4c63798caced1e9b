// SPDX-License-Identifier: Apache-2.0
// script/bench metrics: 5,000 series for 24 h at 30 s into the storage, the queries that dashboards ask, the size of a
// sample, memory, and how long opening again takes. The series are those of a middle-sized cluster: 10 namespaces of 20
// pods with request counters, latency histograms and memory gauges.
#include <cmath>
#include <cstdio>
#include <fstream>

#include "core/base/file.h"
#include "observe/metrics/promql/engine.h"
#include "observe/metrics/storage/tsdb.h"

namespace caisson::metrics {
namespace {

constexpr std::int64_t kStart = 1'700'000'000'000, kStepMs = 30'000, kSteps = 24 * 120;
constexpr int kNamespaces = 10, kPods = 20;
constexpr const char* kBuckets[] = {"0.005", "0.01", "0.025", "0.05", "0.1",  "0.25",
                                    "0.5",   "1.0",  "2.5",   "5.0",  "10.0", "+Inf"};

using Steady = std::chrono::steady_clock;

double ms_since(Steady::time_point start) {
  return std::chrono::duration<double, std::milli>(Steady::now() - start).count();
}

double resident_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
  return 0;
}

// A deterministic noise in 0..1.
double noise(std::uint64_t seed) {
  seed ^= seed >> 33;
  seed *= 0xff51afd7ed558ccdu;
  seed ^= seed >> 33;
  return static_cast<double>(seed % 1000) / 1000;
}

struct OneSeries {
  Labels labels;
  bool counter = true;
  double level = 1, value = 0;
};

std::vector<OneSeries> make_series() {
  std::vector<OneSeries> all;
  for (int ns = 0; ns < kNamespaces; ++ns)
    for (int pod = 0; pod < kPods; ++pod) {
      const std::vector<Label> base{{"namespace", "ns-" + std::to_string(ns)},
                                    {"pod", "app-" + std::to_string(pod % 5) + "-" + std::to_string(pod)},
                                    {"app", "app-" + std::to_string(pod % 5)},
                                    {"job", "kubelet"}};
      const auto add = [&](const char* name, std::vector<Label> more, bool counter, double level) {
        more.insert(more.end(), base.begin(), base.end());
        more.push_back({std::string(kMetricName), name});
        all.push_back({Labels::from(std::move(more)), counter, level, counter ? 0 : level});
      };
      for (const char* code : {"200", "404", "500"})
        for (const char* method : {"GET", "POST"})
          add("http_requests_total", {{"code", code}, {"method", method}}, true, 5);
      for (std::size_t b = 0; b < std::size(kBuckets); ++b)
        add("http_request_duration_seconds_bucket", {{"le", kBuckets[b]}}, true, static_cast<double>(b + 1));
      for (const char* container : {"main", "sidecar"})
        add("container_memory_working_set_bytes", {{"container", container}}, false, 50'000'000);
      for (const char* mode : {"user", "system", "wait", "irq", "idle"})
        add("container_cpu_seconds_total", {{"mode", mode}}, true, 0.3);
    }
  return all;
}

void advance(std::vector<OneSeries>& all, std::int64_t step) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    OneSeries& one = all[i];
    const double n = noise(i * 1'000'003 + static_cast<std::uint64_t>(step));
    if (one.counter)
      one.value += std::floor(one.level * (1 + n) * 30);
    else
      one.value = one.level + std::floor(n * 4096) * 4096;
  }
}

void run_query(const Tsdb& storage, const char* what, const char* query, int times) {
  double best = 1e9;
  std::size_t series = 0;
  for (int i = 0; i < times; ++i) {
    const auto start = Steady::now();
    const auto result = promql::query_range(storage, {}, query, kStart, kStart + kSteps * kStepMs, 60'000);
    best = std::min(best, ms_since(start));
    if (!result.ok())
      std::printf("%s: %s\n", what, result.error().message.c_str());
    else
      series = result->matrix.size();
  }
  std::printf("%-28s %8.1f ms  (%zu series)  %s\n", what, best, series, query);
}

int run() {
  const auto dir = TempDir::make("metrics-bench").value();
  TsdbOptions options;
  auto storage = Tsdb::open(dir.path(), options).value();
  std::vector<OneSeries> all = make_series();
  const auto began = Steady::now();
  std::vector<NewSample> batch(all.size());
  for (std::int64_t step = 0; step < kSteps; ++step) {
    advance(all, step);
    for (std::size_t i = 0; i < all.size(); ++i)
      batch[i] = {all[i].labels, kStart + step * kStepMs, all[i].value, nullptr};
    if (const auto stored = storage->append(batch); !stored.ok())
      return std::printf("%s\n", stored.error().message.c_str()), 1;
    if (step % 120 == 119 && !storage->maintain(kStart + step * kStepMs).ok()) return 1;
  }
  const double seconds = ms_since(began) / 1000;
  const TsdbStats stats = storage->stats();
  const auto samples = static_cast<double>(all.size()) * kSteps;
  std::printf("%zu series, %.1f million samples: %.0f samples/s, each scrape synced\n", all.size(), samples / 1e6,
              samples / seconds);
  std::printf("a sample takes %.2f bytes; resident %.0f MB\n",
              static_cast<double>(stats.sample_bytes + stats.block_bytes) / samples, resident_mb());
  run_query(*storage, "rate by namespace", "sum by (namespace) (rate(http_requests_total[5m]))", 3);
  run_query(*storage, "p99 of a histogram",
            "histogram_quantile(0.99, sum by (le, app) (rate(http_request_duration_seconds_bucket[5m])))", 3);
  run_query(
      *storage, "error ratio",
      "sum by (app) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (app) (rate(http_requests_total[5m]))", 3);
  run_query(*storage, "topk of avg_over_time", "topk(10, avg_over_time(container_memory_working_set_bytes[1h]))", 3);
  run_query(*storage, "raw series", "container_memory_working_set_bytes{namespace=\"ns-1\"}", 3);
  storage.reset();
  const auto again = Steady::now();
  storage = Tsdb::open(dir.path(), options).value();
  std::printf("opened again in %.0f ms, resident after the queries %.0f MB\n", ms_since(again), resident_mb());
  return 0;
}

}  // namespace
}  // namespace caisson::metrics

int main() {
  return caisson::metrics::run();
}
