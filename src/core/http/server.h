// SPDX-License-Identifier: Apache-2.0
// The HTTP server: HTTP/1.1 with TLS 1.2+, keep-alive, streaming both ways, WebSocket (RFC 6455), limits on everything
// a client can make big or slow. One epoll loop thread per server group, handlers on a worker pool; a stream (watch,
// logs -f, exec) holds no thread.
//
// Threads: a handler runs on a worker and may block; of requests that a ShortTest names it runs on the loop's thread
// and may not. Exchange, Stream and WebSocket may be used from any thread.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/http/message.h"

namespace caisson::http {

// The peer of a connection, as far as it is known.
struct Peer {
  std::string address;  // "127.0.0.1", or "unix"
  int port = 0;
  bool tls = false;
  std::string certificate_common_name;  // of a client certificate that the CA of ServerOptions signed; "" otherwise
  std::vector<std::string> certificate_organizations;
  int unix_uid = -1;  // SO_PEERCRED on a unix socket
};

// Bytes that go out as they are written, chunked unless a length was given. write never blocks: it queues, up to a
// limit.
class Stream {
 public:
  virtual ~Stream() = default;  // ends the body
  // Errors: unavailable when the client is gone; too_many_requests when `queued_bytes_max` is exceeded (the client is
  // slow: close).
  virtual Result<void> write(std::string_view bytes) = 0;
  // Waits until at most a MiB (or half of the queue) is unsent: for blocking producers on a worker.
  virtual Result<void> write_blocking(std::string_view bytes) = 0;
  virtual bool closed() const = 0;
  virtual void on_close(std::function<void()> call) = 0;  // once, on the loop thread; at once when closed already
  virtual void finish() = 0;
  // Ends the connection without ending the body, so that the client sees that it was cut.
  virtual void abort() = 0;
};

class WebSocket {
 public:
  struct Message {
    bool binary = true;
    std::string data;
  };
  virtual ~WebSocket() = default;  // closes with 1000
  virtual Result<void> send(std::string_view data, bool binary = true) = 0;
  virtual void on_message(
      std::function<void(Message)> call) = 0;  // on the loop thread, in order; what came before is delivered at once
  virtual void on_close(std::function<void()> call) = 0;
  virtual void close(int code, std::string_view reason) = 0;
};

// Makes a body as it goes out: appends a piece (some 256 KiB) and gives whether more is to come. Called from any
// thread, never twice at once, never after the answer ended; it must not block.
using Pieces = std::function<bool(std::string& out)>;

// One request and the means to answer it, exactly once: respond, stream, websocket or upgrade.
class Exchange {
 public:
  virtual ~Exchange() = default;  // unanswered: 500

  std::string method;
  std::string target;  // as sent
  std::string path;    // percent-decoded
  Query query;
  Headers headers;
  Peer peer;

  // The whole body. Errors: too_large, bad_request (cut off), timeout.
  virtual Result<std::string> read_body(std::size_t size_bytes_max) = 0;
  // The body piece by piece, empty at the end; blocks until some has come.
  virtual Result<std::string> read_some() = 0;

  virtual void respond(Response response) = 0;
  // The same with a body of `length` bytes that is never in memory as a whole, however slowly it is read.
  virtual void respond_in_pieces(Response head, std::uint64_t length, Pieces next);
  // Sends the head and keeps the body open. With `length` the body is not chunked.
  virtual std::shared_ptr<Stream> stream(int status, Headers headers, std::optional<std::uint64_t> length = {}) = 0;
  // Accepts a WebSocket with one of the offered subprotocols ("" for none). Errors: bad_request when this is no such
  // request.
  virtual Result<std::shared_ptr<WebSocket>> websocket(std::string_view subprotocol) = 0;
};
using ExchangePtr = std::shared_ptr<Exchange>;
using Handler = std::function<void(ExchangePtr)>;
// Whether the handler answers this request, of whose body all is there, in some hundred microseconds and without
// waiting for anything. Such a request is handled where it was read: handing it to another thread costs as much again.
// It is asked on the loop's thread, so it must be quick itself, and it must not read the body.
using ShortTest = std::function<bool(const Exchange&)>;

struct TlsOptions {
  std::string certificate_pem;  // chain
  std::string key_pem;
  std::string client_ca_pem;  // when set, client certificates are asked for (not required) and verified
};

struct ServerOptions {
  std::size_t header_bytes_max = 64u << 10;
  std::size_t queued_bytes_max = 16u << 20;  // per stream
  std::size_t connections_max = 12'000;
  int workers = 16;  // threads for handlers, started when needed
  Duration idle_max = std::chrono::minutes(5);
  Duration header_time_max = std::chrono::seconds(20);  // slow clients
  // Of short requests that came together so many are handled by the loop's thread; the workers take the others.
  int short_requests_max = 32;
};

// A group of listeners that share one loop and one pool of workers.
class Server {
 public:
  static Result<Server> start(const ServerOptions& options);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();  // stops accepting, closes connections, joins

  // Listens and gives the port (for port 0). `freebind`: the address may come later (IP_FREEBIND).
  // Errors: already_exists "127.0.0.1:6443 is in use", forbidden.
  Result<int> listen(const std::string& address, int port, Handler handler, const TlsOptions* tls = nullptr,
                     bool freebind = false, ShortTest is_short = nullptr);
  Result<void> listen_unix(const std::string& path, Handler handler, unsigned mode = 0600,
                           ShortTest is_short = nullptr);
  // Closes the listener of that address and port, if there is one: when it returns, nobody new comes in by it, and the
  // port is free. Connections that it took live on. Not for the loop's thread.
  void stop_listening(const std::string& address, int port);
  void stop_accepting();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::http
