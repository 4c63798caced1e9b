// SPDX-License-Identifier: Apache-2.0
// Reading the CRI logs of containers ("2026-11-21T02:30:17.129695980+00:00 stdout F text") as `kubectl logs` wants
// them, following them without a thread each, and rotating them. Any thread.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/result.h"
#include "core/http/message.h"
#include "core/http/server.h"

namespace caisson::node {

inline constexpr std::uint64_t kLogBytesMax = 10u << 20;
inline constexpr int kLogFilesKept = 5;

struct LogOptions {
  bool follow = false, timestamps = false;
  std::optional<std::int64_t> tail_lines;
  std::optional<Time> since;
  std::optional<std::int64_t> limit_bytes;
  // Errors: bad_request, which names the parameter.
  static Result<LogOptions> parse(const http::Query& query, Time now);
};

// Turns CRI lines into text; keeps what is needed from one piece to the next. One thread at a time.
class LogFormatter {
 public:
  explicit LogFormatter(LogOptions options) : options_(std::move(options)) {}
  // `piece` may end in the middle of a line. Gives the text to send.
  std::string format(std::string_view piece);
  bool full() const { return options_.limit_bytes && *options_.limit_bytes <= 0; }

 private:
  void line(std::string_view line, std::string& out);
  LogOptions options_;
  std::string rest_;
  bool in_partial_ = false;  // the line before was partial: no time stamp in the middle
};

// Where the last `lines` whole lines of a file begin (partial CRI lines do not count).
Result<std::uint64_t> tail_offset(int fd, std::int64_t lines);

// Renames a log that has outgrown `bytes_max` to <path>.1 (older ones to .2 …). Gives whether it did: then its writer
// must open it anew.
Result<bool> rotate_log(const std::string& path, std::uint64_t bytes_max, int files_kept);

// Follows logs on one thread (inotify).
class LogFollower {
 public:
  static Result<std::unique_ptr<LogFollower>> start();
  ~LogFollower();
  // Sends the log from where `fd` stands until `ended` says so and everything is sent, or the client is gone. `ended`
  // is asked on the follower's thread and must not block.
  void follow(UniqueFd fd, std::string path, LogFormatter formatter, std::shared_ptr<http::Stream> stream,
              std::function<bool()> ended);
  void nudge();  // something ended: look again at every log

 private:
  struct Impl;
  explicit LogFollower(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::node
