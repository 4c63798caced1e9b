// SPDX-License-Identifier: Apache-2.0
#include "core/http/transfer.h"

#include "core/http/connection.h"

namespace caisson::http {
namespace {
Error client_gone() {
  return Error{ErrorCode::unavailable, "the client closed the connection"};
}
}  // namespace

void Transfer::wake_loop() {
  {
    const std::scoped_lock lock(mutex);
    if (wake_posted || closed) return;
    wake_posted = true;
  }
  loop->post([self = shared_from_this()] {
    {
      const std::scoped_lock lock(self->mutex);
      self->wake_posted = false;
    }
    if (const auto watched = self->loop->find(self->connection)) static_cast<Connection&>(*watched).on_transfer(self);
  });
}

Result<std::string> Transfer::take_body() {
  std::unique_lock lock(mutex);
  if (expects_continue && body.empty() && !body_ended && !closed && !answered) {
    expects_continue = false;
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    out += kContinue;
    queued(kContinue.size());
    lock.unlock();
    wake_loop();
    lock.lock();
  }
  changed.wait(lock, [this] { return !body.empty() || body_ended || body_error || closed; });
  if (!body.empty()) {
    std::string taken = std::exchange(body, {});
    const bool more = !body_ended && !body_error;
    lock.unlock();
    if (more && taken.size() >= kBodyBufferBytes / 2) wake_loop();  // reading may have paused
    return taken;
  }
  if (body_error) return *body_error;
  if (body_ended) return std::string();
  return client_gone();
}

Result<void> Transfer::send(std::string_view bytes, bool last) {
  {
    const std::scoped_lock lock(mutex);
    if (closed || aborted || finished || (is_websocket && close_sent)) return client_gone();
    const bool crowded = unsent > kQueuedBytesShare && loop->queued_bytes > kQueuedBytesTotal;
    if (unsent > 0 && !last && (crowded || unsent + bytes.size() > queued_bytes_max))
      return Error{ErrorCode::too_many_requests, "the client reads too slowly: its queue is full"};
    out.append(bytes);
    queued(bytes.size());
    finished = last;
  }
  wake_loop();
  return {};
}

Result<void> Transfer::send_last(std::string bytes, Pieces pieces) {
  {
    const std::scoped_lock lock(mutex);
    if (closed || aborted || finished || (is_websocket && close_sent)) return client_gone();
    source = std::move(pieces);
  }
  // A dropped request may be answered on the loop's thread, which holds its connection.
  const auto here = loop->on_loop_thread() ? nullptr : peer.lock();
  if (here && here->answer_here(shared_from_this(), bytes)) return {};
  {
    const std::scoped_lock lock(mutex);
    if (closed) return client_gone();
    queued(bytes.size());
    finished = !source;
    if (out.empty())
      out = std::move(bytes);
    else
      out.append(bytes);
  }
  wake_loop();
  return {};
}

Result<void> Transfer::send_blocking(std::string_view bytes) {
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return closed || aborted || finished || unsent <= unsent_max(); });
    if (closed || aborted || finished) return client_gone();
    out.append(bytes);
    queued(bytes.size());
  }
  wake_loop();
  return {};
}

bool Transfer::begin_answer() {
  const std::scoped_lock lock(mutex);
  return !std::exchange(answered, true);
}

void Transfer::finish() {
  {
    const std::scoped_lock lock(mutex);
    if (std::exchange(finished, true)) return;
  }
  wake_loop();
}

void Transfer::abort() {
  {
    const std::scoped_lock lock(mutex);
    if (std::exchange(aborted, true)) return;
  }
  changed.notify_all();
  wake_loop();
}

bool Transfer::is_closed() {
  const std::scoped_lock lock(mutex);
  return closed || aborted;
}

bool Transfer::ends_connection() {
  const std::scoped_lock lock(mutex);
  return close_after;
}

void Transfer::set_on_close(std::function<void()> call) {
  {
    const std::scoped_lock lock(mutex);
    if (!closed) {
      on_close = std::move(call);
      return;
    }
  }
  call();
}

void Transfer::set_on_message(std::function<void(WebSocket::Message)> call) {
  loop->post([self = shared_from_this(), call = std::move(call)]() mutable {
    std::deque<WebSocket::Message> early;
    {
      const std::scoped_lock lock(self->mutex);
      early.swap(self->messages);
      self->message_bytes = 0;
      if (!self->closed) self->on_message = call;
    }
    for (WebSocket::Message& message : early) call(std::move(message));
    self->wake_loop();  // reading may have paused
  });
}

Result<void> Transfer::send_frame(Opcode opcode, std::string_view payload) {
  return send(websocket_frame(opcode, payload, false), false);
}

void Transfer::close_websocket(int code, std::string_view reason) {
  {
    const std::scoped_lock lock(mutex);
    if (closed || std::exchange(close_sent, true)) return;
    const std::string frame = websocket_frame(Opcode::close, websocket_close_payload(code, reason), false);
    out += frame;
    queued(frame.size());
  }
  wake_loop();
}

void Transfer::give_body(std::string&& bytes, bool ended) {
  {
    const std::scoped_lock lock(mutex);
    if (body.empty())
      body = std::move(bytes);
    else
      body.append(bytes);
    body_ended = ended;
  }
  changed.notify_all();
}

void Transfer::fail_body(Error error) {
  {
    const std::scoped_lock lock(mutex);
    if (body_ended || body_error) return;
    body_error = std::move(error);
  }
  changed.notify_all();
}

bool Transfer::body_is_full() {
  const std::scoped_lock lock(mutex);
  return body.size() >= kBodyBufferBytes;
}

void Transfer::deliver(WebSocket::Message message) {
  std::function<void(WebSocket::Message)> call;
  {
    const std::scoped_lock lock(mutex);
    if (!on_message) {
      message_bytes += message.data.size() + sizeof message;
      messages.push_back(std::move(message));
      return;
    }
    call = on_message;
  }
  call(std::move(message));
}

bool Transfer::messages_are_full() {
  const std::scoped_lock lock(mutex);
  return message_bytes >= kBodyBufferBytes;
}

void Transfer::queued(std::size_t bytes) {
  unsent += bytes;
  loop->queued_bytes += bytes;
}

bool Transfer::pull(std::string& bytes) {
  Pieces next;
  {
    const std::scoped_lock lock(mutex);
    if (!source || closed) return false;
    next.swap(source);
  }
  const bool more = next(bytes);
  const std::scoped_lock lock(mutex);
  queued(bytes.size());
  if (more)
    source.swap(next);
  else
    finished = true;
  return true;
}

void Transfer::sent(std::size_t bytes) {
  bool below = false;
  {
    const std::scoped_lock lock(mutex);
    unsent -= bytes;
    loop->queued_bytes -= bytes;
    below = unsent <= unsent_max();
  }
  if (below) changed.notify_all();
}

void Transfer::close() {
  std::function<void()> call;
  std::function<void(WebSocket::Message)> dropped;  // its captures may end what holds this: not under the lock
  Pieces unread;
  {
    const std::scoped_lock lock(mutex);
    if (std::exchange(closed, true)) return;
    loop->queued_bytes -= std::exchange(unsent, 0);
    if (!body_ended && !body_error) body_error = Error{ErrorCode::bad_request, "the request body was cut off"};
    call.swap(on_close);
    dropped.swap(on_message);
    unread.swap(source);
    out.clear();
  }
  changed.notify_all();
  if (call) call();
}

}  // namespace caisson::http
