// SPDX-License-Identifier: Apache-2.0
// script/bench metrics: 5,000 series for 24 h at 30 s into the storage, the queries that dashboards ask, the size of a
// sample, memory, and how long opening again takes. The series are those of a middle-sized cluster: 10 namespaces of 20
// pods with request counters, latency histograms and memory gauges.
//   metrics_bench               all of that, in this process
//   metrics_bench series [N]    N series (default a million) with some samples, opened again by
//   metrics_bench open FOLDER
//   metrics_bench fill FOLDER   the samples alone, kept there
//   metrics_bench ask FOLDER N [TIMES]   query N (from 0) of what was kept there, for a profiler
//   metrics_bench send URL [STEPS]       the same samples to another storage, by remote write (bench/metrics_peer)
//   metrics_bench many URL [N]           N series (default a million) with ten samples, sent there
//   metrics_bench serve FOLDER [still]   the room's server over HTTP, on an address that it says, until its input ends;
//                                        still: without samples of its own, and its storage is not tended
//   metrics_bench queries       the queries, a line each: name, tab, query
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "core/base/file.h"
#include "core/http/client.h"
#include "core/http/server.h"
#include "observe/metrics/api/query_api.h"
#include "observe/metrics/remote/write_request.h"
#include "observe/metrics/server.h"

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

double user_ms() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec) * 1e3 + static_cast<double>(usage.ru_utime.tv_usec) / 1e3;
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

struct Query {
  const char* name;
  const char* text;
};
constexpr Query kQueries[] = {
    {"rate by namespace", "sum by (namespace) (rate(http_requests_total[5m]))"},
    {"p99 of a histogram",
     "histogram_quantile(0.99, sum by (le, app) (rate(http_request_duration_seconds_bucket[5m])))"},
    {"error ratio",
     "sum by (app) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (app) (rate(http_requests_total[5m]))"},
    {"topk of avg_over_time", "topk(10, avg_over_time(container_memory_working_set_bytes[1h]))"},
    {"raw series", "container_memory_working_set_bytes{namespace=\"ns-1\"}"},
};

http::Query parameters_of(const Query& query) {
  return {{"query", query.text},
          {"start", std::to_string(kStart / 1000)},
          {"end", std::to_string((kStart + kSteps * kStepMs) / 1000)},
          {"step", "60"}};
}

// As the HTTP API answers, its JSON included. The least wall time and the least user CPU of some runs: others may work
// beside.
void run_query(const Tsdb& storage, const Query& query, int runs = 7) {
  const http::Query parameters = parameters_of(query);
  double wall = 1e9, user = 1e9;
  std::size_t size = 0;
  for (int i = 0; i < runs; ++i) {
    const auto start = Steady::now();
    const double before = user_ms();
    const http::Response answer = answer_query_api(storage, {}, 0, "/api/v1/query_range", parameters);
    wall = std::min(wall, ms_since(start));
    user = std::min(user, user_ms() - before);
    if (answer.status != 200) std::printf("%s: %s\n", query.name, answer.body.c_str());
    size = answer.body.size();
  }
  std::printf("%-28s %8.1f ms (user CPU %.1f ms)  %zu kB\n", query.name, wall, user, size / 1000);
}

// The batch of one step.
void make_batch(std::vector<OneSeries>& all, std::int64_t step, std::vector<NewSample>& batch) {
  advance(all, step);
  batch.resize(all.size());
  for (std::size_t i = 0; i < all.size(); ++i)
    batch[i] = {all[i].labels, kStart + step * kStepMs, all[i].value, nullptr};
}

int failed(const Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message.c_str());
  return 1;
}

// From the bytes of remote write to the log, as the receiver does it.
int receive(std::vector<OneSeries> all) {
  const auto dir = TempDir::make("metrics-bench").value();
  auto storage = Tsdb::open(dir.path(), {}).value();
  double user = 0;
  constexpr std::int64_t kRounds = 100;
  for (std::int64_t step = 0; step < kRounds; ++step) {
    std::vector<NewSample> batch;
    make_batch(all, step, batch);
    const std::string body = make_write_request(WriteProtocol::v1, batch);
    const double before = user_ms();
    const auto request = read_write_request(WriteProtocol::v1, body);
    const auto stored = request.ok() ? storage->append(request->samples) : Result<AppendCounts>(request.error());
    if (!stored.ok()) return failed(stored.error());
    user += user_ms() - before;
  }
  std::printf("from remote write's bytes: %.0f samples/s by user CPU\n",
              static_cast<double>(all.size()) * kRounds / user * 1e3);
  return 0;
}

