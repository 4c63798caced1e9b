// SPDX-License-Identifier: Apache-2.0
#include "machine/node/logs.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <list>
#include <mutex>
#include <thread>

#include "core/base/text.h"

namespace caisson::node {
namespace {

constexpr std::size_t kBlockBytes = 64u << 10;

// The parts of "<time> <stream> <P|F> <text>".
struct CriLine {
  std::string_view time, stream, text;
  bool partial = false;
};

std::optional<CriLine> parse_cri(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t second = first == line.npos ? first : line.find(' ', first + 1);
  if (second == line.npos || second + 1 >= line.size()) return std::nullopt;
  const std::size_t third = line.find(' ', second + 1);
  const std::string_view tag = line.substr(second + 1, third == line.npos ? line.npos : third - second - 1);
  return CriLine{line.substr(0, first), line.substr(first + 1, second - first - 1),
                 third == line.npos ? std::string_view() : line.substr(third + 1), tag.starts_with('P')};
}

Result<std::optional<std::int64_t>> number(const http::Query& query, std::string_view name) {
  const std::string_view text = http::query_get(query, name);
  if (text.empty()) return std::optional<std::int64_t>();
  const auto value = parse_int(text);
  if (!value || *value < 0)
    return Error{ErrorCode::bad_request,
                 std::string(name) + ": \"" + std::string(text) + "\" is no number of at least 0"};
  return value;
}

bool is_true(std::string_view text) {
  return text == "true" || text == "1";
}

}  // namespace

Result<LogOptions> LogOptions::parse(const http::Query& query, Time now) {
  LogOptions options;
  options.follow = is_true(http::query_get(query, "follow"));
  options.timestamps = is_true(http::query_get(query, "timestamps"));
  options.tail_lines = TRY(number(query, "tailLines"));
  options.limit_bytes = TRY(number(query, "limitBytes"));
  if (const auto seconds = TRY(number(query, "sinceSeconds"))) options.since = now - std::chrono::seconds(*seconds);
  if (const std::string_view text = http::query_get(query, "sinceTime"); !text.empty()) {
    options.since = parse_time(text);
    if (!options.since)
      return Error{ErrorCode::bad_request, "sinceTime: \"" + std::string(text) + "\" is no RFC 3339 time"};
  }
  return options;
}

std::string LogFormatter::format(std::string_view piece) {
  std::string out;
  rest_ += piece;
  std::size_t begin = 0;
  for (std::size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    line(std::string_view(rest_).substr(begin, end - begin), out);
  }
  rest_.erase(0, begin);
  if (options_.limit_bytes) {
    if (static_cast<std::int64_t>(out.size()) > *options_.limit_bytes)
      out.resize(static_cast<std::size_t>(*options_.limit_bytes));
    *options_.limit_bytes -= static_cast<std::int64_t>(out.size());
  }
  return out;
}

void LogFormatter::line(std::string_view text, std::string& out) {
  const auto parsed = parse_cri(text);
  if (!parsed) return;
  if (options_.since) {
    const auto time = parse_time(parsed->time);
    if (time && *time < *options_.since) return;
    if (time) options_.since.reset();  // lines are in the order of time: what follows is newer
  }
  if (options_.timestamps && !in_partial_) out.append(parsed->time).append(" ");
  out += parsed->text;
  if (!parsed->partial) out += '\n';
  in_partial_ = parsed->partial;
}

Result<std::uint64_t> tail_offset(int fd, std::int64_t lines) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return errno_error("look at the log");
  std::uint64_t at = static_cast<std::uint64_t>(info.st_size);
  if (lines <= 0) return at;
  std::string buffer;
  std::int64_t seen = -1;  // the newline that ends the last line does not begin another
  while (at > 0) {
    const std::uint64_t length = std::min<std::uint64_t>(at, kBlockBytes);
    at -= length;
    buffer.resize(length);
    if (::pread(fd, buffer.data(), length, static_cast<off_t>(at)) != static_cast<ssize_t>(length))
      return errno_error("read the log");
    for (std::uint64_t i = length; i-- > 0;) {
      if (buffer[i] == '\n' && ++seen >= lines) return at + i + 1;
    }
  }
  return std::uint64_t{0};
}

Result<bool> rotate_log(const std::string& path, std::uint64_t bytes_max, int files_kept) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || static_cast<std::uint64_t>(info.st_size) <= bytes_max) return false;
  TRY(remove_file(path + "." + std::to_string(files_kept - 1)));
  for (int i = files_kept - 2; i >= 1; --i) {
    const std::string from = path + "." + std::to_string(i);
    if (exists(from)) TRY(rename_file(from, path + "." + std::to_string(i + 1)));
  }
  TRY(rename_file(path, path + ".1"));
  return true;
}

