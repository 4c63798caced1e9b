// SPDX-License-Identifier: Apache-2.0
#include "core/http/client_connection.h"

#include <cstdio>

namespace caisson::http {
namespace {
constexpr std::size_t kResponseHeadBytesMax = 256u << 10;
}

Result<void> ClientConnection::send_source(const Request& request, Duration deadline) {
  const bool chunked = !request.headers.contains("Content-Length");
  for (;;) {
    if (transport_->has_input()) {  // the server answers before it has it all: an error, most likely
      stopped_sending_ = true;
      return {};
    }
    auto next = request.body_source();
    source_failed_ = !next.ok();
    const std::string piece = TRY(std::move(next).in("request body"));
    if (piece.empty()) break;
    if (!chunked) {
      TRY(transport_->write(piece, deadline));
      continue;
    }
    char size[20];
    const int count = std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    TRY(transport_->write(std::string(size, static_cast<std::size_t>(count)) + piece + "\r\n", deadline));
  }
  if (chunked) TRY(transport_->write("0\r\n\r\n", deadline));
  return {};
}

Result<void> ClientConnection::send(const Request& request, const std::string& head, Duration deadline) {
  if (request.body_source) {
    TRY(transport_->write(head, deadline));
    return send_source(request, deadline);
  }
  // Small bodies leave with the head in one write; big ones are not copied for it.
  if (request.body.size() <= (64u << 10)) return transport_->write(head + request.body, deadline);
  TRY(transport_->write(head, deadline));
  return transport_->write(request.body, deadline);
}

Result<ResponseHead> ClientConnection::read_head(const Request& request, Duration deadline) {
  std::size_t scanned = 0;
  for (;;) {
    const HeadEnd end = find_head_end(in_, scanned);
    if (end.state == HeadEnd::State::malformed)
      return Error{ErrorCode::unavailable, "malformed HTTP response: a line without CRLF"};
    if (end.state == HeadEnd::State::complete) {
      ResponseHead head = TRY(parse_response_head(std::string_view(in_).substr(0, end.size)));
      in_.erase(0, end.size);
      scanned = 0;
      if (head.status < 200 && head.status != 101) continue;
      const Framing framing = TRY(response_framing(head, request.method == "HEAD"));
      decoder_ = BodyDecoder(framing);
      reusable_ = !stopped_sending_ && head.status != 101 && !decoder_.ends_with_connection() &&
                  wants_keep_alive(head.minor, head.headers);
      return head;
    }
    scanned = in_.size();
    if (in_.size() > kResponseHeadBytesMax)
      return Error{ErrorCode::too_large, "the response head is larger than 256 KiB"};
    const std::string piece = TRY(transport_->read_some(deadline));
    if (piece.empty()) return Error{ErrorCode::unavailable, "the server closed the connection without an answer"};
    got_nothing_ = false;
    in_ += piece;
  }
}

Result<ResponseHead> ClientConnection::exchange(const Request& request, const std::string& head, Duration deadline) {
  got_nothing_ = true;
  reusable_ = false;
  stopped_sending_ = false;
  const Result<void> sent = send(request, head, deadline);
  if (!sent.ok()) {
    if (source_failed_ || sent.error().code != ErrorCode::unavailable) return sent.error();
    // The server may have answered and closed while we were sending: its answer says more than our broken pipe.
    stopped_sending_ = true;
    auto early = read_head(request, deadline);
    if (early.ok()) return early;
    return sent.error();
  }
  return read_head(request, deadline);
}

Result<std::string> ClientConnection::read_some(Duration deadline) {
  std::string content;
  while (content.empty() && !decoder_.done() && !saw_end_) {
    if (in_.empty()) {
      in_ = TRY(transport_->read_some(deadline));
      if (in_.empty()) {
        if (!decoder_.ends_with_connection()) {
          reusable_ = false;
          return Error{ErrorCode::unavailable, "the response was cut off"};
        }
        saw_end_ = true;
        break;
      }
    }
    auto used = decoder_.decode(in_, content);
    if (!used.ok()) {
      reusable_ = false;
      return Error{ErrorCode::unavailable, "malformed HTTP response: " + used.error().message};
    }
    in_.erase(0, *used);
  }
  return content;
}

}  // namespace caisson::http