int fill(Tsdb& storage, std::vector<OneSeries>& all) {
  const auto began = Steady::now();
  const double user_before = user_ms();
  std::vector<NewSample> batch;
  for (std::int64_t step = 0; step < kSteps; ++step) {
    make_batch(all, step, batch);
    if (const auto stored = storage.append(batch); !stored.ok()) return failed(stored.error());
    if (step % 120 == 119 && !storage.maintain(kStart + step * kStepMs).ok()) return 1;
  }
  const double seconds = ms_since(began) / 1000, user = (user_ms() - user_before) / 1000;
  const TsdbStats stats = storage.stats();
  const auto samples = static_cast<double>(all.size()) * kSteps;
  std::printf("%zu series, %.1f million samples: %.0f samples/s, each scrape synced (%.0f by user CPU)\n", all.size(),
              samples / 1e6, samples / seconds, samples / user);
  std::printf("a sample takes %.2f bytes; resident %.0f MB\n",
              static_cast<double>(stats.sample_bytes + stats.block_bytes) / samples, resident_mb());
  return 0;
}

int run() {
  const auto dir = TempDir::make("metrics-bench").value();
  TsdbOptions options;
  auto storage = Tsdb::open(dir.path(), options).value();
  std::vector<OneSeries> all = make_series();
  if (const int status = fill(*storage, all); status != 0) return status;
  for (const Query& query : kQueries) run_query(*storage, query);
  std::printf("resident after the queries %.0f MB\n", resident_mb());
  storage.reset();
  const auto again = Steady::now();
  storage = Tsdb::open(dir.path(), options).value();
  std::printf("opened again in %.0f ms, resident %.0f MB\n", ms_since(again), resident_mb());
  storage.reset();
  return receive(std::move(all));
}

int run_fill(const std::string& dir) {
  const auto storage = Tsdb::open(dir, {});
  if (!storage.ok()) return failed(storage.error());
  std::vector<OneSeries> all = make_series();
  return fill(**storage, all);
}

int run_ask(const std::string& dir, std::size_t which, int runs) {
  const auto storage = Tsdb::open(dir, {});
  if (!storage.ok()) return failed(storage.error());
  if (which >= std::size(kQueries)) return failed({ErrorCode::bad_request, "there is no such query"});
  run_query(**storage, kQueries[which], runs);
  return 0;
}

// The room's server over HTTP, without a platform, as a peer is asked. Says its address, and ends with its standard
// input.
int run_serve(const std::string& dir, bool still) {
  ServerOptions options;
  options.directory = dir;
  options.external_url = "http://localhost";
  options.storage.series_max = SIZE_MAX;
  options.storage.retention_ms = INT64_C(100) * 365 * 86'400'000;  // the samples are of 2023
  const auto opened = Server::open(
      options, [](const kube::Resource&) { return std::vector<kube::Object>(); },
      [](const std::vector<AlertNotice>&) {}, system_clock());
  if (!opened.ok()) return failed(opened.error());
  Server& metrics = **opened;
  auto server = http::Server::start({});
  if (!server.ok()) return failed(server.error());
  http::Server listener = std::move(server).value();
  const auto port = listener.listen("127.0.0.1", 0, [&metrics](const http::ExchangePtr& exchange) {
    constexpr std::size_t kBodyBytesMax = 64u << 20;
    const auto body = exchange->read_body(kBodyBytesMax);
    if (!body.ok()) return exchange->respond({400, {}, body.error().message + "\n"});
    if (exchange->path == "/api/v1/write") return exchange->respond(metrics.write(exchange->headers, *body));
    http::Query parameters = exchange->query;
    for (auto& field : http::parse_query(*body)) parameters.push_back(std::move(field));
    exchange->respond(metrics.answer(exchange->method, exchange->path, parameters));
  });
  if (!port.ok()) return failed(port.error());
  if (!still) metrics.start();
  std::printf("127.0.0.1:%d\n", *port);
  std::fflush(stdout);
  char byte;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}

// Series as kubelets expose them: a dozen names, a pod each for some dozen series.
std::vector<NewSample> many_series(std::size_t count) {
  std::vector<NewSample> batch;
  batch.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t pod = i / 40;
    batch.push_back({Labels::from({{"__name__", "container_metric_" + std::to_string(i % 40) + "_total"},
                                   {"namespace", "ns-" + std::to_string(pod % 200)},
                                   {"pod", "app-" + std::to_string(pod % 500) + "-" + std::to_string(pod)},
                                   {"container", "main"},
                                   {"instance", "node-" + std::to_string(pod % 100)},
                                   {"job", "kubelet"}}),
                     0, 0, nullptr});
  }
  return batch;
}

