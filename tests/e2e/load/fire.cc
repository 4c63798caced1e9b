// SPDX-License-Identifier: Apache-2.0
// The client of the load program: sends requests at a fixed rate, however long the answers take, until its standard
// input ends; then waits for the answers that are due and says what became of every request.
//   http_load fire NAME=MODE,RATE,IP:PORT,HOST[/PATH]...     one stream for each argument, RATE requests a second each
// MODE:
//   new     a connection for each request
//   keep    connections are kept and used again; one that the other side closed under a request is a failure
//   retry   as keep, but a request on a used connection that was closed before the first byte of an answer is sent once
//   more on
//           another: what RFC 9110, 9.2.2 allows for idempotent requests and every common client does
// Exit status 0 when no request failed. The last lines: "NAME: N answered, N failed, N sent again, slowest N ms, from:
// POD ...".
#include <csignal>
#include <map>
#include <set>
#include <vector>

#include "http.h"

namespace load {
namespace {

constexpr auto kAnswerMax = std::chrono::seconds(15);
constexpr int kFailuresTold = 10;

struct Stream {
  std::string name, mode, host, request;
  sockaddr_in to{};
  milliseconds::rep every_us = 0;
  Time next{};
  std::vector<int> idle;
  long answered = 0, failed = 0, again = 0;
  Clock::duration slowest{};
  std::set<std::string> from;
};

struct Connection {
  Stream* stream = nullptr;
  std::string in;
  bool connecting = true, busy = true, used = false;
  Time began{};
};

class Fire {
 public:
  explicit Fire(std::vector<Stream> streams) : streams_(std::move(streams)), epoll_(::epoll_create1(0)) {
    epoll_event event{EPOLLIN, {.fd = 0}};
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, 0, &event) != 0) die("epoll_ctl: standard input must be a pipe");
    for (Stream& stream : streams_) stream.next = Clock::now();
  }

  int run() {
    epoll_event events[256];
    Time checked = Clock::now();
    while (!over_ || busy_ > 0) {
      const int n = ::epoll_wait(epoll_, events, 256, wait_ms());
      for (int i = 0; i < n; ++i) {
        const int fd = events[i].data.fd;
        if (fd == 0)
          end_of_input();
        else if (connections_.contains(fd))
          ready(fd);
      }
      const Time now = Clock::now();
      for (Stream& stream : streams_) {
        for (; !over_ && stream.next <= now; stream.next += std::chrono::microseconds(stream.every_us))
          begin(stream, now, false);
      }
      if (now - checked > milliseconds(200)) {
        checked = now;
        give_up_on_late(now);
      }
    }
    return report();
  }

 private:
  int wait_ms() const {
    Time next = Clock::now() + milliseconds(100);
    if (!over_)
      for (const Stream& stream : streams_) next = std::min(next, stream.next);
    return static_cast<int>(std::max<long>(0, std::chrono::ceil<milliseconds>(next - Clock::now()).count()));
  }

