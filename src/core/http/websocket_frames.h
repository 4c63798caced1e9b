// SPDX-License-Identifier: Apache-2.0
// WebSocket framing (RFC 6455 §5) without sockets: bytes to frames to messages, and back. One thread at a time.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::http {

enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

inline constexpr std::size_t kWebSocketMessageBytesMax = 32u << 20;

// One whole frame. A client masks (RFC 6455 §5.3), a server must not.
std::string websocket_frame(Opcode opcode, std::string_view payload, bool masked);
std::string websocket_close_payload(int code, std::string_view reason);
// Sec-WebSocket-Accept for Sec-WebSocket-Key.
std::string websocket_accept(std::string_view key);

class FrameReader {
 public:
  struct Item {
    Opcode opcode;  // text or binary: a whole message; close, ping, pong
    std::string data;
  };
  explicit FrameReader(bool masked, std::size_t message_bytes_max = kWebSocketMessageBytesMax)
      : masked_(masked), message_bytes_max_(message_bytes_max) {}
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  // The next item, or nothing while it is incomplete. Errors (the connection must end): bad_request (code 1002),
  // invalid (1007, text that is not UTF-8), too_large (1009).
  Result<std::optional<Item>> next();

 private:
  Result<bool> take_frame(bool& fin, Opcode& opcode, std::string& payload);

  const bool masked_;
  const std::size_t message_bytes_max_;
  std::string buffer_;
  std::size_t position_ = 0;
  std::optional<Item> message_;  // being assembled from fragments
};
// The close code that an error of next() asks for.
int websocket_close_code(const Error& error);

}  // namespace caisson::http
