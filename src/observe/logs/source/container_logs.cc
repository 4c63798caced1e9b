// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/source/container_logs.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "core/base/encoding.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "observe/logs/source/cri.h"

namespace caisson::logs {
namespace {

constexpr std::string_view kPlatform = "platform/";
constexpr std::size_t kPushBytes = 2u << 20;
constexpr auto kAgain = std::chrono::seconds(1);

struct Frame {
  bool gone = false;
  std::string source, file;
  std::uint64_t offset = 0;  // behind the bytes
  std::string_view bytes;
};

// The first frame of `buffer`, and how long it is; 0: it is not whole yet. Errors: invalid.
Result<std::size_t> read_frame(std::string_view buffer, Frame& frame) {
  const std::size_t end = buffer.find('\n');
  if (end == std::string_view::npos) return std::size_t{0};
  const auto words = split(buffer.substr(0, end), ' ');
  const Error broken{ErrorCode::invalid, "the agent's stream of logs is broken"};
  if (words.size() < 2) return broken;
  frame = {words[0] == "gone", std::string(words[1]), "", 0, {}};
  if (frame.gone) return end + 1;
  if (words.size() != 5 || words[0] != "lines") return broken;
  const auto offset = parse_int(words[3]), length = parse_int(words[4]);
  if (!offset || !length || *length < 0) return broken;
  if (buffer.size() - end - 1 < static_cast<std::size_t>(*length)) return std::size_t{0};
  frame.file = words[2];
  frame.offset = static_cast<std::uint64_t>(*offset);
  frame.bytes = buffer.substr(end + 1, static_cast<std::size_t>(*length));
  return end + 1 + frame.bytes.size();
}

}  // namespace

std::optional<ContainerSource> ContainerSource::parse(std::string_view source) {
  const auto parts = split(source, '/');
  const auto names = split(parts[0], '_');
  if (parts.size() != 3 || names.size() != 3) return std::nullopt;
  return ContainerSource{std::string(names[0]), std::string(names[1]), std::string(names[2]), std::string(parts[1])};
}

struct ContainerLogs::Impl {
  Store& store;
  ContainerLogsOptions options;
  std::thread thread;
  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;  // GUARDED_BY(mutex), as the one below
  http::ResponseStream* stream = nullptr;

  // A source as this connection reads it.
  struct Source {
    CriReader reader;
    Position position;
    Labels metadata;
    std::map<std::string, Labels, std::less<>> labels;  // by stream
  };
  std::map<std::string, Source, std::less<>> sources;

  // What waits to be pushed.
  std::vector<std::pair<Labels, std::vector<std::pair<CriReader::Line, Labels>>>> waiting;
  std::unordered_map<Labels, std::size_t, LabelsHash> waiting_index;
  Positions moved;
  std::size_t waiting_bytes = 0;

  bool wait(Duration time) {  // false: it ends
    std::unique_lock lock(mutex);
    changed.wait_for(lock, time, [this] { return stopping; });
    return !stopping;
  }

  void run() {
    std::string told;
    do {
      const auto done = follow();
      if (const std::lock_guard lock(mutex); stopping) return;
      if (!done.ok() && done.error().message != told)
        log::info("logs of containers wait for the agent", {{"reason", done.error()}});
      told = done.ok() ? "" : done.error().message;
    } while (wait(kAgain));
  }

  Result<void> follow() {
    sources.clear();
    clear_waiting();
    Value known = Value::map();
    for (const auto& [source, position] : store.positions())
      known.set(source, Value{{"file", position.file}, {"offset", static_cast<long long>(position.offset)}});
    http::Request request;
    request.method = "POST";
    request.url = "http://unix/logs/follow";
    request.headers = {{"Content-Type", "application/json"}};
    request.body = json::write(known);
    request.time_max = Duration(0);
    const http::Client client(options.agent);
    const auto opened = TRY(client.open(request));
    if (opened->status != 200)
      return Error{ErrorCode::unavailable, "the agent answered " + std::to_string(opened->status)};
    {
      const std::lock_guard lock(mutex);
      if (stopping) return {};
      stream = opened.get();
    }
    const auto read = read_frames(*opened, client);
    const std::lock_guard lock(mutex);
    stream = nullptr;
    return read;
  }

