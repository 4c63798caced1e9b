// SPDX-License-Identifier: Apache-2.0
#include "core/http/transport.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "core/http/address.h"

namespace caisson::http {

Duration monotonic_now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

Duration deadline_after(Duration time_max) {
  return time_max.count() <= 0 ? Duration::max() : monotonic_now() + time_max;
}

namespace {

Error gone(std::string_view what) {
  return Error{ErrorCode::unavailable, std::string(what) + ": " + std::strerror(errno)};
}

Result<void> wait_fd(int fd, short events, Duration deadline) {
  for (;;) {
    int wait_ms = -1;
    if (deadline != Duration::max()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - monotonic_now()).count();
      if (left <= 0) return Error{ErrorCode::timeout, "timed out"};
      wait_ms = static_cast<int>(std::min<std::int64_t>(left, 3'600'000));
    }
    pollfd item{fd, events, 0};
    const int count = poll(&item, 1, wait_ms);
    if (count > 0) return {};
    if (count < 0 && errno != EINTR) return gone("poll");
  }
}

Result<UniqueFd> connect_address(const SocketAddress& address, Duration deadline) {
  UniqueFd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return gone("socket");
  if (connect(fd.get(), address.get(), address.size) != 0) {
    if (errno != EINPROGRESS && errno != EAGAIN) return gone("connect");
    if (errno == EAGAIN) {  // a unix socket whose backlog is full: the only wait there is
      return Error{ErrorCode::unavailable, "connect: the listener's queue is full"};
    }
    TRY(wait_fd(fd.get(), POLLOUT, deadline).in("connect"));
    socklen_t size = sizeof errno;
    int failure = 0;
    getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure != 0) {
      errno = failure;
      return gone("connect");
    }
  }
  if (address.storage.ss_family != AF_UNIX) {
    const int on = 1, idle_seconds = 30;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof idle_seconds);
  }
  return fd;
}

}  // namespace

Result<std::unique_ptr<Transport>> Transport::connect_tcp(const std::string& host, int port, Duration deadline) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  in6_addr numeric{};
  if (inet_pton(AF_INET, host.c_str(), &numeric) == 1 || inet_pton(AF_INET6, host.c_str(), &numeric) == 1)
    hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failure != 0) return Error{ErrorCode::unavailable, "look up " + host + ": " + gai_strerror(failure)};
  const Owned<addrinfo, freeaddrinfo> addresses(found);
  Result<UniqueFd> last = Error{ErrorCode::unavailable, "look up " + host + ": no address"};
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, info->ai_addr, info->ai_addrlen);
    address.size = info->ai_addrlen;
    last = connect_address(address, deadline);
    if (last.ok()) return std::make_unique<Transport>(std::move(last).value());
    if (last.error().code == ErrorCode::timeout) break;
  }
  return std::move(last).error();
}

Result<std::unique_ptr<Transport>> Transport::connect_unix(const std::string& path, Duration deadline) {
  UniqueFd directory;
  const SocketAddress address = TRY(unix_address(path, directory));
  return std::make_unique<Transport>(TRY(connect_address(address, deadline)));
}

Result<void> Transport::start_tls(SSL_CTX* context, const std::string& host, bool verify, Duration deadline) {
  SslPtr ssl(SSL_new(context));
  if (!ssl || SSL_set_fd(ssl.get(), fd_.get()) != 1) return openssl_error("TLS");
  in6_addr numeric{};
  const bool is_address =
      inet_pton(AF_INET, host.c_str(), &numeric) == 1 || inet_pton(AF_INET6, host.c_str(), &numeric) == 1;
  if (!is_address) SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  if (verify) {
    X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl.get());
    const int set = is_address ? X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str())
                               : X509_VERIFY_PARAM_set1_host(parameters, host.data(), host.size());
    if (set != 1) return openssl_error("TLS: name to verify");
  }
  for (;;) {
    ERR_clear_error();
    const int result = SSL_connect(ssl.get());
    if (result == 1) break;
    const int error = SSL_get_error(ssl.get(), result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      TRY(wait_fd(fd_.get(), error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline).in("TLS handshake"));
      continue;
    }
    const long verdict = SSL_get_verify_result(ssl.get());
    if (verify && verdict != X509_V_OK) {
      ERR_clear_error();
      return Error{ErrorCode::unavailable,
                   std::string("TLS: the certificate can't be trusted: ") + X509_verify_cert_error_string(verdict)};
    }
    return openssl_error("TLS handshake", ErrorCode::unavailable);
  }
  ssl_ = std::move(ssl);
  return {};
}

