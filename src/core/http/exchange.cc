// SPDX-License-Identifier: Apache-2.0
// The handler's side of a request: Exchange, Stream and WebSocket over a Transfer.
#include <atomic>
#include <charconv>

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "core/http/parser.h"
#include "core/http/transfer.h"

namespace caisson::http {
namespace {

std::string_view date_now() {
  static thread_local std::time_t last = 0;
  static thread_local char text[40];
  const std::time_t now = std::time(nullptr);
  if (now != last) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::snprintf(text, sizeof text, "%s, %02u %s %u %02u:%02u:%02u GMT", kDays[parts.tm_wday],
                  unsigned(parts.tm_mday) % 100, kMonths[parts.tm_mon], (unsigned(parts.tm_year) + 1900) % 10000,
                  unsigned(parts.tm_hour) % 100, unsigned(parts.tm_min) % 100, unsigned(parts.tm_sec) % 100);
    last = now;
  }
  return text;
}

// A line break inside a header would be a second header of the caller's data's choosing.
void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  for (const char c : value) out.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
  out.append("\r\n");
}

std::string head_text(int status, const Headers& headers, bool keep_alive, bool is_http10) {
  std::string out;
  out.reserve(256);
  out.append("HTTP/1.1 ").append(std::to_string(status)).append(" ").append(reason_phrase(status)).append("\r\n");
  append_field(out, "Date", date_now());
  for (const auto& [name, value] : headers.fields()) {
    if (equals_ignoring_case(name, "Content-Length") || equals_ignoring_case(name, "Transfer-Encoding") ||
        equals_ignoring_case(name, "Connection") || equals_ignoring_case(name, "Date"))
      continue;  // framing is ours
    append_field(out, name, value);
  }
  if (status != 101 && !keep_alive) out.append("Connection: close\r\n");
  if (status != 101 && keep_alive && is_http10) out.append("Connection: keep-alive\r\n");
  return out;
}

bool has_no_body(int status) {
  return status < 200 || status == 204 || status == 304;
}

class StreamImpl final : public Stream {
 public:
  StreamImpl(std::shared_ptr<Transfer> transfer, bool chunked, std::optional<std::uint64_t> length, bool silent)
      : transfer_(std::move(transfer)), chunked_(chunked), length_(length), silent_(silent) {}
  ~StreamImpl() override { StreamImpl::finish(); }

  Result<void> write(std::string_view bytes) override { return put(bytes, &Transfer::send_now); }
  Result<void> write_blocking(std::string_view bytes) override { return put(bytes, &Transfer::send_blocking); }
  bool closed() const override { return transfer_->is_closed(); }
  void on_close(std::function<void()> call) override { transfer_->set_on_close(std::move(call)); }
  void finish() override {
    if (finished_.exchange(true)) return;
    if (length_ && !silent_ && written_ != *length_)
      return transfer_->abort();  // the client must not take it for whole
    if (chunked_ && !silent_) {
      // Fails only when the client is gone, and then nobody is left to tell.
      [[maybe_unused]] const auto sent = transfer_->send("0\r\n\r\n", true);
      return;
    }
    transfer_->finish();
  }
  void abort() override {
    finished_ = true;
    transfer_->abort();
  }

 private:
  Result<void> put(std::string_view bytes, Result<void> (Transfer::*send)(std::string_view)) {
    if (bytes.empty()) return {};
    if (finished_) return Error{ErrorCode::internal, "write to a finished stream"};
    if (silent_) return {};
    if (!chunked_) {
      if (length_ && written_ + bytes.size() > *length_)
        return Error{ErrorCode::internal, "more bytes than the announced length"};
      TRY(((*transfer_).*send)(bytes));
      written_ += bytes.size();
      return {};
    }
    char size[20];
    char* const end = std::to_chars(size, size + sizeof size, bytes.size(), 16).ptr;
    std::string chunk;
    chunk.reserve(bytes.size() + 24);
    chunk.append(size, end).append("\r\n").append(bytes).append("\r\n");
    return ((*transfer_).*send)(chunk);
  }

  const std::shared_ptr<Transfer> transfer_;
  const bool chunked_;
  const std::optional<std::uint64_t> length_;
  const bool silent_;  // a HEAD request: the head is all
  std::atomic<std::uint64_t> written_ = 0;
  std::atomic<bool> finished_ = false;
};

class WebSocketImpl final : public WebSocket {
 public:
  explicit WebSocketImpl(std::shared_ptr<Transfer> transfer) : transfer_(std::move(transfer)) {}
  ~WebSocketImpl() override { transfer_->close_websocket(1000, ""); }
  Result<void> send(std::string_view data, bool binary) override {
    return transfer_->send_frame(binary ? Opcode::binary : Opcode::text, data);
  }
  void on_message(std::function<void(Message)> call) override { transfer_->set_on_message(std::move(call)); }
  void on_close(std::function<void()> call) override { transfer_->set_on_close(std::move(call)); }
  void close(int code, std::string_view reason) override { transfer_->close_websocket(code, reason); }

 private:
  const std::shared_ptr<Transfer> transfer_;
};

class ExchangeImpl final : public Exchange {
 public:
  explicit ExchangeImpl(std::shared_ptr<Transfer> transfer) : transfer_(std::move(transfer)) {}
  ~ExchangeImpl() override {
    if (!transfer_->begin_answer()) return;
    answer(Response{500, {{"Content-Type", "text/plain; charset=utf-8"}}, "the request was not answered\n"});
  }

