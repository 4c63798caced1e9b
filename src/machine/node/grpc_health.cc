// SPDX-License-Identifier: Apache-2.0
#include "machine/node/grpc_health.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "core/base/file.h"
#include "core/base/protobuf.h"

namespace caisson::node {
namespace {

enum FrameType : std::uint8_t { kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kGoAway = 7 };
constexpr std::uint8_t kAck = 1, kEndStream = 1, kEndHeaders = 4, kPadded = 8;
constexpr std::size_t kFrameHead = 9, kMessageHead = 5, kFrameMax = 16'384, kAnswerMax = 256u << 10;
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t kServiceMax = 4'096;

std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  const std::size_t size = payload.size();
  std::string out;
  for (const int shift : {16, 8, 0}) out += static_cast<char>(size >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift);
  return out.append(payload);
}

// A literal header field that is not indexed; names and values here are shorter than 127 bytes.
std::string field(std::string_view name, std::string_view value) {
  std::string out(1, '\0');
  out += static_cast<char>(name.size());
  out.append(name);
  out += static_cast<char>(value.size());
  return out.append(value);
}

std::string request_headers(const std::string& authority) {
  return field(":method", "POST") + field(":scheme", "http") + field(":path", "/grpc.health.v1.Health/Check") +
         field(":authority", authority) + field("content-type", "application/grpc") + field("te", "trailers") +
         field("user-agent", "kube-probe/1.33");
}

// HealthCheckRequest{service = 1}, with gRPC's head: not compressed, length.
std::string request_message(std::string_view service) {
  const std::string body = service.empty() ? "" : protobuf::Writer().bytes(1, service).take();
  std::string out(1, '\0');
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(body.size() >> shift);
  return out + body;
}

std::string_view status_name(int status) {
  constexpr std::string_view kNames[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
  return status >= 0 && status < 4 ? kNames[status] : "UNKNOWN";
}

// HealthCheckResponse{status = 1}: an empty message is UNKNOWN.
int status_of(std::string_view message) {
  protobuf::Reader field(message);
  int status = 0;
  for (auto more = field.next(); more.ok() && *more; more = field.next())
    if (field.number() == 1) status = static_cast<int>(field.integer());
  return status;
}

class Call {
 public:
  Call(std::string where, Duration time_max)
      : where_(std::move(where)), until_(system_clock().monotonic() + time_max) {}

  Result<void> connect(const std::string& ip, int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    if (::inet_pton(AF_INET, ip.c_str(), &address.sin_addr) != 1)
      return Error{ErrorCode::invalid, where_ + ": not an IPv4 address"};
    fd_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd_) return errno_error("open a socket");
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return {};
    if (errno != EINPROGRESS) return failed(std::strerror(errno));
    TRY(wait(POLLOUT));
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    return error == 0 ? Result<void>() : failed(std::strerror(error));
  }

  Result<void> send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        TRY(wait(POLLOUT));
      } else if (errno != EINTR) {
        return failed(std::strerror(errno));
      }
    }
    return {};
  }

  // The message of the answer, without gRPC's head.
  Result<std::string> answer() {
    std::string message;
    for (std::size_t seen = 0; seen < kAnswerMax;) {
      TRY(fill(kFrameHead));
      const auto byte = [this](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(in_[i])); };
      const std::size_t size = (byte(0) << 16) | (byte(1) << 8) | byte(2);
      if (size > kFrameMax) return no_health();  // not HTTP/2 at all, most likely
      TRY(fill(kFrameHead + size));
      const auto type = static_cast<std::uint8_t>(in_[3]), flags = static_cast<std::uint8_t>(in_[4]);
      std::string payload = in_.substr(kFrameHead, size);
      in_.erase(0, kFrameHead + size);
      seen += kFrameHead + size;
      if (type == kSettings && !(flags & kAck)) TRY(send(frame(kSettings, kAck, 0, "")));
      if (type == kPing && !(flags & kAck)) TRY(send(frame(kPing, kAck, 0, payload)));
      if (type == kReset || type == kGoAway) return no_health();
      if (type == kData) {
        if ((flags & kPadded) && !payload.empty()) {
          const std::size_t padding = static_cast<unsigned char>(payload[0]);
          if (padding + 1 > payload.size()) return no_health();
          payload = payload.substr(1, payload.size() - 1 - padding);
        }
        message += payload;
      }
      if (const auto whole = message_in(message)) return *whole;
      if ((type == kData || type == kHeaders) && (flags & kEndStream)) return no_health();
    }
    return no_health();
  }

 private:
  static std::optional<std::string> message_in(const std::string& data) {
    if (data.size() < kMessageHead) return std::nullopt;
    std::size_t size = 0;
    for (std::size_t i = 1; i < kMessageHead; ++i) size = (size << 8) | static_cast<unsigned char>(data[i]);
    if (data.size() - kMessageHead < size) return std::nullopt;
    return data.substr(kMessageHead, size);
  }

  Result<void> fill(std::size_t wanted) {
    char buffer[4096];
    while (in_.size() < wanted) {
      const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (got > 0) {
        in_.append(buffer, static_cast<std::size_t>(got));
      } else if (got == 0) {
        return no_health();
      } else if (errno == EAGAIN) {
        TRY(wait(POLLIN));
      } else if (errno != EINTR) {
        return failed(std::strerror(errno));
      }
    }
    return {};
  }

  Result<void> wait(short events) {
    for (;;) {
      const Duration left = until_ - system_clock().monotonic();
      pollfd one{fd_.get(), events, 0};
      const auto ms = std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(left).count());
      const int ready = ::poll(&one, 1, static_cast<int>(ms));
      if (ready > 0) return {};
      if (ready == 0) return Error{ErrorCode::timeout, "timeout: health rpc did not complete: " + where_};
      if (errno != EINTR) return errno_error("poll");
    }
  }

  Error failed(const char* why) const {
    return {ErrorCode::unavailable, "failed to connect service \"" + where_ + "\": " + why};
  }
  Error no_health() const {
    return {ErrorCode::unavailable,
            where_ +
                " gave no health response: the gRPC health protocol (grpc.health.v1.Health) is not implemented, or "
                "the service is not known to it"};
  }

  const std::string where_;
  const Duration until_;
  UniqueFd fd_;
  std::string in_;
};

}  // namespace

Result<void> grpc_health(const std::string& ip, int port, std::string_view service, Duration time_max) {
  if (service.size() > kServiceMax) return Error{ErrorCode::invalid, "the service's name is too long"};
  const std::string where = ip + ":" + std::to_string(port);
  Call call(where, time_max);
  TRY(call.connect(ip, port));
  TRY(call.send(std::string(kPreface) + frame(kSettings, 0, 0, "") +
                frame(kHeaders, kEndHeaders, 1, request_headers(where)) +
                frame(kData, kEndStream, 1, request_message(service))));
  const std::string message = TRY(call.answer());
  const int status = status_of(message);
  if (status == 1) return {};
  return Error{ErrorCode::unavailable,
               "service unhealthy (responded with \"" + std::string(status_name(status)) + "\")"};
}

}  // namespace caisson::node
