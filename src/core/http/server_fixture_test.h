// SPDX-License-Identifier: Apache-2.0
// What the tests of the server share: a server on a port of its own, handlers by path, and peers on raw sockets.
#pragma once
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/file.h"
#include "core/http/address.h"
#include "core/http/client.h"
#include "core/http/server.h"

namespace caisson::http {

inline constexpr Duration kPatience = std::chrono::seconds(20);

// Answers by path: what the tests below ask for.
inline void serve(ExchangePtr exchange) {
  if (exchange->path == "/echo") {
    auto body = exchange->read_body(8u << 20);
    if (!body.ok())
      return exchange->respond({body.error().code == ErrorCode::too_large ? 413 : 400, {}, body.error().message});
    Response response{
        200, {{"X-Method", exchange->method}, {"X-Query", std::string(query_get(exchange->query, "q"))}}, ""};
    response.body = std::move(body).value();
    return exchange->respond(std::move(response));
  }
  if (exchange->path == "/count") {
    std::size_t count = 0, biggest = 0;
    for (;;) {
      const auto piece = exchange->read_some();
      if (!piece.ok()) return exchange->respond({400, {}, piece.error().message});
      if (piece->empty()) break;
      count += piece->size();
      biggest = std::max(biggest, piece->size());
    }
    return exchange->respond({200, {{"X-Biggest", std::to_string(biggest)}}, std::to_string(count)});
  }
  if (exchange->path == "/chunks") {
    const auto stream = exchange->stream(200, {{"Content-Type", "text/plain"}});
    for (int i = 0; i < 100; ++i) (void)stream->write_blocking("line " + std::to_string(i) + "\n");
    return;
  }
  if (exchange->path == "/sized") {
    const auto stream = exchange->stream(200, {}, 10);
    (void)stream->write("0123456789");
    return;
  }
  if (exchange->path == "/cut") {
    const auto stream = exchange->stream(200, {}, exchange->query.empty() ? std::optional<std::uint64_t>() : 10);
    (void)stream->write("0123");
    if (exchange->query.empty()) stream->abort();
    return;
  }
  if (exchange->path == "/redirect") return exchange->respond({302, {{"Location", "echo?q=moved"}}, ""});
  if (exchange->path == "/loop") return exchange->respond({302, {{"Location", "/loop"}}, ""});
  if (exchange->path == "/peer") {
    std::string text = exchange->peer.address + "|" + exchange->peer.certificate_common_name;
    for (const std::string& o : exchange->peer.certificate_organizations) text += "|" + o;
    if (exchange->peer.unix_uid >= 0) text += "|uid " + std::to_string(exchange->peer.unix_uid);
    return exchange->respond({200, {}, text});
  }
  if (exchange->path == "/silent") return;
  if (exchange->path == "/refuse") return exchange->respond({403, {}, "no"});
  exchange->respond({404, {}, "no such path: " + exchange->path});
}

struct Fixture {
  Server server;
  int port;
  explicit Fixture(ServerOptions options = {}, Handler handler = serve) : server(Server::start(options).value()) {
    port = server.listen("127.0.0.1", 0, std::move(handler)).value();
  }
  std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port) + path; }
};

inline Request request(std::string method, std::string url, std::string body = "") {
  Request out;
  out.method = std::move(method);
  out.url = std::move(url);
  out.body = std::move(body);
  out.time_max = kPatience;
  return out;
}

// A peer that sends what it likes.
class Raw {
 public:
  explicit Raw(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto address = numeric_address("127.0.0.1", port);
    REQUIRE(connect(fd_.get(), address->get(), address->size) == 0);
  }
  void send(std::string_view bytes) { (void)write_all(fd_.get(), bytes); }
  int fd() const { return fd_.get(); }
  // Until the peer closes, or `until` was seen.
  std::string read(std::string_view until = {}) {
    std::string out;
    char buffer[4096];
    while (until.empty() || out.find(until) == std::string::npos) {
      pollfd item{fd_.get(), POLLIN, 0};
      if (poll(&item, 1, 20'000) <= 0) return out + "<timeout>";
      const ssize_t count = ::read(fd_.get(), buffer, sizeof buffer);
      if (count <= 0) break;
      out.append(buffer, static_cast<std::size_t>(count));
    }
    return out;
  }

 private:
  UniqueFd fd_;
};

}  // namespace caisson::http
