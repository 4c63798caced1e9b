// SPDX-License-Identifier: Apache-2.0
// For tests that need root: a host of their own (a network namespace), pods below it, and small servers and clients
// inside them. Nothing outside the namespaces is touched; they vanish with their last descriptor.
#pragma once
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <exception>
#include <functional>
#include <string>
#include <thread>

#include "core/base/file.h"
#include "core/base/result.h"
#include "machine/network/netlink.h"

namespace caisson::network::testing {

inline UniqueFd thread_namespace() {
  const std::string path = "/proc/self/task/" + std::to_string(::syscall(SYS_gettid)) + "/ns/net";
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

class Namespace {
 public:
  Namespace() {
    std::thread([this] {
      if (::unshare(CLONE_NEWNET) == 0) fd_ = thread_namespace();
    }).join();
  }
  explicit operator bool() const { return static_cast<bool>(fd_); }
  std::string path() const { return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get()); }
  // Threads that `call` starts stay in the namespace.
  void run(const std::function<void()>& call) const {
    std::exception_ptr failed;  // of a REQUIRE
    std::thread([&] {
      try {
        if (::setns(fd_.get(), CLONE_NEWNET) == 0) call();
      } catch (...) {
        failed = std::current_exception();
      }
    }).join();
    if (failed) std::rethrow_exception(failed);
  }

 private:
  UniqueFd fd_;
};

inline sockaddr_in address_of(const std::string& ip, int port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(port));
  ::inet_pton(AF_INET, ip.c_str(), &out.sin_addr);
  return out;
}

// Answers every HTTP request with "NAME CLIENT-ADDRESS", and every datagram with NAME, on one port of its namespace.
class PodServer {
 public:
  PodServer(const Namespace& where, std::string name, int port) : name_(std::move(name)) {
    where.run([&] {
      tcp_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      udp_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      const int on = 1;
      ::setsockopt(tcp_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      const sockaddr_in any = address_of("0.0.0.0", port);
      ready_ = ::bind(tcp_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0 &&
               ::listen(tcp_.get(), 64) == 0 &&
               ::bind(udp_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0;
      accepting_ = std::thread([this] { accept_loop(); });
      datagrams_ = std::thread([this] { datagram_loop(); });
    });
  }
  ~PodServer() {
    ::shutdown(tcp_.get(), SHUT_RDWR);
    ::shutdown(udp_.get(), SHUT_RDWR);
    accepting_.join();
    datagrams_.join();
    for (auto& fd : connections_) ::shutdown(fd.get(), SHUT_RDWR);
    for (auto& thread : threads_) thread.join();
  }
  bool ready() const { return ready_; }
  int requests() const { return requests_; }

 private:
  void accept_loop() {
    for (;;) {
      sockaddr_in from{};
      socklen_t size = sizeof from;
      UniqueFd fd(::accept4(tcp_.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC));
      if (!fd) return;
      const int number = fd.get();
      connections_.push_back(std::move(fd));
      threads_.emplace_back([this, number, from] { serve(number, format_ipv4(ntohl(from.sin_addr.s_addr))); });
    }
  }
  void serve(int fd, const std::string& client) {
    std::string in;
    char buffer[4096];
    for (;;) {
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) return;
      in.append(buffer, static_cast<std::size_t>(got));
      for (auto end = in.find("\r\n\r\n"); end != std::string::npos; end = in.find("\r\n\r\n")) {
        const std::string head = in.substr(0, end);
        in.erase(0, end + 4);
        ++requests_;
        const std::string body = name_ + " " + client + "\n" + head + "\n";
        const std::string out = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
        if (::send(fd, out.data(), out.size(), MSG_NOSIGNAL) < 0) return;
      }
    }
  }
  void datagram_loop() {
    char buffer[512];
    for (;;) {
      sockaddr_in from{};
      socklen_t size = sizeof from;
      const ssize_t got = ::recvfrom(udp_.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got <= 0) return;
      ::sendto(udp_.get(), name_.data(), name_.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
  const std::string name_;
  std::atomic<bool> ready_ = false;
  std::atomic<int> requests_ = 0;
  UniqueFd tcp_, udp_;
  std::thread accepting_, datagrams_;
  std::vector<UniqueFd> connections_;
  std::vector<std::thread> threads_;
};

// One HTTP request on a new connection from this thread's namespace; "" when there is no answer, "refused" at once when
// refused.
inline std::string ask(const std::string& ip, int port, const std::string& host = "x", const std::string& path = "/") {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval time_max{3, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &time_max, sizeof time_max);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &time_max, sizeof time_max);
  const sockaddr_in to = address_of(ip, port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
    return errno == ECONNREFUSED ? "refused" : std::string();
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n";
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return {};
  std::string out;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::recv(fd.get(), buffer, sizeof buffer, 0);
    if (got <= 0) break;
    out.append(buffer, static_cast<std::size_t>(got));
    const auto head = out.find("\r\n\r\n");
    const auto length = out.find("Content-Length: ");
    if (head != std::string::npos && length < head && out.size() >= head + 4 + std::stoul(out.substr(length + 16)))
      break;
  }
  const auto head = out.find("\r\n\r\n");
  return head == std::string::npos ? std::string() : out.substr(head + 4);
}

// The first word of an answer: which server it was.
inline std::string who(const std::string& answer) {
  return answer.substr(0, answer.find(' '));
}

}  // namespace caisson::network::testing
