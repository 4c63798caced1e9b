// SPDX-License-Identifier: Apache-2.0
#include "machine/node/grpc_health.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

#include "core/base/file.h"

using namespace caisson;
using namespace caisson::node;
using namespace std::chrono_literals;

namespace {

// Accepts one connection, answers what it is told to, and keeps what it was sent.
class Server {
 public:
  explicit Server(std::string answer) : answer_(std::move(answer)) {
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
    REQUIRE(::listen(listener_.get(), 1) == 0);
    REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&any), &size) == 0);
    port = ntohs(any.sin_port);
    thread_ = std::thread([this] {
      const UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
      (void)!::send(fd.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
      char buffer[4096];
      for (ssize_t got = 0; (got = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;)
        received.append(buffer, static_cast<std::size_t>(got));
    });
  }
  ~Server() { end(); }
  void end() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
  }
  int port = 0;
  std::string received;

 private:
  std::string answer_;
  UniqueFd listener_;
  std::thread thread_;
};

std::string frame(char type, char flags, char stream, const std::string& payload) {
  std::string out{0, 0, static_cast<char>(payload.size()), type, flags, 0, 0, 0, stream};
  return out + payload;
}
const std::string kSettings = frame(4, 0, 0, "");
std::string health(char status) {  // a message on stream 1, its second half in another frame
  const std::string message{0, 0, 0, 0, 2, 8, status};
  return frame(0, 0, 1, message.substr(0, 3)) + frame(0, 1, 1, message.substr(3));
}

std::string asked(const std::string& answer, std::string_view service = "") {
  Server server(answer);
  const auto healthy = grpc_health("127.0.0.1", server.port, service, 10s);
  return healthy.ok() ? "serving" : healthy.error().message;
}

}  // namespace

TEST_CASE("a gRPC health check reads the answer's status, whatever frames it comes in") {
  CHECK(asked(kSettings + health(1)) == "serving");
  CHECK(asked(kSettings + frame(6, 0, 0, "12345678") + frame(1, 4, 1, "\x88") + health(1)) == "serving");
  CHECK(asked(frame(0, 8, 1, std::string{2, 0, 0, 0, 0, 2, 8, 1, 0, 0})) == "serving");  // padded
  CHECK(asked(kSettings + health(2)) == "service unhealthy (responded with \"NOT_SERVING\")");
  CHECK(asked(kSettings + health(3)) == "service unhealthy (responded with \"SERVICE_UNKNOWN\")");
  CHECK(asked(frame(0, 0, 1, std::string(5, '\0'))) == "service unhealthy (responded with \"UNKNOWN\")");
}

TEST_CASE("what is no gRPC health answer is a failure that says so") {
  for (const std::string& answer : {kSettings + frame(1, 5, 1, "\x88"),  // trailers only, as for an unknown method
                                    frame(7, 0, 0, std::string(8, '\0')), frame(3, 0, 1, std::string(4, '\0')),
                                    std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), frame(0, 8, 1, "\x09")}) {
    CHECK_MESSAGE(asked(answer).find("gave no health response") != std::string::npos, asked(answer));
  }
  Server server("");
  const auto late = grpc_health("127.0.0.1", server.port, "", 20ms);
  CHECK(late.error().code == ErrorCode::timeout);
  const int port = server.port;
  server.end();
  CHECK(grpc_health("127.0.0.1", port, "", 1s).error().code == ErrorCode::unavailable);
}

TEST_CASE("a gRPC health check names the service it asks for") {
  Server server(kSettings + health(1));
  REQUIRE(grpc_health("127.0.0.1", server.port, "shop.Cart", 10s).ok());
  server.end();
  CHECK(server.received.starts_with("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  CHECK(server.received.find("/grpc.health.v1.Health/Check") != std::string::npos);
  CHECK(server.received.find(std::string("\x0a\x09shop.Cart")) != std::string::npos);
}
