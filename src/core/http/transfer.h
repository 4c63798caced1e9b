// SPDX-License-Identifier: Apache-2.0
// Transfer: what the loop and the threads of a handler share about one request: body bytes on their way in, response
// bytes on their way out, callbacks. It outlives both sides; a late writer to an ended transfer hears `unavailable`.
// Internal to the room.
//
// Threads: any; `mutex` guards all that is not const. Callbacks run without it.
#pragma once
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/http/loop.h"
#include "core/http/server.h"
#include "core/http/websocket_frames.h"

namespace caisson::http {

class Connection;

class Transfer : public std::enable_shared_from_this<Transfer> {
 public:
  Transfer(std::shared_ptr<Loop> loop, std::uint64_t connection, std::weak_ptr<Connection> peer,
           std::size_t queued_bytes_max)
      : loop(std::move(loop)), connection(connection), peer(std::move(peer)), queued_bytes_max(queued_bytes_max) {}

  const std::shared_ptr<Loop> loop;
  const std::uint64_t connection;  // its id in the loop
  const std::weak_ptr<Connection> peer;
  const std::size_t queued_bytes_max;
  // Set by the connection before any other thread sees this.
  bool keep_alive = true, is_head = false, is_http10 = false, expects_continue = false;

  // --- the handler's side
  Result<std::string> take_body();  // empty at the end
  // Queues bytes; `last` ends the response.
  Result<void> send(std::string_view bytes, bool last);
  // The last bytes: written by this thread when that can be, else moved where nothing waits before them, so that an
  // answer of many megabytes is not copied.
  // With `source` they are the first ones, and it gives the others.
  Result<void> send_last(std::string bytes, Pieces source = {});
  Result<void> send_now(std::string_view bytes) { return send(bytes, false); }
  Result<void> send_blocking(std::string_view bytes);
  bool begin_answer();  // false when it was answered before
  void finish();
  void abort();
  bool is_closed();
  bool ends_connection();  // with this response
  void set_on_close(std::function<void()> call);
  void set_on_message(std::function<void(WebSocket::Message)> call);
  Result<void> send_frame(Opcode opcode, std::string_view payload);
  void close_websocket(int code, std::string_view reason);
  void wake_loop();  // has the connection look at this again

  // --- the loop's side
  void give_body(std::string&& bytes, bool ended);
  void fail_body(Error error);
  bool body_is_full();
  void deliver(WebSocket::Message message);
  bool messages_are_full();
  void sent(std::size_t bytes);
  // The next piece of the source, appended to the empty `bytes`; false when there is none. With the connection's lock.
  bool pull(std::string& bytes);
  void close();                    // the connection is gone: wakes and tells everyone
  void queued(std::size_t bytes);  // `mutex` is held
  // How much waits when a producer that can wait goes on: more would only be memory.
  std::size_t unsent_max() const { return std::min<std::size_t>(queued_bytes_max / 2, 1u << 20); }

  std::mutex mutex;
  std::condition_variable changed;
  // request body
  std::string body;
  bool body_ended = false;
  std::optional<Error> body_error;
  // response
  std::string out;         // not yet taken by the loop
  Pieces source;           // what comes after `out`
  std::size_t unsent = 0;  // out, and what the loop holds; counted in loop->queued_bytes until closed
  bool answered = false, finished = false, aborted = false, closed = false, wake_posted = false;
  bool close_after = false;               // the connection ends with this response
  bool streaming = false, sized = false;  // a Stream is open; it told its length
  // WebSocket
  bool is_websocket = false, close_sent = false;
  std::deque<WebSocket::Message> messages;  // that came before on_message was set
  std::size_t message_bytes = 0;
  std::function<void(WebSocket::Message)> on_message;
  std::function<void()> on_close;
};

// Of all answers of a server together. Above it a stream that has more than its share waiting is slow, and refused.
inline constexpr std::size_t kQueuedBytesTotal = 256u << 20;
inline constexpr std::size_t kQueuedBytesShare = 256u << 10;
inline constexpr std::size_t kBodyBufferBytes = 256u << 10;  // of an upload that nobody has read yet

ExchangePtr make_exchange(std::shared_ptr<Transfer> transfer);

}  // namespace caisson::http