int run_series(std::size_t count, const char* self) {
  const auto dir = TempDir::make("metrics-bench").value();
  TsdbOptions options;
  options.series_max = count;
  auto storage = Tsdb::open(dir.path(), options).value();
  {
    std::vector<NewSample> batch = many_series(count);
    for (std::int64_t step = 0; step < 10; ++step) {
      for (std::size_t i = 0; i < batch.size(); ++i) {
        batch[i].t = kStart + step * kStepMs;
        batch[i].v += static_cast<double>(i % 97);
      }
      const auto start = Steady::now();
      if (const auto stored = storage->append(batch); !stored.ok()) return failed(stored.error());
      if (step < 2) std::printf("%s: %.0f ms\n", step == 0 ? "series made" : "a scrape of all", ms_since(start));
      if (step == 5 && !storage->maintain(kStart + step * kStepMs).ok()) return 1;
    }
  }
  ::malloc_trim(0);
  std::printf("%zu series in memory: %.0f MB\n", count, resident_mb());
  storage.reset();
  std::fflush(stdout);
  return std::system((std::string(self) + " open " + dir.path()).c_str()) == 0 ? 0 : 1;
}

// In a process of its own, as after a restart.
int run_open(const std::string& dir) {
  TsdbOptions options;
  options.series_max = SIZE_MAX;
  const double empty = resident_mb();
  const auto start = Steady::now();
  const double user_before = user_ms();
  const auto storage = Tsdb::open(dir, options);
  if (!storage.ok()) return failed(storage.error());
  std::printf("opened again in %.0f ms (user CPU %.0f ms), %.0f MB of it in memory", ms_since(start),
              user_ms() - user_before, resident_mb() - empty);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf(", %.0f MB at most\n", static_cast<double>(usage.ru_maxrss) / 1024);
  return 0;
}

Result<void> send(http::Client& client, const std::string& url, std::span<const NewSample> batch) {
  http::Request request;
  request.method = "POST";
  request.url = url;
  request.headers.set("Content-Type", content_type_of(WriteProtocol::v1));
  request.headers.set("Content-Encoding", "snappy");
  request.headers.set("X-Prometheus-Remote-Write-Version", "0.1.0");
  request.body = make_write_request(WriteProtocol::v1, batch);
  const http::Response response = TRY(client.send(request));
  if (response.status / 100 != 2) return Error{ErrorCode::internal, response.body};
  return {};
}

int run_send(const std::string& url, std::int64_t steps) {
  http::Client client;
  std::vector<OneSeries> all = make_series();
  std::vector<NewSample> batch;
  const auto began = Steady::now();
  for (std::int64_t step = 0; step < steps; ++step) {
    make_batch(all, step, batch);
    if (const auto sent = send(client, url, batch); !sent.ok()) return failed(sent.error());
  }
  std::printf("%.0f samples/s\n", static_cast<double>(all.size()) * static_cast<double>(steps) / ms_since(began) * 1e3);
  return 0;
}

// The series of run_series with its ten scrapes.
int run_many(const std::string& url, std::size_t count) {
  constexpr std::size_t kBatch = 5'000;
  http::Client client;
  std::vector<NewSample> all = many_series(count);
  for (std::int64_t step = 0; step < 10; ++step) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].t = kStart + step * kStepMs;
      all[i].v += static_cast<double>(i % 97);
    }
    for (std::size_t at = 0; at < all.size(); at += kBatch) {
      const auto batch = std::span<const NewSample>(all).subspan(at, std::min(kBatch, all.size() - at));
      if (const auto sent = send(client, url, batch); !sent.ok()) return failed(sent.error());
    }
  }
  return 0;
}

}  // namespace
}  // namespace caisson::metrics

int main(int argc, char** argv) {
  using namespace caisson::metrics;
  ::mallopt(M_MMAP_THRESHOLD, 256 << 10);  // as in the platform (main/platform/process_role.cc)
  ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (what == "series") return run_series(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000, argv[0]);
  if (what == "open" && argc > 2) return run_open(argv[2]);
  if (what == "send" && argc > 2) return run_send(argv[2], argc > 3 ? std::atoll(argv[3]) : kSteps);
  if (what == "many" && argc > 2) return run_many(argv[2], argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1'000'000);
  if (what == "fill" && argc > 2) return run_fill(argv[2]);
  if (what == "ask" && argc > 3)
    return run_ask(argv[2], std::strtoull(argv[3], nullptr, 10), argc > 4 ? std::atoi(argv[4]) : 7);
  if (what == "serve" && argc > 2) return run_serve(argv[2], argc > 3);
  if (what != "queries") return run();
  for (const Query& query : kQueries) std::printf("%s\t%s\n", query.name, query.text);
  return 0;
}
