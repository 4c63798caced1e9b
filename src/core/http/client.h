// SPDX-License-Identifier: Apache-2.0
// The HTTP client: blocking, with kept-alive connections, TLS, unix sockets, proxies from the environment (HTTPS_PROXY,
// NO_PROXY), redirects, streaming bodies both ways and WebSocket. Any thread; a call blocks only its own thread.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/http/message.h"

namespace caisson::http {

struct ClientOptions {
  std::string unix_socket;  // when set, every connection goes there
  // When set, every connection goes to this address; the URL's host is still what is asked for and what TLS checks.
  std::string connect_host;
  int connect_port = 0;
  std::string ca_pem;                    // empty: the system's
  std::string certificate_pem, key_pem;  // client certificate
  bool verify = true;
  bool use_proxy = true;  // never for loopback
  int redirects_max = 5;  // GET and HEAD only
  Duration connect_time_max = std::chrono::seconds(10);
};

struct Request {
  std::string method = "GET";
  std::string url;  // "https://host:6443/api?x=1"; with a unix socket "http://unix/api"
  Headers headers;
  std::string body;
  BodySource body_source;  // instead of body: sent chunked, or with Content-Length when the header is set
  Duration time_max = std::chrono::seconds(30);  // of the whole exchange; 0: none (watch)
  std::size_t response_bytes_max = 64u << 20;
};

// A response whose body is still coming. Destroying it closes the connection.
class ResponseStream {
 public:
  virtual ~ResponseStream() = default;
  int status = 0;
  Headers headers;
  virtual Result<std::string> read_some() = 0;  // empty at the end. Errors: unavailable (cut off), timeout
  virtual void cancel() = 0;                    // from another thread: wakes read_some
};

class ClientWebSocket {
 public:
  struct Message {
    bool binary = true;
    std::string data;
  };
  virtual ~ClientWebSocket() = default;
  std::string subprotocol;
  virtual Result<void> send(std::string_view data, bool binary = true) = 0;
  virtual Result<std::optional<Message>> receive() = 0;  // blocks; nothing when the peer closed
  virtual void close() = 0;                              // from any thread: wakes receive
};

class Client {
 public:
  explicit Client(ClientOptions options = {});
  ~Client();
  Client(Client&&) noexcept;
  // Errors: unavailable (no connection, with the address and why), timeout, too_large. A status of 400 and more is no
  // error here.
  Result<Response> send(const Request& request) const;
  Result<std::unique_ptr<ResponseStream>> open(const Request& request) const;
  Result<std::unique_ptr<ClientWebSocket>> websocket(const Request& request,
                                                     const std::vector<std::string>& subprotocols) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with open streams, which give their connection back
};

}  // namespace caisson::http
