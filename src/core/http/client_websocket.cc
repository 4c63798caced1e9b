// SPDX-License-Identifier: Apache-2.0
#include "core/http/client_websocket.h"

#include <algorithm>
#include <mutex>

#include "core/base/text.h"
#include "core/http/websocket_frames.h"

namespace caisson::http {
namespace {

constexpr Duration kWriteTimeMax = std::chrono::seconds(60);
constexpr Duration kRefusalTimeMax = std::chrono::seconds(5);

class ClientWebSocketImpl final : public ClientWebSocket {
 public:
  explicit ClientWebSocketImpl(std::unique_ptr<ClientConnection> connection) : connection_(std::move(connection)) {
    reader_.feed(connection_->take_unread());
  }
  ~ClientWebSocketImpl() override { ClientWebSocketImpl::close(); }

  Result<void> send(std::string_view data, bool binary) override {
    return write(binary ? Opcode::binary : Opcode::text, data);
  }

  Result<std::optional<Message>> receive() override {
    using Found = std::optional<Message>;
    for (;;) {
      auto next = reader_.next();
      if (!next.ok()) {
        end(websocket_close_code(next.error()));
        return Error{ErrorCode::unavailable, next.error().message};
      }
      std::optional<FrameReader::Item> item = std::move(next).value();
      if (!item) {
        auto bytes = connection_->transport().read_some(Duration::max());
        if (!bytes.ok()) {
          if (connection_->transport().is_shut_down()) return Found();
          return std::move(bytes).error();
        }
        if (bytes->empty()) {
          if (connection_->transport().is_shut_down()) return Found();
          return Error{ErrorCode::unavailable, "WebSocket: the connection ended without a close frame"};
        }
        reader_.feed(*bytes);
        continue;
      }
      switch (item->opcode) {
        case Opcode::ping:
          TRY(write(Opcode::pong, item->data));
          break;
        case Opcode::pong:
          break;
        case Opcode::close:
          end(1000);
          return Found();
        default:
          return Found(Message{item->opcode == Opcode::binary, std::move(item->data)});
      }
    }
  }

  void close() override { end(1000); }

 private:
  Result<void> write(Opcode opcode, std::string_view data) {
    const std::scoped_lock lock(write_mutex_);
    if (closed_) return Error{ErrorCode::unavailable, "WebSocket: closed"};
    return connection_->transport().write(websocket_frame(opcode, data, true), deadline_after(kWriteTimeMax));
  }

  void end(int code) {
    const std::scoped_lock lock(write_mutex_);
    if (std::exchange(closed_, true)) return;
    // A courtesy to a peer that may be gone already.
    [[maybe_unused]] const auto sent =
        connection_->transport().write(websocket_frame(Opcode::close, websocket_close_payload(code, ""), true),
                                       deadline_after(std::chrono::seconds(1)));
    connection_->transport().shut_down();
  }

  std::unique_ptr<ClientConnection> connection_;
  FrameReader reader_{false};
  std::mutex write_mutex_;
  bool closed_ = false;  // GUARDED_BY(write_mutex_)
};

ErrorCode code_of(int status) {
  switch (status) {
    case 400:
      return ErrorCode::bad_request;
    case 401:
      return ErrorCode::unauthorized;
    case 403:
      return ErrorCode::forbidden;
    case 404:
      return ErrorCode::not_found;
    case 409:
      return ErrorCode::conflict;
    default:
      return ErrorCode::unavailable;
  }
}

}  // namespace

Result<std::unique_ptr<ClientWebSocket>> make_client_websocket(std::unique_ptr<ClientConnection> connection,
                                                               const ResponseHead& head, const std::string& key,
                                                               const std::vector<std::string>& offered) {
  if (!header_has_token(head.headers, "Upgrade", "websocket") ||
      head.headers.get("Sec-WebSocket-Accept") != websocket_accept(key))
    return Error{ErrorCode::unavailable, "WebSocket: the server's answer does not accept our key"};
  const std::string chosen(head.headers.get("Sec-WebSocket-Protocol"));
  if (!chosen.empty() && std::find(offered.begin(), offered.end(), chosen) == offered.end())
    return Error{ErrorCode::unavailable,
                 "WebSocket: the server chose the subprotocol " + chosen + ", which was not offered"};
  auto out = std::make_unique<ClientWebSocketImpl>(std::move(connection));
  out->subprotocol = chosen;
  return std::unique_ptr<ClientWebSocket>(std::move(out));
}

Error refused_websocket(const ResponseHead& head, ClientConnection& connection) {
  std::string body;
  while (body.size() < 4096) {
    auto piece = connection.read_some(deadline_after(kRefusalTimeMax));
    if (!piece.ok() || piece->empty()) break;
    body += *piece;
  }
  std::string message = "WebSocket refused with " + std::to_string(head.status);
  if (!trim(body).empty()) message += ": " + std::string(trim(body));
  return Error{code_of(head.status), std::move(message)};
}

}  // namespace caisson::http
