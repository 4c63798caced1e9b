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

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/http/address.h"
#include "core/http/client.h"
#include "core/http/tls.h"

namespace caisson::http {
namespace {

constexpr Duration kPatience = std::chrono::seconds(20);

// Answers by path: what the tests below ask for.
void serve(ExchangePtr exchange) {
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

Request request(std::string method, std::string url, std::string body = "") {
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

TEST_CASE("malformed and oversized requests get a status and the end of the connection") {
  ServerOptions options;
  options.header_bytes_max = 2000;
  Fixture f(options);
  const std::pair<std::string, const char*> cases[] = {
      {"nonsense\r\n\r\n", "HTTP/1.1 400"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 400"},
      {"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(5000, 'x'), "HTTP/1.1 431"},
      {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400"},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505"},
  };
  for (const auto& [bytes, want] : cases) {
    CAPTURE(bytes);
    Raw raw(f.port);
    raw.send(bytes);
    CHECK(raw.read().starts_with(want));
  }
}

TEST_CASE("a client that sends its head too slowly is let go") {
  ServerOptions options;
  options.header_time_max = std::chrono::milliseconds(50);
  options.idle_max = std::chrono::milliseconds(50);
  Fixture f(options);
  Raw slow(f.port);
  slow.send("GET / HTTP/1.1\r\nHo");
  CHECK(slow.read().starts_with("HTTP/1.1 408"));
  Raw silent(f.port);
  CHECK(silent.read() == "");
  Raw body(f.port);
  body.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  CHECK(body.read().starts_with("HTTP/1.1 400"));
}

TEST_CASE("a client that reads too slowly fills its queue and hears nothing more") {
  std::promise<ErrorCode> refused;
  ServerOptions options;
  options.queued_bytes_max = 1u << 20;
  Fixture f(options, [&](ExchangePtr exchange) {
    const auto stream = exchange->stream(200, {});
    for (;;) {
      const auto written = stream->write(std::string(64u << 10, 'x'));
      if (written.ok()) continue;
      refused.set_value(written.error().code);
      return stream->abort();
    }
  });
  Raw raw(f.port);
  raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(refused.get_future().get() == ErrorCode::too_many_requests);
}

TEST_CASE("streams that nobody reads share a bound") {
  constexpr int kClients = 80;
  std::atomic<std::size_t> taken = 0;
  std::atomic<int> refused = 0;
  std::promise<void> all_refused;
  std::mutex mutex;
  std::vector<std::shared_ptr<Stream>> kept;  // as a watch keeps its own
  Fixture f({}, [&](ExchangePtr exchange) {
    auto stream = exchange->stream(200, {});
    const std::string piece(64u << 10, 'x');
    while (stream->write(piece).ok()) taken += piece.size();
    const std::scoped_lock lock(mutex);
    kept.push_back(std::move(stream));
    if (++refused == kClients) all_refused.set_value();
  });
  std::vector<std::unique_ptr<Raw>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<Raw>(f.port));
    clients.back()->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  all_refused.get_future().get();
  MESSAGE((taken >> 20) << " MiB were taken, sockets' buffers included");
  CHECK(taken < std::size_t{kClients} * (10u << 20));  // alone each may have 16 MiB waiting
}

TEST_CASE("a connection whose answers went out at once is closed when it idles, and not before") {
  ServerOptions options;
  options.idle_max = std::chrono::milliseconds(200);
  Fixture f(options);
  Raw raw(f.port);
  for (int i = 0; i < 3; ++i) {
    raw.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    CHECK(raw.read("abc").ends_with("\r\n\r\nabc"));
  }
  const auto answered = std::chrono::steady_clock::now();
  CHECK(raw.read() == "");
  CHECK(std::chrono::steady_clock::now() - answered >= std::chrono::milliseconds(150));
}

TEST_CASE("a big answer reaches a client that reads late, and the request behind it is answered") {
  constexpr std::size_t kBytes = 20u << 20;
  Fixture f({}, [](ExchangePtr exchange) {
    exchange->respond({200, {}, exchange->path == "/big" ? std::string(kBytes, 'b') : "small"});
  });
  for (const bool pipelined : {true, false}) {
    CAPTURE(pipelined);
    Raw raw(f.port);
    const std::string small = "GET /small HTTP/1.1\r\nHost: a\r\n\r\n";
    raw.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n" + (pipelined ? small : ""));
    std::string all = raw.read("bbb");
    if (!pipelined) raw.send(small);
    std::string buffer(1u << 20, '\0');
    while (!all.ends_with("small")) {
      pollfd item{raw.fd(), POLLIN, 0};
      REQUIRE(poll(&item, 1, 20'000) > 0);
      const ssize_t count = ::read(raw.fd(), buffer.data(), buffer.size());
      REQUIRE(count > 0);
      all.append(buffer, 0, static_cast<std::size_t>(count));
    }
    CHECK(static_cast<std::size_t>(std::count(all.begin(), all.end(), 'b')) == kBytes);
  }
}

// A process that opens connections, sends each the beginning of a request, tells how many there are, and waits.
pid_t start_slow_clients(int port, int count, int tell) {
  const auto address = numeric_address("127.0.0.1", port).value();
  const pid_t child = fork();
  if (child != 0) return child;
  int opened = 0;
  for (; opened < count; ++opened) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, address.get(), address.size) != 0) break;
    if (::write(fd, "GET / HTTP/1.1\r\nHost", 20) != 20) break;
  }
  if (::write(tell, &opened, sizeof opened) == sizeof opened) pause();
  _exit(0);
}

std::size_t resident_bytes() {
  const std::string text = read_file("/proc/self/statm").value();
  return std::stoul(text.substr(text.find(' '))) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

TEST_CASE("ten thousand slow clients take little memory, and the others are served") {
  constexpr int kClients = 10'000;
  rlimit files{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &files) == 0);
  if (files.rlim_max < kClients + 200) {
    MESSAGE("skipped: at most " << files.rlim_max << " descriptors");
    return;
  }
  files.rlim_cur = files.rlim_max;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &files) == 0);
  Fixture f;
  const Client client;
  REQUIRE(client.send(request("POST", f.url("/echo"), "first")).ok());
  malloc_trim(0);  // what other cases left would hide what these clients take
  const std::size_t before = resident_bytes();
  int told[2];
  REQUIRE(pipe(told) == 0);
  const pid_t child = start_slow_clients(f.port, kClients, told[1]);
  REQUIRE(child > 0);
  int opened = 0;
  CHECK(::read(told[0], &opened, sizeof opened) == sizeof opened);
  CHECK(opened == kClients);
  const auto response = client.send(request("POST", f.url("/echo"), "another"));
  CHECK((response.ok() && response->body == "another"));
  const std::size_t each = (resident_bytes() - before) / kClients;
  MESSAGE(each << " bytes a client");
  CHECK(each < 4'096);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(told[0]);
  close(told[1]);
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
