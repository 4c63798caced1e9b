// SPDX-License-Identifier: Apache-2.0
#include "machine/node/log_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "machine/node/logs.h"

namespace caisson::node {
namespace {

constexpr std::size_t kBlockBytes = 256u << 10;
constexpr std::size_t kPositionsBytesMax = 8u << 20;
constexpr std::size_t kRemovedMax = 500;  // sources whose files are held though they are removed
constexpr int kTogetherMs = 100;          // what is logged within this time goes out together
constexpr std::uint32_t kEvents = IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_ONLYDIR;
constexpr std::string_view kPlatform = "platform/caisson.log";

struct Place {
  std::string file;
  std::uint64_t offset = 0;
};

// One file of a source. `name` is empty until its first line has begun.
struct LogFile {
  UniqueFd fd;
  ino_t inode = 0;
  std::string name;
  std::uint64_t offset = 0;
};

struct Source {
  std::string path;            // of the file that is written
  std::vector<LogFile> files;  // oldest first; the last one is (or was) `path`
  bool removed = false, told = false;
};

std::string read_name(int fd) {
  char head[64];
  const ssize_t got = ::pread(fd, head, sizeof head, 0);
  const std::string_view text(head, got > 0 ? static_cast<std::size_t>(got) : 0);
  const std::size_t blank = text.find(' ');
  return blank == std::string_view::npos ? std::string() : std::string(text.substr(0, blank));
}

std::optional<LogFile> open_file(const std::string& path) {
  LogFile file;
  file.fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (!file.fd || ::fstat(file.fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  file.inode = info.st_ino;
  file.name = read_name(file.fd.get());
  return file;
}

}  // namespace

struct LogStream::Impl {
  std::string directory;
  UniqueFd inotify, wake;
  std::thread thread;
  std::atomic<bool> stopping{false};

  std::mutex mutex;  // what other threads leave for the thread
  std::shared_ptr<http::Stream> fresh;
  std::map<std::string, Place> fresh_places;
  std::vector<std::string> taken;

  // Of the thread.
  std::shared_ptr<http::Stream> stream;
  std::map<std::string, Source> sources;
  std::map<int, std::string> watches;  // directory by watch
  std::set<std::string> dirty;         // sources that may have something new
  std::string block = std::string(kBlockBytes, '\0');

  void ring() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t wrote = ::write(wake.get(), &one, sizeof one);  // full means rung already
  }
  std::string pods() const { return directory + "/pods"; }

  void loop();
  void read_events();
  void watch(const std::string& path, int depth);
  void found(const std::string& path);
  void removed(const std::string& path);
  void take_fresh();
  void resume(const std::map<std::string, Place>& places);
  bool rotated(Source& source);
  bool send(const std::string& name, Source& source);
  bool send_file(const std::string& name, LogFile& file);
  void hold();
  void drop_stream();
};

// --- what there is

// Watches a directory and what is below: pods/, pods/<pod>, pods/<pod>/<container>.
void LogStream::Impl::watch(const std::string& path, int depth) {
  const int watch_fd = ::inotify_add_watch(inotify.get(), path.c_str(), kEvents);
  if (watch_fd < 0) return;  // gone again
  watches[watch_fd] = path;
  const auto names = list_dir(path);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (depth > 0)
      watch(path + "/" + name, depth - 1);
    else
      found(path + "/" + name);
  }
}

// A log file, by its path; rotated ones (.log.1) belong to a source that is known by the other.
void LogStream::Impl::found(const std::string& path) {
  const bool own = path == directory + "/caisson.log";
  if (!path.ends_with(".log") || (!own && !path.starts_with(pods() + "/"))) return;
  const std::string name = own ? std::string(kPlatform) : path.substr(pods().size() + 1);
  dirty.insert(name);
  const auto [at, fresh_source] = sources.try_emplace(name);
  Source& source = at->second;
  if (!fresh_source && !source.removed) return;
  source = Source{path, {}, false, false};
  for (int i = kLogFilesKept; i > 0; --i)
    if (auto file = open_file(path + "." + std::to_string(i))) source.files.push_back(std::move(*file));
  if (auto file = open_file(path)) source.files.push_back(std::move(*file));
}

void LogStream::Impl::removed(const std::string& path) {
  if (!path.starts_with(pods() + "/")) return;
  const auto source = sources.find(path.substr(pods().size() + 1));
  if (source == sources.end() || exists(path)) return;
  source->second.removed = true;
  dirty.insert(source->first);
  std::vector<std::string> held;
  for (const auto& [name, one] : sources)
    if (one.removed) held.push_back(name);
  if (held.size() <= kRemovedMax) return;
  log::warning("logs of a removed container were not taken in time", {{"source", held.front()}});
  sources.erase(held.front());
}

void LogStream::Impl::read_events() {
  alignas(inotify_event) char buffer[16384];
  for (;;) {
    const ssize_t got = ::read(inotify.get(), buffer, sizeof buffer);
    if (got <= 0) return;
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof *event + event->len);
      if (event->mask & IN_Q_OVERFLOW) {  // look at everything
        watch(pods(), 2);
        for (const auto& [name, source] : sources) dirty.insert(name);
      }
      const auto directory_of = watches.find(event->wd);
      if (directory_of == watches.end()) continue;
      if (event->mask & (IN_IGNORED | IN_DELETE_SELF)) {
        if (event->mask & IN_IGNORED) watches.erase(directory_of);
        continue;
      }
      const std::string path = directory_of->second + "/" + event->name;
      if (event->mask & IN_ISDIR) {
        const auto below =
            split(path.substr(std::min(path.size(), pods().size())), '/').size();  // "/<pod>" has two parts
        if ((event->mask & (IN_CREATE | IN_MOVED_TO)) && path.starts_with(pods() + "/"))
          watch(path, below == 2 ? 1 : 0);
      } else if (event->mask & IN_DELETE) {
        removed(path);
      } else {
        found(path);
      }
    }
  }
}

