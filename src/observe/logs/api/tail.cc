// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/api/tail.h"

#include <mutex>
#include <set>

#include "observe/logs/api/json_text.h"
#include "observe/logs/api/parameters.h"
#include "observe/logs/logql/pipeline.h"

namespace caisson::logs {
namespace {

constexpr int kTailsMax = 50;

}  // namespace

struct Tails::Tail {
  std::vector<Matcher> matchers;
  std::shared_ptr<http::WebSocket> socket;
  std::shared_ptr<std::atomic<int>> count;

  std::mutex mutex;
  logql::Pipeline pipeline;  // GUARDED_BY(mutex), as all below
  bool begun = false, ended = false;
  // Lines that were pushed while the store was read: they may be in what was read, too.
  std::vector<logql::FoundLine> early;

  ~Tail() { --*count; }

  static void send(const std::shared_ptr<http::WebSocket>& socket, const std::vector<logql::FoundLine>& lines) {
    if (lines.empty()) return;
    // Who reads too slowly is cut off by the connection's own limit.
    if (!socket->send("{\"streams\":" + streams_json(lines, {}) + ",\"dropped_entries\":[]}", false).ok())
      socket->close(1011, "too slow");
  }

  void pushed(std::span<const NewStream> streams) {
    std::vector<logql::FoundLine> found;
    const std::lock_guard lock(mutex);
    if (ended) return;
    logql::LineState state;
    for (const NewStream& stream : streams) {
      if (!metrics::matches_all(matchers, stream.labels)) continue;
      for (const NewEntry& entry : stream.entries) {
        state.reset(entry.t, entry.line, stream.labels, entry.metadata);
        if (!pipeline.apply(state)) continue;
        found.push_back({entry.t, std::string(state.line()), state.labels_of(logql::Origin::stream),
                         state.labels_of(logql::Origin::metadata), state.labels_of(logql::Origin::parsed)});
      }
    }
    if (begun)
      send(socket, found);
    else
      early.insert(early.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  }

  void begin(std::vector<logql::FoundLine> stored) {
    std::set<std::tuple<std::int64_t, std::string, Labels>> known;
    for (const logql::FoundLine& line : stored) known.emplace(line.t, line.line, line.labels());
    const std::lock_guard lock(mutex);
    std::erase_if(early, [&](const logql::FoundLine& line) {
      return known.contains({line.t, line.line, line.labels()});
    });
    send(socket, stored);
    send(socket, early);
    early.clear();
    begun = true;
  }

  void end() {
    const std::lock_guard lock(mutex);
    ended = true;
  }
};

Result<void> Tails::open(http::Exchange& exchange, const http::Query& query) {
  const std::int64_t now = clock_.now().time_since_epoch().count();
  const Parameters parameters(query, now);
  const logql::Selector selector = TRY(logql::parse_log_selector(parameters.text("query")));
  const std::int64_t start = TRY(parameters.time("start", now - 3'600LL * 1'000'000'000));
  const std::size_t limit = TRY(parameters.limit(100, 5000));
  if (*open_ >= kTailsMax)
    return Error{ErrorCode::too_many_requests, "max concurrent tail requests limit exceeded, count > limit (" +
                                                   std::to_string(*open_ + 1) + " > " + std::to_string(kTailsMax) +
                                                   ")"};
  logql::Pipeline pipeline = TRY(logql::Pipeline::compile(selector.stages));
  auto socket = TRY(exchange.websocket(""));
  ++*open_;
  const auto tail = std::make_shared<Tail>();
  tail->matchers = selector.matchers;
  tail->pipeline = std::move(pipeline);
  tail->socket = socket;
  tail->count = open_;
  auto listening = store_.listen([tail = std::weak_ptr(tail)](std::span<const NewStream> streams) {
    if (const auto one = tail.lock()) one->pushed(streams);
  });
  logql::QueryStats stats;
  auto stored = logql::query_lines(store_, {}, selector, {start, INT64_MAX, limit, Direction::backward}, now, stats);
  if (!stored.ok()) {
    socket->close(1011, stored.error().message);
    return {};
  }
  std::vector<logql::FoundLine> lines = std::move(stored).value();
  std::reverse(lines.begin(), lines.end());
  tail->begin(std::move(lines));
  // The socket keeps the tail, and the tail the socket, until the client goes.
  socket->on_message([](http::WebSocket::Message) {});
  socket->on_close([tail = std::shared_ptr<Tail>(tail), listening = std::move(listening)]() mutable {
    tail->end();
    tail.reset();
    listening.reset();
  });
  return {};
}

}  // namespace caisson::logs