Result<void> Transport::wait(short events, Duration deadline) {
  TRY(wait_fd(fd_.get(), events, deadline));
  if (shut_down_) return Error{ErrorCode::unavailable, "cancelled"};
  return {};
}

// Called with ssl_mutex_ held, after an SSL call that did not succeed.
Result<std::optional<int>> Transport::ssl_step(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return std::optional<int>(POLLIN);
    case SSL_ERROR_WANT_WRITE:
      return std::optional<int>(POLLOUT);
    case SSL_ERROR_ZERO_RETURN:
      return std::optional<int>();
    case SSL_ERROR_SYSCALL:
      ERR_clear_error();
      return gone("connection");
    default:
      return openssl_error("TLS", ErrorCode::unavailable);
  }
}

Result<std::string> Transport::read_some(Duration deadline) {
  std::string buffer(32u << 10, '\0');
  for (;;) {
    int events = POLLIN;
    if (ssl_) {
      const std::scoped_lock lock(ssl_mutex_);
      ERR_clear_error();
      const int count = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
      if (count > 0) {
        buffer.resize(static_cast<std::size_t>(count));
        return buffer;
      }
      const std::optional<int> needed = TRY(ssl_step(count));
      if (!needed) return std::string();
      events = *needed;
    } else {
      const ssize_t count = recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (count >= 0) {
        buffer.resize(static_cast<std::size_t>(count));
        if (shut_down_) return Error{ErrorCode::unavailable, "cancelled"};
        return buffer;
      }
      if (errno != EAGAIN && errno != EINTR) return gone("read");
    }
    TRY(wait(static_cast<short>(events), deadline));
  }
}

Result<void> Transport::write(std::string_view bytes, Duration deadline) {
  while (!bytes.empty()) {
    int events = POLLOUT;
    if (ssl_) {
      const std::scoped_lock lock(ssl_mutex_);
      ERR_clear_error();
      const int count =
          SSL_write(ssl_.get(), bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), 1u << 30)));
      if (count > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(count));
        continue;
      }
      const std::optional<int> needed = TRY(ssl_step(count));
      if (!needed) return Error{ErrorCode::unavailable, "the server closed the connection"};
      events = *needed;
    } else {
      const ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(count));
        continue;
      }
      if (errno != EAGAIN && errno != EINTR) return gone("write");
    }
    TRY(wait(static_cast<short>(events), deadline));
  }
  return {};
}

bool Transport::has_input() {
  pollfd item{fd_.get(), POLLIN, 0};
  if (ssl_) {
    const std::scoped_lock lock(ssl_mutex_);
    if (SSL_pending(ssl_.get()) > 0) return true;
    if (poll(&item, 1, 0) <= 0) return false;
    char byte = 0;  // readable, but perhaps only a session ticket
    ERR_clear_error();
    const int count = SSL_peek(ssl_.get(), &byte, 1);
    if (count > 0) return true;
    const int error = SSL_get_error(ssl_.get(), count);
    ERR_clear_error();
    return error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
  }
  return poll(&item, 1, 0) > 0;
}

void Transport::shut_down() {
  shut_down_ = true;
  shutdown(fd_.get(), SHUT_RDWR);
}

}  // namespace caisson::http