  Result<void> read_frames(http::ResponseStream& from, const http::Client& client) {
    std::string buffer;
    for (;;) {
      const std::string piece = TRY(from.read_some());
      if (piece.empty()) return Error{ErrorCode::unavailable, "the agent ended its stream"};
      buffer += piece;
      std::size_t at = 0;
      Frame frame;
      while (const std::size_t length = TRY(read_frame(std::string_view(buffer).substr(at), frame))) {
        at += length;
        if (frame.gone)
          TRY(end(frame.source, client));
        else
          take(frame);
        if (waiting_bytes >= kPushBytes) TRY(push({}));
      }
      buffer.erase(0, at);
      TRY(push({}));
    }
  }

  Source& source_of(const Frame& frame) {
    const std::uint64_t begin = frame.offset - frame.bytes.size();
    const auto found = sources.find(frame.source);
    if (found != sources.end()) {
      if (found->second.position.file != frame.file) {  // rotated: the next file
        found->second.reader.next_file(begin);
        found->second.position.file = frame.file;
      }
      return found->second;
    }
    SourceLabels described;
    if (const auto container = ContainerSource::parse(frame.source))
      described = options.describe(*container);
    else
      described.labels = Labels::from({{"namespace", "caisson-system"}, {"app", "caisson"}, {"node", options.node}});
    const Positions known = store.positions();
    const auto position = known.find(frame.source);  // keeps its labels: those of a pod that is gone now
    const auto format = frame.source.starts_with(kPlatform) ? CriReader::Format::plain : CriReader::Format::cri;
    Source source{CriReader(format, begin, store.options().line_bytes_max),
                  {frame.file, begin, position != known.end() ? position->second.labels : described.labels},
                  described.metadata,
                  {}};
    return sources.emplace(frame.source, std::move(source)).first->second;
  }

  const Labels& stream_labels(Source& source, const std::string& stream) {
    const auto found = source.labels.find(stream);
    if (found != source.labels.end()) return found->second;
    metrics::LabelsBuilder builder(source.position.labels);
    builder.set("stream", stream);
    return source.labels.emplace(stream, builder.labels()).first->second;
  }

  void take(const Frame& frame) {
    Source& source = source_of(frame);
    for (CriReader::Line& line : source.reader.feed(frame.bytes)) {
      const Labels& labels = stream_labels(source, line.stream);
      const auto [at, fresh] = waiting_index.try_emplace(labels, waiting.size());
      if (fresh) waiting.emplace_back(labels, std::vector<std::pair<CriReader::Line, Labels>>());
      waiting_bytes += line.text.size();
      waiting[at->second].second.emplace_back(std::move(line), source.metadata);
    }
    source.position.offset = source.reader.taken();
    moved[frame.source] = source.position;
  }

  void clear_waiting() {
    waiting.clear();
    waiting_index.clear();
    moved.clear();
    waiting_bytes = 0;
  }

  // Tries until the store takes it: meanwhile the agent's stream waits, and the files keep what comes.
  Result<void> push(std::span<const std::string> dropped) {
    if (moved.empty() && dropped.empty()) return {};
    std::vector<NewStream> streams;
    for (const auto& [labels, lines] : waiting) {
      NewStream& stream = streams.emplace_back(NewStream{labels, {}});
      for (const auto& [line, metadata] : lines) stream.entries.push_back({line.t, line.text, metadata});
    }
    for (bool told = false;;) {
      const auto pushed = store.push(streams, moved, dropped);
      if (pushed.ok()) {
        if (pushed->error)
          log::warning("lines of containers not kept", {{"lines", pushed->refused}, {"reason", *pushed->error}});
        clear_waiting();
        return {};
      }
      if (!std::exchange(told, true)) log::warning("logs of containers wait", {{"reason", pushed.error()}});
      if (!wait(kAgain)) return Error{ErrorCode::unavailable, "ends"};
    }
  }

  // A file is gone and all of it was read: the agent may let it go once it is in the store.
  Result<void> end(const std::string& source, const http::Client& client) {
    TRY(push({}));
    http::Request request;
    request.method = "DELETE";
    request.url = "http://unix/logs/sources/" + percent_encode(source);
    TRY(client.send(request));
    sources.erase(source);
    const std::string dropped[] = {source};
    return push(dropped);
  }
};

ContainerLogs::ContainerLogs(Store& store, ContainerLogsOptions options) : impl_(new Impl{store, std::move(options)}) {}

void ContainerLogs::start() {
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

ContainerLogs::~ContainerLogs() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    if (impl_->stream) impl_->stream->cancel();
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace caisson::logs
