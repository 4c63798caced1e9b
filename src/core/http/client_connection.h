// SPDX-License-Identifier: Apache-2.0
// One client connection speaking HTTP/1.1: requests out, response heads and bodies in. Internal to the room. One thread
// at a time, but for `transport().shut_down()`.
#pragma once
#include <memory>
#include <string>

#include "core/http/client.h"
#include "core/http/parser.h"
#include "core/http/transport.h"

namespace caisson::http {

class ClientConnection {
 public:
  explicit ClientConnection(std::unique_ptr<Transport> transport) : transport_(std::move(transport)) {}

  // Sends the request, whose line is `target`, and reads the response's head (1xx are skipped).
  // Errors: unavailable, timeout; `got_nothing()` then tells whether the server can have said anything.
  Result<ResponseHead> exchange(const Request& request, const std::string& head, Duration deadline);
  bool got_nothing() const { return got_nothing_; }

  // The body of the last response, piece by piece; empty at the end.
  Result<std::string> read_some(Duration deadline);
  bool body_done() const { return decoder_.done(); }
  bool reusable() const { return reusable_ && body_done() && in_.empty(); }
  std::string take_unread() { return std::exchange(in_, {}); }  // after 101: the first frames
  Transport& transport() { return *transport_; }
  std::unique_ptr<Transport> take_transport() { return std::move(transport_); }
  // Fit for another request: the server has neither closed it nor said something unasked.
  bool is_fresh() { return reusable() && !transport_->has_input(); }
  Duration idle_since{};

 private:
  Result<void> send(const Request& request, const std::string& head, Duration deadline);
  Result<void> send_source(const Request& request, Duration deadline);
  Result<ResponseHead> read_head(const Request& request, Duration deadline);

  std::unique_ptr<Transport> transport_;
  std::string in_;
  BodyDecoder decoder_;
  bool reusable_ = true, got_nothing_ = true, stopped_sending_ = false, saw_end_ = false, source_failed_ = false;
};

}  // namespace caisson::http
