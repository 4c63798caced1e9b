// SPDX-License-Identifier: Apache-2.0
// One accepted connection: handshake, requests one after the other (pipelined ones wait), WebSocket frames, deadlines.
// Lives on the loop's thread only; handlers reach it through the Transfer of their request. Internal to the room.
#pragma once
#include <memory>
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
  bool closing = false;                                 // loop's thread
};

class Connection : public Watched, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<ServerShared> shared, std::shared_ptr<const Handler> handler, UniqueFd fd, SslPtr ssl,
             Peer peer);
  ~Connection() override;
  void start();  // registers with the loop
  void on_events(std::uint32_t events) override;
  void on_deadline() override;
  void on_transfer(const std::shared_ptr<Transfer>& transfer);  // something changed there
  void close();

 private:
  // head: waiting for a request; body: its body is coming; answer: whole request is here, the response is not out yet;
  // drain: answered early, the rest of the body is thrown away; websocket; linger: all said, waiting for the peer to
  // close.
  enum class State { handshake, head, body, answer, drain, websocket, linger, closed };
  enum class Io { done, again, ended };

  void handshake();
  void read_peer_certificate();
  bool fill();  // reads what is there into in_; false when the connection ended
  Io read_once(std::size_t& count);
  void process();
  bool process_head();  // these give false when more bytes (or an answer) are needed
  bool process_body();
  bool process_websocket();
  void begin_request(RequestHead head, const Framing& framing);
  void refuse(int status, std::string_view message);
  void fail_request(const Error& error);
  void on_websocket_item(FrameReader::Item item);
  void flush();
  bool write_some();  // false when the connection ended
  void after_write();
  void end_exchange(bool close_after);
  void begin_linger(Duration time_max);
  void on_peer_eof();
  void update_interest();
  bool wants_bytes() const;
  void set_deadline(Duration from_now);

  const std::shared_ptr<ServerShared> shared_;
  const std::shared_ptr<const Handler> handler_;
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
  BodyDecoder decoder_;
  std::uint64_t drained_bytes_ = 0;
  std::shared_ptr<Transfer> transfer_;
  std::unique_ptr<FrameReader> frames_;
  bool close_received_ = false;
};

}  // namespace caisson::http