// --- who listens

void LogStream::Impl::take_fresh() {
  std::shared_ptr<http::Stream> next;
  std::map<std::string, Place> places;
  std::vector<std::string> done;
  {
    const std::lock_guard lock(mutex);
    next = std::move(fresh);
    places = std::move(fresh_places);
    done = std::move(taken);
    fresh = nullptr;
    taken.clear();
  }
  for (const std::string& name : done) {
    const auto source = sources.find(name);
    if (source != sources.end() && source->second.removed) sources.erase(source);
  }
  if (stream && stream->closed()) drop_stream();
  if (!next) return;
  drop_stream();
  stream = std::move(next);
  resume(places);
}

void LogStream::Impl::drop_stream() {
  if (stream) stream->abort();
  stream = nullptr;
}

// Every file from where the listener has it.
void LogStream::Impl::resume(const std::map<std::string, Place>& places) {
  for (auto& [name, source] : sources) {
    source.told = false;
    dirty.insert(name);
    if (!source.removed) {
      std::vector<LogFile> files;
      for (int i = kLogFilesKept; i >= 0; --i)
        if (auto file = open_file(i == 0 ? source.path : source.path + "." + std::to_string(i)))
          files.push_back(std::move(*file));
      source.files = std::move(files);
    }
    for (LogFile& file : source.files) file.offset = 0;
    const auto place = places.find(name);
    if (place == places.end()) continue;
    const auto at = std::find_if(source.files.begin(), source.files.end(),
                                 [&](const LogFile& file) { return file.name == place->second.file; });
    if (at == source.files.end()) continue;  // rotated away: what is left is newer
    at->offset = place->second.offset;
    if (!source.removed) {
      source.files.erase(source.files.begin(), at);
    } else {
      for (auto older = source.files.begin(); older != at; ++older) {
        struct stat info {};
        if (::fstat(older->fd.get(), &info) == 0) older->offset = static_cast<std::uint64_t>(info.st_size);
      }
    }
  }
  for (const auto& [name, place] : places)
    if (!sources.contains(name) && stream && !stream->write("gone " + name + "\n").ok()) return drop_stream();
}

// --- sending

// Whether the path names another file than the newest that is open; then that is opened.
bool LogStream::Impl::rotated(Source& source) {
  struct stat named {};
  if (source.removed || ::stat(source.path.c_str(), &named) != 0) return false;
  if (!source.files.empty() && source.files.back().inode == named.st_ino) return false;
  auto file = open_file(source.path);
  if (!file) return false;
  source.files.push_back(std::move(*file));
  return true;
}

bool LogStream::Impl::send_file(const std::string& name, LogFile& file) {
  if (file.name.empty()) file.name = read_name(file.fd.get());
  if (file.name.empty()) return true;
  for (;;) {
    const ssize_t got = ::pread(file.fd.get(), block.data(), block.size(), static_cast<off_t>(file.offset));
    if (got <= 0) return true;
    std::string_view bytes(block.data(), static_cast<std::size_t>(got));
    const std::size_t end = bytes.rfind('\n');
    if (end == std::string_view::npos && bytes.size() < block.size()) return true;  // a line that is being written
    if (end != std::string_view::npos) bytes = bytes.substr(0, end + 1);
    file.offset += bytes.size();
    const std::string head = "lines " + name + " " + file.name + " " + std::to_string(file.offset) + " " +
                             std::to_string(bytes.size()) + "\n";
    if (!stream->write_blocking(head).ok() || !stream->write_blocking(bytes).ok()) return false;
  }
}

