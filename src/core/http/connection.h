// SPDX-License-Identifier: Apache-2.0
// One accepted connection: handshake, requests one after the other (pipelined ones wait), WebSocket frames, deadlines.
// Internal to the room.
//
// Threads: it lives on the loop's thread; handlers reach it through the Transfer of their request, those of short
// requests (ShortTest) too, which run on the loop's thread while `mutex_` is held. The one exception is
// answer_here, by which a handler's thread writes a whole answer out itself. `mutex_` is held by whoever is at work
// here: the loop waits for it, a handler never does.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "core/http/loop.h"
#include "core/http/openssl.h"
#include "core/http/parser.h"
#include "core/http/server.h"
#include "core/http/transfer.h"
#include "core/http/websocket_frames.h"

namespace caisson::http {

// What all connections of a server share.
struct ServerShared {
  ServerOptions options;
  std::shared_ptr<Loop> loop;
  std::function<void(std::function<void()>)> dispatch;  // runs a handler on a worker
  std::size_t connections = 0;                          // loop's thread
  int short_requests = 0;                               // handled in this round of the loop; loop's thread
  std::atomic<bool> closing = false;
};

// What a listener does with requests.
struct Service {
  Handler handle;
  ShortTest is_short;  // may be null
};

class Connection : public Watched, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<ServerShared> shared, std::shared_ptr<const Service> service, UniqueFd fd, SslPtr ssl,
             Peer peer);
  ~Connection() override;
  void start();  // registers with the loop
  void on_events(std::uint32_t events) override;
  void on_deadline() override;
  void on_transfer(const std::shared_ptr<Transfer>& transfer);  // something changed there
  void end();                                                   // closes it at once
  // On a handler's thread: takes the last bytes of the answer and writes what the socket takes, without the loop. False
  // (and `bytes` as they were) when somebody else is at work here or something waits before them.
  bool answer_here(const std::shared_ptr<Transfer>& transfer, std::string& bytes);

 private:
  // head: waiting for a request; body: its body is coming; answer: whole request is here, the response is not out yet;
  // drain: answered early, the rest of the body is thrown away; websocket; linger: all said, waiting for the peer to
  // close.
  enum class State { handshake, head, body, answer, drain, websocket, linger, closed };
  enum class Io { done, again, ended };
  using Lock = std::scoped_lock<std::mutex>;

  void close();
  void handshake();
  void read_peer_certificate();
  bool fill();  // reads what is there into in_; false when the connection ended
  Io read_once(std::size_t& count);
  bool may_have_more(std::size_t count) const;
  void process();
  bool process_head();  // these give false when more bytes (or an answer) are needed
  bool process_body();
  bool process_websocket();
  void begin_request(RequestHead head, const Framing& framing);
  void hand_over(ExchangePtr exchange);  // to the handler
  void refuse(int status, std::string_view message);
  void fail_request(const Error& error);
  void on_websocket_item(FrameReader::Item item);
  void flush();
  Io write_out();     // until out_ is written, or the socket takes no more
  bool take_piece();  // of an answer in pieces; false when there is none
  bool write_some();  // the same; false when the connection ended
  void after_write();
  void end_exchange(bool close_after);
  void begin_linger(Duration time_max);
  void on_peer_eof();
  void update_interest();
  bool wants_bytes() const;
  void set_deadline(Duration from_now);

  const std::shared_ptr<ServerShared> shared_;
  const std::shared_ptr<const Service> service_;
  std::mutex mutex_;
  UniqueFd fd_;
  SslPtr ssl_;
  Peer peer_;
  std::uint64_t id_ = 0;
  State state_ = State::handshake;
  std::uint32_t interest_ = 0;
  bool peer_eof_ = false, write_blocked_ = false, ssl_wants_write_ = false, broken_ = false, processing_ = false;

  std::string in_;           // read, not yet understood
  std::size_t scanned_ = 0;  // of in_, for the end of a head
  std::string out_;          // taken from the transfer, not yet written
  std::size_t out_at_ = 0;
  Duration answered_at_{};  // by answer_here, which may not move the deadline
  BodyDecoder decoder_;
  std::uint64_t drained_bytes_ = 0;
  std::shared_ptr<Transfer> transfer_;
  std::unique_ptr<FrameReader> frames_;
  bool close_received_ = false;
};

}  // namespace caisson::http
