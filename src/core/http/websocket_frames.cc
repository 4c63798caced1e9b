// SPDX-License-Identifier: Apache-2.0
#include "core/http/websocket_frames.h"

#include <openssl/evp.h>

#include "core/base/encoding.h"
#include "core/base/random.h"
#include "core/base/text.h"

namespace caisson::http {
namespace {

void apply_mask(std::string& payload, std::string_view key) {
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(payload[i] ^ key[i % 4]);
}

Error protocol_error(std::string_view what) {
  return Error{ErrorCode::bad_request, "WebSocket: " + std::string(what)};
}

}  // namespace

std::string websocket_frame(Opcode opcode, std::string_view payload, bool masked) {
  std::string out;
  out.reserve(payload.size() + 14);
  out.push_back(static_cast<char>(0x80 | static_cast<unsigned>(opcode)));
  const unsigned mask_bit = masked ? 0x80 : 0;
  if (payload.size() < 126) {
    out.push_back(static_cast<char>(mask_bit | payload.size()));
  } else if (payload.size() < 65536) {
    out.push_back(static_cast<char>(mask_bit | 126));
    out.push_back(static_cast<char>(payload.size() >> 8));
    out.push_back(static_cast<char>(payload.size() & 0xff));
  } else {
    out.push_back(static_cast<char>(mask_bit | 127));
    for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>((payload.size() >> shift) & 0xff));
  }
  if (!masked) return out.append(payload);
  const std::string key = random_bytes(4);
  std::string body(payload);
  apply_mask(body, key);
  return out.append(key).append(body);
}

std::string websocket_close_payload(int code, std::string_view reason) {
  std::string out;
  out.push_back(static_cast<char>(code >> 8));
  out.push_back(static_cast<char>(code & 0xff));
  std::size_t size = std::min<std::size_t>(reason.size(), 123);  // a control frame holds 125 bytes
  while (size > 0 && !is_valid_utf8(reason.substr(0, size))) --size;
  return out.append(reason.substr(0, size));
}

std::string websocket_accept(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr);
  return base64({reinterpret_cast<const char*>(digest), size});
}

Result<bool> FrameReader::take_frame(bool& fin, Opcode& opcode, std::string& payload) {
  const std::string_view in = std::string_view(buffer_).substr(position_);
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(in[i]); };
  if (in.size() < 2) return false;
  fin = (byte(0) & 0x80) != 0;
  if ((byte(0) & 0x70) != 0) return protocol_error("reserved bits are set");
  opcode = static_cast<Opcode>(byte(0) & 0x0f);
  if ((byte(1) & 0x80) != (masked_ ? 0x80 : 0))
    return protocol_error(masked_ ? "a client's frame without mask" : "a masked frame");
  std::uint64_t size = byte(1) & 0x7f;
  std::size_t at = 2;
  if (size >= 126) {
    const std::size_t bytes = size == 126 ? 2 : 8;
    if (in.size() < at + bytes) return false;
    size = 0;
    for (std::size_t i = 0; i < bytes; ++i) size = size << 8 | byte(at + i);
    at += bytes;
  }
  const bool control = static_cast<unsigned>(opcode) >= 8;
  if (control && (size > 125 || !fin)) return protocol_error("a control frame that is long or fragmented");
  const std::size_t assembled = message_ ? message_->data.size() : 0;
  if (size > message_bytes_max_ || assembled + size > message_bytes_max_)
    return Error{ErrorCode::too_large,
                 "WebSocket: a message larger than " + std::to_string(message_bytes_max_) + " bytes"};
  const std::string_view key = in.substr(at, masked_ ? 4 : 0);
  if (masked_) at += 4;
  if (in.size() < at + size) return false;
  payload = in.substr(at, size);
  if (masked_) apply_mask(payload, key);
  position_ += at + size;
  if (position_ > 65536 || position_ == buffer_.size()) {
    buffer_.erase(0, position_);
    position_ = 0;
  }
  return true;
}

Result<std::optional<FrameReader::Item>> FrameReader::next() {
  using Found = std::optional<Item>;
  for (;;) {
    bool fin = false;
    Opcode opcode{};
    std::string payload;
    const bool complete = TRY(take_frame(fin, opcode, payload));
    if (!complete) return Found();
    switch (opcode) {
      case Opcode::close:
        if (payload.size() == 1) return protocol_error("a close frame with half a code");
        return Found(Item{opcode, std::move(payload)});
      case Opcode::ping:
      case Opcode::pong:
        return Found(Item{opcode, std::move(payload)});
      case Opcode::text:
      case Opcode::binary:
        if (message_) return protocol_error("a new message inside a fragmented one");
        message_ = Item{opcode, std::move(payload)};
        break;
      case Opcode::continuation:
        if (!message_) return protocol_error("a continuation of nothing");
        message_->data.append(payload);
        break;
      default:
        return protocol_error("an unknown opcode");
    }
    if (!fin) continue;
    Found done = std::exchange(message_, std::nullopt);
    if (done->opcode == Opcode::text && !is_valid_utf8(done->data))
      return Error{ErrorCode::invalid, "WebSocket: a text message that is not UTF-8"};
    return done;
  }
}

int websocket_close_code(const Error& error) {
  if (error.code == ErrorCode::too_large) return 1009;
  return error.code == ErrorCode::invalid ? 1007 : 1002;
}

}  // namespace caisson::http
