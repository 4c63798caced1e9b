// SPDX-License-Identifier: Apache-2.0
// Server and client over loopback, and both against misbehaving peers on raw sockets.
#include "core/http/server.h"

#include <doctest/doctest.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <future>
#include <thread>

#include "core/base/process.h"
#include "core/http/server_fixture_test.h"
#include "core/http/tls.h"

namespace caisson::http {
namespace {

TEST_CASE("a request's method, query and body arrive, and the answer comes back") {
  Fixture f;
  const Client client;
  const auto response = client.send(request("POST", f.url("/echo?q=a%20b"), "hello"));
  REQUIRE(response.ok());
  CHECK(response->status == 200);
  CHECK(response->body == "hello");
  CHECK(response->headers.get("x-method") == "POST");
  CHECK(response->headers.get("x-query") == "a b");
  CHECK(response->headers.contains("Date"));
}

TEST_CASE("one connection serves many requests") {
  std::atomic<int> ports_seen = 0;
  std::mutex mutex;
  std::vector<int> ports;
  Fixture f({}, [&](ExchangePtr exchange) {
    {
      const std::scoped_lock lock(mutex);
      ports.push_back(exchange->peer.port);
    }
    exchange->respond({200, {}, "ok"});
  });
  const Client client;
  for (int i = 0; i < 20; ++i) REQUIRE(client.send(request("GET", f.url("/"))).ok());
  const std::scoped_lock lock(mutex);
  CHECK(std::count(ports.begin(), ports.end(), ports.front()) == 20);
}

TEST_CASE("a short request is handled by the thread that read it, and the others by workers") {
  Server server = Server::start({}).value();
  std::mutex mutex;
  std::vector<std::pair<std::string, std::thread::id>> handled;
  std::thread::id asked;
  const auto port = server.listen(
      "127.0.0.1", 0,
      [&](ExchangePtr exchange) {
        const auto body = exchange->read_body(1u << 20);
        const std::scoped_lock lock(mutex);
        handled.emplace_back(exchange->path, std::this_thread::get_id());
        exchange->respond({200, {}, body.ok() ? *body : "cut off"});
      },
      nullptr, false,
      [&](const Exchange& exchange) {
        asked = std::this_thread::get_id();
        return exchange.path == "/short";
      });
  REQUIRE(port.ok());
  const std::string url = "http://127.0.0.1:" + std::to_string(*port);
  const Client client;
  for (int i = 0; i < 3; ++i) CHECK(client.send(request("POST", url + "/short", "whole"))->body == "whole");
  CHECK(client.send(request("POST", url + "/long", "whole"))->body == "whole");
  const std::scoped_lock lock(mutex);
  REQUIRE(handled.size() == 4);
  for (const auto& [path, thread] : handled) CHECK((thread == asked) == (path == "/short"));
}

TEST_CASE("a request whose body is still coming is a worker's, however short it may be") {
  Server server = Server::start({}).value();
  const int port = server
                       .listen(
                           "127.0.0.1", 0,
                           [](ExchangePtr exchange) {
                             const auto body = exchange->read_body(1u << 20);
                             exchange->respond({200, {}, body.ok() ? *body : "cut off"});
                           },
                           nullptr, false, [](const Exchange&) { return true; })
                       .value();
  Raw slow(port);
  slow.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nab");
  const Client client;  // the loop is not held up
  CHECK(client.send(request("POST", "http://127.0.0.1:" + std::to_string(port), "x"))->body == "x");
  slow.send("cd");
  CHECK(slow.read().ends_with("\r\n\r\nabcd"));
}

TEST_CASE("of short requests that come together the workers take those that are too many") {
  std::atomic<int> here = 0;
  Server server = Server::start({.short_requests_max = 0}).value();
  std::thread::id loop;
  const int port = server
                       .listen(
                           "127.0.0.1", 0,
                           [&](ExchangePtr exchange) {
                             here += std::this_thread::get_id() == loop;
                             exchange->respond({200, {}, "ok"});
                           },
                           nullptr, false,
                           [&](const Exchange&) {
                             loop = std::this_thread::get_id();
                             return true;
                           })
                       .value();
  CHECK(Client().send(request("GET", "http://127.0.0.1:" + std::to_string(port)))->status == 200);
  CHECK(here == 0);
}

TEST_CASE("a listener that stops frees its port and leaves the others and its connections alone") {
  Server server = Server::start({}).value();
  const int first = server.listen("127.0.0.1", 0, serve).value(), second = server.listen("127.0.0.1", 0, serve).value();
  Raw kept(first);
  kept.send("GET /refuse HTTP/1.1\r\nHost: a\r\n\r\n");
  const Client client;
  REQUIRE(client.send(request("GET", "http://127.0.0.1:" + std::to_string(first) + "/refuse"))->status == 403);
  server.stop_listening("127.0.0.1", first);
  server.stop_listening("127.0.0.1", first);  // nobody is there any more
  server.stop_listening("nowhere", second);
  CHECK_FALSE(Client().send(request("GET", "http://127.0.0.1:" + std::to_string(first) + "/refuse")).ok());
  CHECK(Client().send(request("GET", "http://127.0.0.1:" + std::to_string(second) + "/refuse"))->status == 403);
  kept.send("GET /refuse HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string answers = kept.read();
  CHECK(answers.find("403", answers.find("403") + 1) != std::string::npos);
  CHECK(server.listen("127.0.0.1", first, serve).ok());
}

TEST_CASE("HEAD has the length and no body") {
  Fixture f;
  Raw raw(f.port);
  raw.send("HEAD /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string answer = raw.read();
  CHECK(answer.starts_with("HTTP/1.1 404 Not Found\r\n"));
  CHECK(answer.find("Content-Length: 22\r\n") != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("pipelined requests are answered in order") {
  Fixture f;
  Raw raw(f.port);
  std::string all;
  for (int i = 0; i < 50; ++i) {
    const std::string body = "body " + std::to_string(i);
    all += "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  raw.send(all + "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const std::string answer = raw.read();
  std::size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = answer.find("\r\n\r\nbody " + std::to_string(i), at);
    REQUIRE(at != std::string::npos);
  }
}

TEST_CASE("a chunked upload and a chunked answer arrive whole") {
  Fixture f;
  const Client client;
  Request upload = request("PUT", f.url("/count"));
  int pieces = 0;
  upload.body_source = [&]() -> Result<std::string> {
    return ++pieces <= 40 ? std::string(100'000, 'x') : std::string();
  };
  const auto counted = client.send(upload);
  REQUIRE(counted.ok());
  CHECK(counted->body == "4000000");
  const auto lines = client.send(request("GET", f.url("/chunks")));
  REQUIRE(lines.ok());
  CHECK(std::count(lines->body.begin(), lines->body.end(), '\n') == 100);
  const auto sized = client.send(request("GET", f.url("/sized")));
  REQUIRE(sized.ok());
  CHECK(sized->headers.get("Content-Length") == "10");
  CHECK(sized->body == "0123456789");
}

TEST_CASE("an answer that is cut off is an error, not a short body") {
  Fixture f;
  const Client client;
  for (const char* path : {"/cut", "/cut?sized"}) {
    const auto response = client.send(request("GET", f.url(path)));
    REQUIRE_FALSE(response.ok());
    CHECK(response.error().code == ErrorCode::unavailable);
  }
}

// Closes as many connections as it is told before it has read them, then answers each.
class Flaky {
 public:
  explicit Flaky(int closed_max) : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto address = numeric_address("127.0.0.1", 0);
    REQUIRE(bind(listener_.get(), address->get(), address->size) == 0);
    REQUIRE(listen(listener_.get(), 16) == 0);
    serving_ = std::thread([this, closed_max] {
      for (int count = 1;; ++count) {
        const UniqueFd connection(accept(listener_.get(), nullptr, nullptr));
        if (!connection) return;
        connections = count;
        char buffer[4096];
        if (count <= closed_max || ::read(connection.get(), buffer, sizeof buffer) <= 0) continue;
        (void)write_all(connection.get(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
      }
    });
  }
  ~Flaky() {
    shutdown(listener_.get(), SHUT_RDWR);
    serving_.join();
  }
  std::string url() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    REQUIRE(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    return "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/";
  }
  std::atomic<int> connections = 0;

 private:
  UniqueFd listener_;
  std::thread serving_;
};

TEST_CASE("a request that may be repeated is tried once more when its connection was closed without an answer") {
  const Client client;
  {
    const Flaky once(1);
    const auto answer = client.send(request("GET", once.url()));
    REQUIRE_MESSAGE(answer.ok(), (answer.ok() ? "" : answer.error().message));
    CHECK(answer->body == "ok");
  }
  {
    const Flaky twice(2);
    CHECK_FALSE(client.send(request("GET", twice.url())).ok());
    CHECK(twice.connections == 2);
  }
  const Flaky once(1);
  CHECK_FALSE(client.send(request("POST", once.url(), "body")).ok());
  CHECK(once.connections == 1);
}

TEST_CASE("a body beyond the handler's limit is refused, and the answer is heard") {
  Fixture f;
  const Client client;
  const auto response = client.send(request("POST", f.url("/echo"), std::string(20u << 20, 'x')));
  REQUIRE(response.ok());
  CHECK(response->status == 413);
}

TEST_CASE("a big upload does not pile up in memory while its handler waits") {
  std::promise<void> go;
  auto may_read = go.get_future().share();
  Fixture f({}, [may_read](ExchangePtr exchange) {
    may_read.wait();
    serve(std::move(exchange));
  });
  std::atomic<std::size_t> sent = 0;
  std::thread uploader([&] {
    const Client client;
    Request upload = request("PUT", f.url("/count"));
    upload.body_source = [&]() -> Result<std::string> {
      if (sent >= (64u << 20)) return std::string();
      sent += 1u << 20;
      return std::string(1u << 20, 'x');
    };
    const auto response = client.send(upload);
    REQUIRE(response.ok());
    CHECK(response->body == std::to_string(64u << 20));
    CHECK(std::stoul(std::string(response->headers.get("X-Biggest"))) <
          (1u << 20));  // what the server had held at most
  });
  go.set_value();
  uploader.join();
  CHECK(sent == (64u << 20));
}

TEST_CASE("Expect: 100-continue is answered when the handler wants the body") {
  Fixture f;
  Raw raw(f.port);
  raw.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  CHECK(raw.read("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  raw.send("abc");
  CHECK(raw.read("abc").starts_with("HTTP/1.1 200 OK\r\n"));
  Raw refused(f.port);
  refused.send("POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  const std::string answer = refused.read();
  CHECK(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"));
  CHECK(answer.find("Connection: close\r\n") != std::string::npos);
}

TEST_CASE("a stream hears that its client left") {
  std::promise<void> closed;
  std::shared_ptr<Stream> kept;
  std::mutex mutex;
  Fixture f({}, [&](ExchangePtr exchange) {
    const auto stream = exchange->stream(200, {});
    {
      const std::scoped_lock lock(mutex);
      kept = stream;
    }
    stream->on_close([&] { closed.set_value(); });  // at once, when the client has left meanwhile
  });
  {
    Raw raw(f.port);
    raw.send("GET /watch HTTP/1.1\r\nHost: a\r\n\r\n");
    raw.read("\r\n\r\n");
  }
  CHECK(closed.get_future().wait_for(kPatience) == std::future_status::ready);
  const std::scoped_lock lock(mutex);
  CHECK(kept->closed());
  CHECK(kept->write("x").error().code == ErrorCode::unavailable);
}

TEST_CASE("an unanswered request gets 500, and redirects are followed to a limit") {
  Fixture f;
  const Client client;
  CHECK(client.send(request("GET", f.url("/silent")))->status == 500);
  const auto moved = client.send(request("GET", f.url("/redirect")));
  REQUIRE(moved.ok());
  CHECK(moved->headers.get("X-Query") == "moved");
  CHECK(client.send(request("POST", f.url("/redirect")))->status == 302);
  CHECK_FALSE(client.send(request("GET", f.url("/loop"))).ok());
}

TEST_CASE("a port in use and a refused connection are named") {
  Fixture f;
  auto second = Server::start({}).value();
  const auto taken = second.listen("127.0.0.1", f.port, serve);
  REQUIRE_FALSE(taken.ok());
  CHECK(taken.error().code == ErrorCode::already_exists);
  CHECK(taken.error().message == "127.0.0.1:" + std::to_string(f.port) + " is in use");
  const int port = f.port;
  f.server.stop_accepting();
  const Client client;
  const auto refused = client.send(request("GET", "http://127.0.0.1:" + std::to_string(port) + "/"));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::unavailable);
  CHECK(refused.error().message.find("127.0.0.1:" + std::to_string(port)) != std::string::npos);
  CHECK(second.listen("198.51.100.7", 0, serve, nullptr, true).ok());  // an address that is not there yet
}

TEST_CASE("a client gives up at its time limit, and another thread can cancel its read") {
  std::mutex mutex;
  std::vector<std::shared_ptr<Stream>> kept;
  Fixture f({}, [&](ExchangePtr exchange) {
    const auto stream = exchange->stream(200, {});
    (void)stream->write("first");
    const std::scoped_lock lock(mutex);
    kept.push_back(stream);
  });
  const Client client;
  Request brief = request("GET", f.url("/"));
  brief.time_max = std::chrono::milliseconds(50);
  const auto late = client.send(brief);
  REQUIRE_FALSE(late.ok());
  CHECK(late.error().code == ErrorCode::timeout);
  auto stream = client.open(request("GET", f.url("/"))).value();
  CHECK(*stream->read_some() == "first");
  std::thread canceller([&] { stream->cancel(); });
  CHECK_FALSE(stream->read_some().ok());
  canceller.join();
}

TEST_CASE("a unix socket tells who is at its other end, however long its path is") {
  const auto dir = TempDir::make().value();
  const std::string deep = dir.path() + "/" + std::string(120, 'd');
  REQUIRE(make_dirs(deep).ok());
  auto server = Server::start({}).value();
  for (const std::string& path : {dir.path() + "/s", deep + "/s"}) {
    REQUIRE(server.listen_unix(path, serve, 0600).ok());
    CHECK(server.listen_unix(path, serve).error().code == ErrorCode::already_exists);
    ClientOptions options;
    options.unix_socket = path;
    const Client client(options);
    const auto response = client.send(request("GET", "http://unix/peer"));
    REQUIRE(response.ok());
    CHECK(response->body == "unix||uid " + std::to_string(getuid()));
  }
}

TEST_CASE("curl is content") {
  if (find_program("curl").empty()) return;
  Fixture f;
  Command command;
  command.args = {
      "curl",           "-sS", "--noproxy",      "*", "-d", "@-", "-H", "Transfer-Encoding: chunked", f.url("/count"),
      f.url("/chunks"), "-w",  "%{num_connects}"};
  command.input = std::string(3'000'000, 'x');
  const auto exit = run(command);
  REQUIRE(exit.ok());
  CHECK(exit->code == 0);
  CHECK(exit->out.starts_with("30000001line 0\n"));  // one connection made, then none
}

TEST_CASE("many clients at once get each their own answer") {
  Fixture f;
  const Client client;
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string body = std::to_string(t) + "/" + std::to_string(i);
        const auto response = client.send(request("POST", f.url("/echo"), body));
        if (!response.ok() || response->body != body) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace caisson::http
