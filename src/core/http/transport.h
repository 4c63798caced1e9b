// SPDX-License-Identifier: Apache-2.0
// Transport: one connected socket of the client, with or without TLS, read and written with deadlines. Internal to the
// room.
//
// Threads: one reader and one writer at a time; shut_down from any thread.
#pragma once
#include <atomic>
#include <mutex>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/http/openssl.h"

namespace caisson::http {

Duration monotonic_now();
// Since monotonic_now(); Duration::max() is never.
Duration deadline_after(Duration time_max);

class Transport {
 public:
  explicit Transport(UniqueFd fd) : fd_(std::move(fd)) {}
  // Errors of all three: unavailable, timeout.
  static Result<std::unique_ptr<Transport>> connect_tcp(const std::string& host, int port, Duration deadline);
  static Result<std::unique_ptr<Transport>> connect_unix(const std::string& path, Duration deadline);
  Result<void> start_tls(SSL_CTX* context, const std::string& host, bool verify, Duration deadline);

  // Some bytes; empty when the peer ended.
  Result<std::string> read_some(Duration deadline);
  Result<void> write(std::string_view bytes, Duration deadline);
  bool has_input();  // without waiting: bytes, or the end
  void shut_down();  // wakes whoever waits
  bool is_shut_down() const { return shut_down_; }

 private:
  Result<void> wait(short events, Duration deadline);
  Result<std::optional<int>> ssl_step(int result);  // the events to wait for; nothing: the peer ended

  UniqueFd fd_;
  std::mutex ssl_mutex_;  // an SSL object is not made for two threads, and a WebSocket has two
  SslPtr ssl_;
  std::atomic<bool> shut_down_ = false;
};

}  // namespace caisson::http
