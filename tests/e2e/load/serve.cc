// SPDX-License-Identifier: Apache-2.0
// The server of the load program, run in pods. Every answer names the pod.
//   http_load serve PORT TEXT ON_TERM [SLOW_MIN_MS SLOW_MAX_MS]
// ON_TERM, what SIGTERM does:
//   drain   as well-behaved servers do (Go's http.Server.Shutdown): no new connections, idle ones are closed, those
//   that never had
//           a request are given a second for it, the others answer their request and close; ends with the last one
//   ignore  nothing: the end comes by SIGKILL
//   exit    ends at once, whatever is under way
#include <csignal>
#include <map>
#include <random>
#include <vector>

#include "http.h"

namespace load {
namespace {

volatile std::sig_atomic_t g_told_to_end = 0;

struct Connection {
  std::string in;
  bool busy = false;  // a request waits for its answer's time
  bool used = false;  // it has had an answer
  Time answer_at{};
};

class Server {
 public:
  Server(int port, std::string text, std::string on_term, int slow_min, int slow_max)
      : text_(std::move(text)), on_term_(std::move(on_term)), slow_(slow_min, slow_max), epoll_(::epoll_create1(0)) {
    char name[256] = {};
    ::gethostname(name, sizeof name - 1);
    host_ = name;
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in any = address("0.0.0.0", port);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) die("bind");
    if (::listen(listener_, 1024) != 0) die("listen");
    watch(listener_);
  }

  int run() {
    epoll_event events[256];
    while (!draining_ || !connections_.empty()) {
      const int n = ::epoll_wait(epoll_, events, 256, wait_ms());
      if (g_told_to_end && !draining_) {
        if (on_term_ == "exit") return 0;
        drain();
      }
      for (int i = 0; i < n; ++i) {
        const int fd = events[i].data.fd;
        if (fd == listener_)
          accept_all();
        else if (connections_.contains(fd))
          read_from(fd);
      }
      answer_due();
      if (draining_ && Clock::now() - drained_at_ > std::chrono::seconds(1)) close_idle(true);
    }
    return 0;
  }

 private:
  void watch(int fd) {
    epoll_event event{EPOLLIN, {.fd = fd}};
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
  }

  int wait_ms() const {
    int wait = draining_ ? 100 : -1;
    for (const auto& [fd, connection] : connections_) {
      if (!connection.busy) continue;
      const auto left = std::chrono::ceil<milliseconds>(connection.answer_at - Clock::now()).count();
      wait = std::max(0, wait < 0 ? static_cast<int>(left) : std::min(wait, static_cast<int>(left)));
    }
    return wait;
  }

  void accept_all() {
    for (int fd; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      connections_[fd];
      watch(fd);
    }
  }

  void drain() {
    draining_ = true;
    ::close(listener_);
    listener_ = -1;
    drained_at_ = Clock::now();
    close_idle(false);
  }

  void close_idle(bool unused_too) {
    std::vector<int> idle;
    for (const auto& [fd, connection] : connections_)
      if (!connection.busy && connection.in.empty() && (connection.used || unused_too)) idle.push_back(fd);
    for (const int fd : idle) {
      read_from(fd);  // a request may have come that was not looked at yet
      const auto it = connections_.find(fd);
      if (it != connections_.end() && !it->second.busy && it->second.in.empty()) close(fd);
    }
  }

  void close(int fd) {
    ::close(fd);
    connections_.erase(fd);
  }

  void read_from(int fd) {
    Connection& connection = connections_[fd];
    if (!read_available(fd, connection.in)) return close(fd);
    if (connection.busy || !whole_message(connection.in)) return;
    connection.busy = true;
    const bool probe = connection.in.starts_with("GET /healthz ");
    connection.answer_at = Clock::now() + milliseconds(probe || slow_.max() == 0 ? 0 : slow_(random_));
  }

  void answer_due() {
    const Time now = Clock::now();
    std::vector<int> due;
    for (const auto& [fd, connection] : connections_)
      if (connection.busy && connection.answer_at <= now) due.push_back(fd);
    for (const int fd : due) answer(fd);
  }

  void answer(int fd) {
    Connection& connection = connections_[fd];
    const auto message = whole_message(connection.in);
    const bool last = draining_ || message->close;
    const std::string body = text_ + " " + host_ + "\n";
    const std::string out =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
        (last ? "Connection: close\r\n" : "") + "\r\n" + body;
    connection.in.erase(0, message->size);
    connection.busy = false;
    connection.used = true;
    if (::send(fd, out.data(), out.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(out.size()) || last) close(fd);
  }

  const std::string text_, on_term_;
  std::string host_;
  std::uniform_int_distribution<int> slow_;
  std::minstd_rand random_{1};
  int epoll_, listener_ = -1;
  bool draining_ = false;
  Time drained_at_{};
  std::map<int, Connection> connections_;
};

}  // namespace

int serve(int argc, char** argv) {
  if (argc != 3 && argc != 5) {
    std::fputs("usage: http_load serve PORT TEXT drain|ignore|exit [SLOW_MIN_MS SLOW_MAX_MS]\n", stderr);
    return 2;
  }
  if (std::string_view(argv[2]) != "ignore") {
    struct sigaction action {};
    action.sa_handler = [](int) { g_told_to_end = 1; };
    ::sigaction(SIGTERM, &action, nullptr);
  } else {
    ::signal(SIGTERM, SIG_IGN);
  }
  return Server(std::atoi(argv[0]), argv[1], argv[2], argc == 5 ? std::atoi(argv[3]) : 0,
                argc == 5 ? std::atoi(argv[4]) : 0)
      .run();
}

}  // namespace load
