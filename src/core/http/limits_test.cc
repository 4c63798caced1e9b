// SPDX-License-Identifier: Apache-2.0
// The server against peers that are malformed, slow, greedy or many.
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <future>
#include <thread>

#include "core/http/handler_pool.h"
#include "core/http/server_fixture_test.h"

namespace caisson::http {
namespace {

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
  options.idle_max = std::chrono::seconds(2);  // longer than a busy machine lets a request wait
  Fixture f(options);
  Raw raw(f.port);
  for (int i = 0; i < 3; ++i) {
    raw.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    CHECK(raw.read("abc").ends_with("\r\n\r\nabc"));
  }
  const auto answered = std::chrono::steady_clock::now();
  CHECK(raw.read() == "");
  CHECK(std::chrono::steady_clock::now() - answered >= std::chrono::milliseconds(1500));
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

// Bytes that count up, so that one which is lost or doubled shows.
std::string counted(std::size_t from, std::size_t count) {
  std::string out(count, '\0');
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<char>('a' + (from + i) % 23);
  return out;
}

TEST_CASE("an answer in pieces arrives whole, late readers cost one piece, and the request behind it is answered") {
  constexpr std::size_t kBytes = 64u << 20, kPiece = 256u << 10;
  std::atomic<std::size_t> made = 0;
  Fixture f({}, [&](ExchangePtr exchange) {
    if (exchange->path != "/big") return exchange->respond({200, {}, "small"});
    made = 0;
    exchange->respond_in_pieces({200, {}, ""}, kBytes, [&](std::string& out) {
      out += counted(made, kPiece);
      return (made += kPiece) < kBytes;
    });
  });
  const Client client;
  auto whole = client.send(request("GET", f.url("/big")));
  REQUIRE(whole.ok());
  CHECK(whole->body == counted(0, kBytes));
  const auto head = client.send(request("HEAD", f.url("/big")));
  REQUIRE(head.ok());
  CHECK(head->headers.get("Content-Length") == std::to_string(kBytes));

  Raw late(f.port);
  late.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /small HTTP/1.1\r\nHost: a\r\n\r\n");
  std::string all = late.read("\r\n\r\n");
  CHECK(client.send(request("GET", f.url("/small")))->body == "small");
  CHECK(made < kBytes / 2);  // what the sockets hold; the rest is not made yet
  std::string buffer(1u << 20, '\0');
  std::size_t count = all.size();
  for (bool ended = false; !ended;) {
    pollfd item{late.fd(), POLLIN, 0};
    REQUIRE(poll(&item, 1, 20'000) > 0);
    const ssize_t got = ::read(late.fd(), buffer.data(), buffer.size());
    REQUIRE(got > 0);
    count += static_cast<std::size_t>(got);
    ended = std::string_view(buffer.data(), static_cast<std::size_t>(got)).ends_with("small");
  }
  CHECK(count > kBytes);
}

TEST_CASE("a client that leaves in the middle of an answer in pieces ends it") {
  std::promise<void> dropped;
  struct Told {
    std::promise<void>& promise;
    ~Told() { promise.set_value(); }
  };
  Fixture f({}, [&](ExchangePtr exchange) {
    exchange->respond_in_pieces({200, {}, ""}, std::uint64_t{1} << 40,
                                [told = std::make_shared<Told>(dropped)](std::string& out) {
                                  out += counted(0, 256u << 10);
                                  return true;
                                });
  });
  {
    Raw raw(f.port);
    raw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    raw.read("\r\n\r\n");
  }
  CHECK(dropped.get_future().wait_for(kPatience) == std::future_status::ready);
}

TEST_CASE("handlers that wait for one another each have a thread, and what waits is run when one is free") {
  constexpr int kThreads = 8, kRounds = 200;
  HandlerPool pool(kThreads);
  for (int round = 0; round < kRounds; ++round) {
    std::mutex mutex;
    std::condition_variable changed;
    int here = 0, done = 0;
    for (int i = 0; i < 3 * kThreads; ++i) {
      pool.run([&, i] {
        std::unique_lock lock(mutex);
        ++here;
        changed.notify_all();
        // The first ones need all threads at once.
        if (i < kThreads) changed.wait(lock, [&] { return here >= kThreads; });
        ++done;
        changed.notify_all();
      });
    }
    std::unique_lock lock(mutex);
    const auto late = std::chrono::steady_clock::now() + kPatience;
    // As the loop of a server does: nobody waits behind a handler that takes long.
    while (done < 3 * kThreads && std::chrono::steady_clock::now() < late) {
      lock.unlock();
      const Duration again = pool.look();
      lock.lock();
      changed.wait_for(lock, std::min<Duration>(again, std::chrono::milliseconds(10)),
                       [&] { return done == 3 * kThreads; });
    }
    REQUIRE(done == 3 * kThreads);
  }
}

TEST_CASE("a pool that stops drops what waits, and a handler that throws harms nobody") {
  std::atomic<int> ran = 0;
  std::promise<void> blocked, released;
  {
    HandlerPool pool(1);
    pool.run([&] {
      blocked.set_value();
      released.get_future().wait();
      throw std::runtime_error("a library's");
    });
    blocked.get_future().wait();
    pool.run([&] { ++ran; });
    std::thread stopping([&] { pool.stop(); });
    released.set_value();
    stopping.join();
    pool.run([&] { ++ran; });
  }
  CHECK(ran <= 1);
}

}  // namespace
}  // namespace caisson::http
