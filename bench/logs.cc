// SPDX-License-Identifier: Apache-2.0
// script/bench logs: pushes as clients send them (JSON bodies of 1,000 lines), then the queries that people wait for,
// over a store of MEGABYTES of text. Prints one figure a line: wall time, and user CPU in brackets, as others may run
// beside.
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "core/base/file.h"
#include "observe/logs/ingest/push.h"
#include "observe/logs/logql/engine.h"

namespace {

using namespace caisson;
using namespace caisson::logs;

constexpr int kStreams = 50, kLinesInPush = 1000;
constexpr std::int64_t kSecond = 1'000'000'000;

double user_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec) + static_cast<double>(usage.ru_utime.tv_usec) / 1e6;
}

class Timer {
 public:
  double wall() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count(); }
  double user() const { return user_seconds() - user_; }

 private:
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  double user_ = user_seconds();
};

std::string body(std::mt19937_64& random, std::int64_t& t, int stream) {
  std::string out = "{\"streams\":[{\"stream\":{\"app\":\"app-" + std::to_string(stream % 10) + "\",\"pod\":\"pod-" +
                    std::to_string(stream) + "\"},\"values\":[";
  for (int i = 0; i < kLinesInPush; ++i) {
    char line[256];
    std::snprintf(line, sizeof line,
                  "level=info ts=%lld method=GET path=/api/v1/items/%llu status=%d took=%llums trace_id=%016llx%016llx",
                  static_cast<long long>(t), static_cast<unsigned long long>(random() % 5000),
                  random() % 50 == 0 ? 500 : 200, static_cast<unsigned long long>(random() % 300),
                  static_cast<unsigned long long>(random()), static_cast<unsigned long long>(random()));
    out += (i == 0 ? "[\"" : ",[\"") + std::to_string(t) + "\",\"" + line + "\"]";
    t += 2000;
  }
  return out + "]}]}";
}

Result<void> ask(const Store& store, const char* name, const char* query, std::int64_t start, std::int64_t end,
                 std::int64_t step) {
  for (int round = 0; round < 3; ++round) {
    const Timer timer;
    logql::QueryStats stats;
    const auto expr = TRY(logql::parse(query));
    std::size_t found = 0;
    if (expr->is_log())
      found = TRY(logql::query_lines(store, {}, std::get<logql::Selector>(expr->node),
                                     {start, end, 100, Direction::backward}, end, stats))
                  .size();
    else
      found = TRY(logql::query_metric(store, {}, *expr, {start + step, end, step}, end, stats)).series.size();
    if (round == 2)
      std::printf("%-28s %8.1f ms (%.1f ms)  %zu found\n", name, timer.wall() * 1e3, timer.user() * 1e3, found);
  }
  return {};
}

Result<void> run(const std::string& dir, std::uint64_t megabytes) {
  FakeClock clock;
  StoreOptions options;
  options.rate_bytes = options.burst_bytes = 1e12;
  const auto store = TRY(Store::open(dir, options, clock));
  std::mt19937_64 random(1);
  const std::int64_t start = clock.now().time_since_epoch().count() - 120 * kSecond;
  std::int64_t t = start;
  double wall = 0, user = 0;
  std::uint64_t lines = 0, bytes = 0;
  // As many clients at once as there are in a cluster's worth of collectors: their pushes share syncs.
  constexpr int kClients = 8;
  while (bytes < megabytes << 20) {
    std::vector<std::string> bodies;
    for (int n = 0; n < kClients * 4; ++n) bodies.push_back(body(random, t, n % kStreams));
    const Timer timer;
    std::atomic<std::uint64_t> added{0}, text_bytes{0};
    std::vector<std::thread> clients;
    for (int client = 0; client < kClients; ++client)
      clients.emplace_back([&, client] {
        for (int n = client; n < kClients * 4; n += kClients) {
          const auto batch = read_push_json(bodies[static_cast<std::size_t>(n)]);
          const auto report = batch.ok() ? store->push(batch->streams) : Result<PushReport>(batch.error());
          if (!report.ok()) return;
          added += report->added;
          for (const NewEntry& entry : batch->streams[0].entries) text_bytes += entry.line.size();
        }
      });
    for (std::thread& client : clients) client.join();
    if (added != kClients * 4 * kLinesInPush) return Error{ErrorCode::internal, "a push was refused"};
    wall += timer.wall();
    user += timer.user();
    lines += added;
    bytes += text_bytes;
  }
  std::printf("%-28s %8.0f lines/s (%.0f by user CPU)\n", "push", static_cast<double>(lines) / wall,
              static_cast<double>(lines) / user);
  TRY(store->maintain());
  const StoreStats stats = store->stats();
  std::printf("%-28s %8.1f MB of text, %.1f MB in segments\n", "store", static_cast<double>(stats.text_bytes) / 1e6,
              static_cast<double>(stats.segment_bytes) / 1e6);
  const std::int64_t step = std::max<std::int64_t>(1, (t - start) / 10);
  TRY(ask(*store, "rare needle", "{app=~\".+\"} |= \"trace_id=3c6a9f0b7e1d4852a0b1c2d3e4f50617\"", start, t + 1,
          kSecond));
  TRY(ask(*store, "count by app", "sum by (app) (count_over_time({app=~\".+\"}[1m]))", start, t + 1, step));
  TRY(ask(*store, "rate of errors by app", "sum by (app) (rate({app=~\".+\"} |= \"status=500\" [1m]))", start, t + 1,
          step));
  TRY(ask(*store, "logfmt, average by app",
          "avg_over_time({app=\"app-1\"} | logfmt | unwrap duration(took) [1m]) by (app)", start, t + 1, step));
  TRY(ask(*store, "newest 100 lines", "{app=~\".+\"}", start, t + 1, kSecond));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const auto dir = TempDir::make("logs-bench", argc > 2 ? argv[2] : "");
  const auto done =
      dir.ok() ? run(dir->path(), argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200) : Result<void>(dir.error());
  if (!done.ok()) std::fprintf(stderr, "error: %s\n", done.error().message.c_str());
  return done.ok() ? 0 : 1;
}
