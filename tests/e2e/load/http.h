// SPDX-License-Identifier: Apache-2.0
// What both halves of the load program share: sockets, and as much of HTTP/1.1 as they speak to each other. Nothing of
// the product is used here: a test must not be fooled by a fault that both sides have.
#pragma once
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace load {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using std::chrono::milliseconds;

[[noreturn]] inline void die(const std::string& what) {
  std::fprintf(stderr, "%s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(2);
}

inline sockaddr_in address(const std::string& ip, int port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(port));
  if (inet_pton(AF_INET, ip.c_str(), &out.sin_addr) != 1) die("address " + ip);
  return out;
}

// A message's head and body: how long it is once it is whole, and whether the connection ends with it.
struct Message {
  std::size_t size = 0;
  std::string_view first_line, body;
  bool close = false;
};
inline std::optional<Message> whole_message(std::string_view bytes) {
  const auto head = bytes.find("\r\n\r\n");
  if (head == std::string_view::npos) return std::nullopt;
  const std::string_view text = bytes.substr(0, head + 2);
  Message out;
  out.first_line = text.substr(0, text.find("\r\n"));
  out.close = text.find("\r\nConnection: close\r\n") != std::string_view::npos;
  std::size_t length = 0;
  if (const auto at = text.find("\r\nContent-Length: "); at != std::string_view::npos)
    length = std::strtoul(text.data() + at + 18, nullptr, 10);
  if (bytes.size() < head + 4 + length) return std::nullopt;
  out.size = head + 4 + length;
  out.body = bytes.substr(head + 4, length);
  return out;
}

// Reads what is there. False at the end or on an error (errno; 0: the end).
inline bool read_available(int fd, std::string& into) {
  char buffer[16384];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n > 0) into.append(buffer, static_cast<std::size_t>(n));
    if (n == 0) errno = 0;
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 && errno == EAGAIN;
  }
}

}  // namespace load