  void end_of_input() {
    char bytes[256];
    if (::read(0, bytes, sizeof bytes) > 0) return;
    over_ = true;
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, 0, nullptr);
  }

  void begin(Stream& stream, Time began, bool fresh) {
    ++busy_;
    if (!fresh && !stream.idle.empty()) {
      const int fd = stream.idle.back();
      stream.idle.pop_back();
      Connection& connection = connections_[fd];
      connection.busy = connection.used = true;
      connection.began = began;
      return send_request(fd);
    }
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections_[fd] = Connection{&stream, {}, true, true, false, began};
    epoll_event event{EPOLLIN | EPOLLOUT, {.fd = fd}};
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&stream.to), sizeof stream.to) != 0 && errno != EINPROGRESS)
      lost(fd, std::string("connect: ") + std::strerror(errno));
  }

  void send_request(int fd) {
    const std::string& request = connections_[fd].stream->request;
    if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
      lost(fd, std::string("send: ") + std::strerror(errno));
  }

  void ready(int fd) {
    Connection& connection = connections_[fd];
    if (connection.connecting) {
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return lost(fd, std::string("connect: ") + std::strerror(error));
      connection.connecting = false;
      epoll_event event{EPOLLIN, {.fd = fd}};
      ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
      return send_request(fd);
    }
    const bool open = read_available(fd, connection.in);
    const int error = errno;
    if (const auto message = whole_message(connection.in); message && connection.busy)
      return answered(fd, *message, open);
    if (open) return;
    if (connection.busy) return lost(fd, error == 0 ? "closed without an answer" : std::strerror(error));
    std::erase(connection.stream->idle, fd);
    drop(fd);
  }

  void answered(int fd, const Message& message, bool open) {
    Connection& connection = connections_[fd];
    Stream& stream = *connection.stream;
    connection.busy = false;
    --busy_;
    stream.slowest = std::max(stream.slowest, Clock::now() - connection.began);
    if (message.first_line.find(" 200") != std::string_view::npos) {
      ++stream.answered;
      stream.from.insert(std::string(message.body.substr(0, message.body.find('\n'))));
    } else {
      failure(stream, std::string(message.first_line) + " | " + std::string(message.body.substr(0, 200)));
    }
    if (!open || message.close || stream.mode == "new") return drop(fd);
    connection.in.erase(0, message.size);
    stream.idle.push_back(fd);
  }

  void lost(int fd, const std::string& why) {
    const Connection connection = connections_[fd];
    Stream& stream = *connection.stream;
    --busy_;
    drop(fd);
    if (stream.mode == "retry" && connection.used && connection.in.empty()) {
      ++stream.again;
      return begin(stream, connection.began, true);
    }
    failure(stream, why + (connection.used ? " (on a used connection)" : ""));
  }

  void give_up_on_late(Time now) {
    std::vector<int> late;
    for (const auto& [fd, connection] : connections_)
      if (connection.busy && now - connection.began > kAnswerMax) late.push_back(fd);
    for (const int fd : late) {
      const std::string why = connections_[fd].connecting ? "no connection within 15 s" : "no answer within 15 s";
      const std::string used = connections_[fd].used ? ", used before" : ", new";
      connections_[fd].used = false;  // not sent again
      lost(fd, why + used + transport(fd));
    }
  }

  // What the kernel knows of the connection: whether something is still under way tells who lost it.
  static std::string transport(int fd) {
    tcp_info info{};
    socklen_t size = sizeof info;
    sockaddr_in own{};
    socklen_t own_size = sizeof own;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) != 0)
      return {};
    return ", from port " + std::to_string(ntohs(own.sin_port)) + ", state " + std::to_string(info.tcpi_state) + ", " +
           std::to_string(info.tcpi_unacked) + " unacknowledged, " + std::to_string(info.tcpi_total_retrans) +
           " sent again, last sent " + std::to_string(info.tcpi_last_data_sent) + " ms ago, last received " +
           std::to_string(info.tcpi_last_data_recv) + " ms ago";
  }

  void drop(int fd) {
    ::close(fd);
    connections_.erase(fd);
  }

  void failure(Stream& stream, const std::string& why) {
    if (++stream.failed > kFailuresTold) return;
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    tm utc{};
    ::gmtime_r(&now.tv_sec, &utc);
    std::fprintf(stderr, "%02d:%02d:%02d.%03ld %s: %s\n", utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000,
                 stream.name.c_str(), why.c_str());
  }

  int report() const {
    long failed = 0;
    for (const Stream& stream : streams_) {
      failed += stream.failed;
      std::printf("%s: %ld answered, %ld failed, %ld sent again, slowest %ld ms, from:", stream.name.c_str(),
                  stream.answered, stream.failed, stream.again,
                  std::chrono::ceil<milliseconds>(stream.slowest).count());
      for (const std::string& pod : stream.from) std::printf(" [%s]", pod.c_str());
      std::printf("\n");
    }
    return failed == 0 ? 0 : 1;
  }

  std::vector<Stream> streams_;
  int epoll_;
  bool over_ = false;
  int busy_ = 0;
  std::map<int, Connection> connections_;
};

std::optional<Stream> parse(const std::string& text) {
  Stream out;
  const auto equals = text.find('=');
  const auto mode_end = text.find(',', equals), rate_end = text.find(',', mode_end + 1),
             to_end = text.find(',', rate_end + 1);
  if (equals == std::string::npos || mode_end == std::string::npos || rate_end == std::string::npos ||
      to_end == std::string::npos)
    return std::nullopt;
  out.name = text.substr(0, equals);
  out.mode = text.substr(equals + 1, mode_end - equals - 1);
  const int rate = std::atoi(text.substr(mode_end + 1, rate_end - mode_end - 1).c_str());
  const std::string to = text.substr(rate_end + 1, to_end - rate_end - 1);
  out.host = text.substr(to_end + 1);
  const auto colon = to.find(':');
  if (rate <= 0 || colon == std::string::npos || (out.mode != "new" && out.mode != "keep" && out.mode != "retry"))
    return std::nullopt;
  out.to = address(to.substr(0, colon), std::atoi(to.substr(colon + 1).c_str()));
  out.every_us = 1000000 / rate;
  std::string path = "/work";
  if (const auto slash = out.host.find('/'); slash != std::string::npos) {
    path = out.host.substr(slash);
    out.host.resize(slash);
  }
  out.request = "GET " + path + " HTTP/1.1\r\nHost: " + out.host + "\r\n" +
                (out.mode == "new" ? "Connection: close\r\n" : "") + "\r\n";
  return out;
}

}  // namespace

int fire(int argc, char** argv) {
  std::vector<Stream> streams;
  for (int i = 0; i < argc; ++i) {
    auto stream = parse(argv[i]);
    if (!stream) {
      std::fprintf(stderr, "'%s' is not NAME=new|keep|retry,RATE,IP:PORT,HOST[/PATH]\n", argv[i]);
      return 2;
    }
    streams.push_back(std::move(*stream));
  }
  ::signal(SIGPIPE, SIG_IGN);
  return Fire(std::move(streams)).run();
}

}  // namespace load
