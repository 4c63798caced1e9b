// SPDX-License-Identifier: Apache-2.0
// WebSocket end to end, and the proxy rules of the client.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <future>

#include "core/http/client.h"
#include "core/http/proxy.h"
#include "core/http/server.h"

namespace caisson::http {
namespace {

constexpr Duration kPatience = std::chrono::seconds(20);

// Sends every message back; "bye" closes.
void echo(ExchangePtr exchange) {
  const std::string_view offered = exchange->headers.get("Sec-WebSocket-Protocol");
  auto accepted =
      exchange->websocket(offered.find("v5.channel.k8s.io") != std::string_view::npos ? "v5.channel.k8s.io" : "");
  if (!accepted.ok()) return exchange->respond({400, {}, accepted.error().message});
  const auto socket = std::move(accepted).value();
  socket->on_message([socket](WebSocket::Message message) {
    if (message.data == "bye") return socket->close(1000, "as asked");
    (void)socket->send(message.data, message.binary);
  });
}

struct Fixture {
  Server server = Server::start({}).value();
  int port;
  explicit Fixture(Handler handler = echo) : port(server.listen("127.0.0.1", 0, std::move(handler)).value()) {}
  Request request() const {
    Request out;
    out.url = "http://127.0.0.1:" + std::to_string(port) + "/";
    out.time_max = kPatience;
    return out;
  }
};

TEST_CASE("messages of any size go both ways, in order, and the close is heard") {
  Fixture f;
  const Client client;
  auto socket = client.websocket(f.request(), {"v4.channel.k8s.io", "v5.channel.k8s.io"}).value();
  CHECK(socket->subprotocol == "v5.channel.k8s.io");
  for (const std::size_t size : {0u, 1u, 125u, 126u, 70'000u, 3'000'000u}) {
    const std::string data(size, 'x');
    REQUIRE(socket->send(data, true).ok());
    const auto back = socket->receive();
    REQUIRE(back.ok());
    REQUIRE(back->has_value());
    CHECK((*back)->data == data);
  }
  REQUIRE(socket->send("한국어", false).ok());
  const auto text = socket->receive();
  CHECK((*text)->data == "한국어");
  CHECK_FALSE((*text)->binary);
  REQUIRE(socket->send("bye", false).ok());
  const auto end = socket->receive();
  REQUIRE(end.ok());
  CHECK_FALSE(end->has_value());
}

TEST_CASE("the server hears that the client left, and a waiting client wakes at close") {
  std::promise<void> closed;
  std::mutex mutex;
  std::shared_ptr<WebSocket> kept;
  Fixture f([&](ExchangePtr exchange) {
    auto socket = exchange->websocket("").value();
    socket->on_close([&] { closed.set_value(); });
    const std::scoped_lock lock(mutex);
    kept = socket;
  });
  const Client client;
  auto socket = client.websocket(f.request(), {}).value();
  std::thread closer([&] { socket->close(); });
  const auto end = socket->receive();
  closer.join();
  CHECK(end.ok());
  CHECK_FALSE(end->has_value());
  CHECK(closed.get_future().wait_for(kPatience) == std::future_status::ready);
  const std::scoped_lock lock(mutex);
  CHECK_FALSE(kept->send("late").ok());
}

TEST_CASE("messages that come before on_message are kept, and paused when they are many") {
  std::promise<std::shared_ptr<WebSocket>> opened;
  Fixture f([&](ExchangePtr exchange) { opened.set_value(exchange->websocket("").value()); });
  const Client client;
  auto socket = client.websocket(f.request(), {}).value();
  const auto server_end = opened.get_future().get();
  std::thread sender([&] {
    for (int i = 0; i < 200; ++i) REQUIRE(socket->send(std::to_string(i) + std::string(20'000, 'x')).ok());
  });
  std::promise<void> all;
  std::atomic<int> next = 0, wrong = 0;
  server_end->on_message([&](WebSocket::Message message) {
    const int i = next++;
    if (!message.data.starts_with(std::to_string(i) + "x")) ++wrong;
    if (i == 199) all.set_value();
  });
  CHECK(all.get_future().wait_for(kPatience) == std::future_status::ready);
  sender.join();
  CHECK(wrong == 0);
}

TEST_CASE("a plain request is no WebSocket, and a refused WebSocket says why") {
  Fixture f;
  const Client client;
  CHECK(client.send(f.request())->status == 400);
  Fixture refusing([](ExchangePtr exchange) { exchange->respond({403, {}, "not you"}); });
  const auto refused = client.websocket(refusing.request(), {});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::forbidden);
  CHECK(refused.error().message.find("not you") != std::string::npos);
}

TEST_CASE("NO_PROXY matches names, what lies below them, addresses and ranges") {
  struct Case {
    const char* rules;
    const char* host;
    int port;
    bool want;
  };
  const Case cases[] = {
      {"*", "a.example", 80, true},
      {"example.com", "example.com", 80, true},
      {"example.com", "www.example.com", 80, true},
      {".example.com", "www.example.com", 80, true},
      {"*.example.com", "www.example.com", 80, true},
      {"example.com", "badexample.com", 80, false},
      {"EXAMPLE.com", "Example.Com", 80, true},
      {"example.com:8080", "example.com", 8080, true},
      {"example.com:8080", "example.com", 80, false},
      {"10.0.0.0/8, 192.168.0.0/16", "192.168.3.4", 443, true},
      {"10.0.0.0/8", "11.0.0.1", 443, false},
      {"10.0.0.0/9", "10.128.0.1", 443, false},
      {"fd00::/8", "fd12::1", 443, true},
      {"", "a.example", 80, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.rules);
    CAPTURE(c.host);
    CHECK(matches_no_proxy(c.rules, c.host, c.port) == c.want);
  }
  const ProxyVariables variables{"http://proxy:3128", "proxy:3129", "internal"};
  CHECK_FALSE(proxy_for(variables, *Url::parse("https://127.0.0.1/"), 443)->has_value());
  CHECK_FALSE(proxy_for(variables, *Url::parse("https://x.internal/"), 443)->has_value());
  CHECK((*proxy_for(variables, *Url::parse("https://a.example/"), 443))->port == 3129);
  CHECK((*proxy_for(variables, *Url::parse("http://a.example/"), 80))->port == 3128);
  CHECK_FALSE(proxy_for({"", "socks5://proxy:1", ""}, *Url::parse("https://a.example/"), 443).ok());
}

TEST_CASE("a plain request goes to the proxy in absolute form") {
  Fixture proxy([](ExchangePtr exchange) {
    exchange->respond({200, {}, exchange->target + " " + std::string(exchange->headers.get("Proxy-Authorization"))});
  });
  setenv("http_proxy", ("http://u:p@127.0.0.1:" + std::to_string(proxy.port)).c_str(), 1);
  setenv("no_proxy", "", 1);
  const Client client;
  unsetenv("http_proxy");
  unsetenv("no_proxy");
  Request request;
  request.url = "http://service.example/path?q=1";
  const auto response = client.send(request);
  REQUIRE(response.ok());
  CHECK(response->body == "http://service.example/path?q=1 Basic dTpw");
}

}  // namespace
}  // namespace caisson::http