  Result<std::string> read_body(std::size_t size_bytes_max) override {
    std::string whole;
    for (;;) {
      std::string piece = TRY(transfer_->take_body());
      if (piece.empty()) return whole;
      if (whole.size() + piece.size() > size_bytes_max)
        return Error{ErrorCode::too_large,
                     "the request body is larger than " + std::to_string(size_bytes_max) + " bytes"};
      if (whole.empty())
        whole = std::move(piece);
      else
        whole.append(piece);
    }
  }
  Result<std::string> read_some() override { return transfer_->take_body(); }

  void respond(Response response) override {
    if (transfer_->begin_answer()) answer(std::move(response));
  }

  void respond_in_pieces(Response head, std::uint64_t length, Pieces next) override {
    if (!transfer_->begin_answer()) return;
    std::string out = begin(head, length);
    const bool more = !is_bare(head.status) && next(out);
    [[maybe_unused]] const auto sent = transfer_->send_last(std::move(out), more ? std::move(next) : Pieces());
  }

  std::shared_ptr<Stream> stream(int status, Headers headers, std::optional<std::uint64_t> length) override {
    const bool first = transfer_->begin_answer();
    const bool chunked = !length && !transfer_->is_http10;
    const bool silent = transfer_->is_head || has_no_body(status);
    auto out = std::make_shared<StreamImpl>(transfer_, chunked, length, silent || !first);
    if (!first) return out;
    const bool keep_alive = keeps_alive() && (chunked || length);
    std::string head = head_text(status, headers, keep_alive, transfer_->is_http10);
    if (length)
      append_field(head, "Content-Length", std::to_string(*length));
    else if (chunked && !has_no_body(status))
      append_field(head, "Transfer-Encoding", "chunked");
    head.append("\r\n");
    {
      const std::scoped_lock lock(transfer_->mutex);
      transfer_->close_after = !keep_alive;
      transfer_->streaming = true;
      transfer_->sized = length.has_value();
    }
    // An error means the client is gone; the stream's writes will say so.
    [[maybe_unused]] const auto sent = transfer_->send(head, false);
    return out;
  }

  Result<std::shared_ptr<WebSocket>> websocket(std::string_view subprotocol) override {
    const std::string_view key = headers.get("Sec-WebSocket-Key");
    const auto nonce = unbase64(key);
    if (method != "GET" || !header_has_token(headers, "Connection", "upgrade") ||
        !header_has_token(headers, "Upgrade", "websocket") || !nonce.ok() || nonce->size() != 16)
      return Error{ErrorCode::bad_request, "not a WebSocket request (RFC 6455)"};
    if (headers.get("Sec-WebSocket-Version") != "13")
      return Error{ErrorCode::bad_request, "only version 13 of WebSocket is spoken here"};
    if (!subprotocol.empty() && !header_has_token(headers, "Sec-WebSocket-Protocol", subprotocol))
      return Error{ErrorCode::bad_request, "the client does not offer the subprotocol " + std::string(subprotocol)};
    if (!transfer_->begin_answer()) return Error{ErrorCode::internal, "the request was answered before"};
    Headers accept{{"Upgrade", "websocket"}, {"Sec-WebSocket-Accept", websocket_accept(key)}};
    if (!subprotocol.empty()) accept.add("Sec-WebSocket-Protocol", subprotocol);
    const std::string head = head_text(101, accept, true, false) + "Connection: Upgrade\r\n\r\n";
    {
      const std::scoped_lock lock(transfer_->mutex);
      transfer_->is_websocket = true;
    }
    TRY(transfer_->send(head, false));
    return std::shared_ptr<WebSocket>(std::make_shared<WebSocketImpl>(transfer_));
  }

 private:
  // A client that waits for 100 Continue may or may not send its body after our answer: only a new connection is sure.
  bool keeps_alive() {
    const std::scoped_lock lock(transfer_->mutex);
    return transfer_->keep_alive && !transfer_->expects_continue && !transfer_->body_error;
  }

  bool is_bare(int status) const { return transfer_->is_head || has_no_body(status); }

  // The head of an answer whose body has `length` bytes.
  std::string begin(const Response& response, std::uint64_t length) {
    const bool keep_alive = keeps_alive();
    std::string out = head_text(response.status, response.headers, keep_alive, transfer_->is_http10);
    // A HEAD's length is that of the body that GET would give, which the handler may know without having it.
    const std::string_view told = response.headers.get("Content-Length");
    if (is_bare(response.status) && !told.empty())
      append_field(out, "Content-Length", told);
    else if (!has_no_body(response.status))
      append_field(out, "Content-Length", std::to_string(length));
    out.append("\r\n");
    const std::scoped_lock lock(transfer_->mutex);
    transfer_->close_after = !keep_alive;
    return out;
  }

  void answer(Response response) {
    std::string out = begin(response, response.body.size());
    if (!is_bare(response.status)) {
      response.body.insert(0, out);
      out = std::move(response.body);
    }
    [[maybe_unused]] const auto sent = transfer_->send_last(std::move(out));  // an error: nobody is left to answer
  }

  const std::shared_ptr<Transfer> transfer_;
};

}  // namespace

void Exchange::respond_in_pieces(Response head, std::uint64_t length, Pieces next) {
  head.body.reserve(length);
  while (next(head.body)) {
  }
  respond(std::move(head));
}

ExchangePtr make_exchange(std::shared_ptr<Transfer> transfer) {
  return std::make_shared<ExchangeImpl>(std::move(transfer));
}

}  // namespace caisson::http