// --- following

struct LogFollower::Impl {
  struct Followed {
    UniqueFd fd;
    std::string path;
    LogFormatter formatter;
    std::shared_ptr<http::Stream> stream;
    std::function<bool()> ended;
    int watch = -1;  // of the directory: writes, renames and new files all show there
  };

  UniqueFd inotify;
  std::shared_ptr<UniqueFd> wake = std::make_shared<UniqueFd>();  // shared with streams, which may outlive the follower
  std::thread thread;
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  std::list<Followed> fresh;     // guarded by mutex
  std::list<Followed> followed;  // of the thread

  static void ring(const UniqueFd& wake) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t wrote = ::write(wake.get(), &one, sizeof one);
  }

  void loop() {
    while (!stopping) {
      pollfd fds[2] = {{inotify.get(), POLLIN, 0}, {wake->get(), POLLIN, 0}};
      ::poll(fds, 2, -1);
      alignas(inotify_event) char buffer[16384];
      while (::read(inotify.get(), buffer, sizeof buffer) >
             0) {  // which file does not matter: those that have nothing new cost one read
      }
      std::uint64_t ignored;
      [[maybe_unused]] const ssize_t got = ::read(wake->get(), &ignored, sizeof ignored);
      take_fresh();
      for (auto it = followed.begin(); it != followed.end();) {
        if (advance(*it)) {
          ++it;
        } else {
          const int watch = it->watch;
          it = followed.erase(it);
          const bool shared =
              std::any_of(followed.begin(), followed.end(), [watch](const Followed& f) { return f.watch == watch; });
          if (!shared) ::inotify_rm_watch(inotify.get(), watch);
        }
      }
    }
  }

  void take_fresh() {
    std::list<Followed> taken;
    {
      const std::lock_guard lock(mutex);
      taken.swap(fresh);
    }
    for (auto& one : taken)
      one.watch = ::inotify_add_watch(inotify.get(), path_dir(one.path).c_str(),
                                      IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE);
    followed.splice(followed.end(), taken);
  }

  // Sends what is new. False: it is over.
  bool advance(Followed& one) {
    if (one.stream->closed()) return false;
    const bool over = one.ended();  // asked first: what is written before the end is read below
    for (;;) {
      if (!drain(one)) return false;
      if (one.formatter.full()) break;
      if (!reopen(one)) {
        if (!over) return true;
        break;
      }
    }
    one.stream->finish();
    return false;
  }

  bool drain(Followed& one) {
    char buffer[kBlockBytes];
    for (;;) {
      const ssize_t got = ::read(one.fd.get(), buffer, sizeof buffer);
      if (got <= 0) return true;
      const std::string text = one.formatter.format({buffer, static_cast<std::size_t>(got)});
      if (text.empty()) continue;
      const auto sent = one.stream->write(text);
      if (!sent.ok()) {
        one.stream->abort();  // gone, or too slow
        return false;
      }
    }
  }

  // After a rotation the path names another file.
  static bool reopen(Followed& one) {
    struct stat open {
    }, named{};
    if (::fstat(one.fd.get(), &open) != 0 || ::stat(one.path.c_str(), &named) != 0 || open.st_ino == named.st_ino)
      return false;
    UniqueFd fd(::open(one.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return false;
    one.fd = std::move(fd);
    return true;
  }
};

Result<std::unique_ptr<LogFollower>> LogFollower::start() {
  auto impl = std::make_unique<Impl>();
  impl->inotify.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  impl->wake->reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!impl->inotify || !*impl->wake) return errno_error("make the log follower");
  impl->thread = std::thread([raw = impl.get()] { raw->loop(); });
  return std::unique_ptr<LogFollower>(new LogFollower(std::move(impl)));
}

LogFollower::LogFollower(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogFollower::~LogFollower() {
  impl_->stopping = true;
  Impl::ring(*impl_->wake);
  impl_->thread.join();
}

void LogFollower::nudge() {
  Impl::ring(*impl_->wake);
}

void LogFollower::follow(UniqueFd fd, std::string path, LogFormatter formatter, std::shared_ptr<http::Stream> stream,
                         std::function<bool()> ended) {
  stream->on_close([wake = impl_->wake] { Impl::ring(*wake); });
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->fresh.push_back({std::move(fd), std::move(path), std::move(formatter), std::move(stream), std::move(ended)});
  }
  Impl::ring(*impl_->wake);
}

}  // namespace caisson::node