// False: the listener is gone.
bool LogStream::Impl::send(const std::string& name, Source& source) {
  do {
    for (LogFile& file : source.files)
      if (!send_file(name, file)) return false;
    // Only the newest is still written; a file that was removed is kept until it was taken.
    if (!source.removed && source.files.size() > 1) source.files.erase(source.files.begin(), source.files.end() - 1);
  } while (rotated(source));
  if (!source.removed || source.told) return true;
  source.told = true;
  return stream->write_blocking("gone " + name + "\n").ok();
}

// Nobody listens: what is written is opened, so that it can be told though it is rotated and removed.
void LogStream::Impl::hold() {
  for (const std::string& name : std::exchange(dirty, {})) {
    const auto source = sources.find(name);
    if (source == sources.end() || !rotated(source->second)) continue;
    auto& files = source->second.files;
    if (files.size() > kLogFilesKept + 1) files.erase(files.begin());
  }
}

void LogStream::Impl::loop() {
  while (!stopping) {
    pollfd fds[2] = {{inotify.get(), POLLIN, 0}, {wake.get(), POLLIN, 0}};
    ::poll(fds, 2, -1);
    if (fds[0].revents && !stopping) ::poll(&fds[1], 1, kTogetherMs);
    std::uint64_t ignored;
    [[maybe_unused]] const ssize_t got = ::read(wake.get(), &ignored, sizeof ignored);
    read_events();
    take_fresh();
    if (!stream) {
      hold();  // a listener resumes all of them
      continue;
    }
    for (const std::string& name : std::exchange(dirty, {})) {
      const auto source = sources.find(name);
      if (source == sources.end() || send(name, source->second)) continue;
      drop_stream();
      break;
    }
  }
  drop_stream();
}

Result<std::unique_ptr<LogStream>> LogStream::start(const std::string& directory) {
  auto impl = std::make_shared<Impl>();
  impl->directory = directory;
  impl->inotify.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  impl->wake.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!impl->inotify || !impl->wake) return errno_error("make the stream of logs");
  TRY(make_dirs(impl->pods()));
  impl->watch(directory, 0);
  impl->watch(impl->pods(), 2);
  impl->thread = std::thread([raw = impl.get()] { raw->loop(); });
  return std::unique_ptr<LogStream>(new LogStream(std::move(impl)));
}

LogStream::LogStream(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

LogStream::~LogStream() {
  impl_->stopping = true;
  impl_->ring();
  impl_->thread.join();
}

http::Handler LogStream::before(http::Handler next) {
  return [impl = impl_, next = std::move(next)](http::ExchangePtr exchange) {
    constexpr std::string_view kSources = "/logs/sources/";
    if (exchange->method == "DELETE" && exchange->path.starts_with(kSources)) {
      const std::lock_guard lock(impl->mutex);
      impl->taken.push_back(exchange->path.substr(kSources.size()));
      impl->ring();
      return exchange->respond({.status = 204, .headers = {}, .body = ""});
    }
    if (exchange->method != "POST" || exchange->path != "/logs/follow") return next(std::move(exchange));
    const auto body = exchange->read_body(kPositionsBytesMax);
    const auto known = body.ok() ? json::parse(*body) : Result<Value>(body.error());
    if (!known.ok())
      return exchange->respond(
          {.status = 400, .headers = {{"Content-Type", "text/plain"}}, .body = known.error().message});
    std::map<std::string, Place> places;
    for (const auto& entry : known->entries())
      places[std::string(entry.key)] = {entry.value["file"].str(), static_cast<std::uint64_t>(std::max<std::int64_t>(
                                                                       0, entry.value["offset"].as_int()))};
    auto stream = exchange->stream(200, {{"Content-Type", "application/octet-stream"}});
    stream->on_close([impl] { impl->ring(); });
    const std::lock_guard lock(impl->mutex);
    if (impl->fresh) impl->fresh->abort();
    impl->fresh = std::move(stream);
    impl->fresh_places = std::move(places);
    impl->ring();
  };
}

}  // namespace caisson::node
