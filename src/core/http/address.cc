// SPDX-License-Identifier: Apache-2.0
#include "core/http/address.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

namespace caisson::http {

Result<SocketAddress> numeric_address(const std::string& host, int port) {
  SocketAddress out;
  const std::string text = host == "localhost" ? "127.0.0.1" : host;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(port));
    out.size = sizeof(sockaddr_in);
    return out;
  }
  if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(port));
    out.size = sizeof(sockaddr_in6);
    return out;
  }
  return Error{ErrorCode::bad_request, "'" + host + "' is not an IP address"};
}

std::string address_text(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr, text, sizeof text);
  } else if (storage.ss_family == AF_INET6) {
    const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address))
      inet_ntop(AF_INET, address.s6_addr + 12, text, sizeof text);
    else
      inet_ntop(AF_INET6, &address, text, sizeof text);
  }
  return text;
}

int address_port(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  return 0;
}

Result<SocketAddress> unix_address(const std::string& path, UniqueFd& directory) {
  SocketAddress out;
  auto* address = reinterpret_cast<sockaddr_un*>(&out.storage);
  address->sun_family = AF_UNIX;
  std::string text = path;
  if (text.size() >= sizeof address->sun_path) {
    directory.reset(open(path_dir(path).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return errno_error("open " + path_dir(path));
    text = "/proc/self/fd/" + std::to_string(directory.get()) + "/" + path_base(path);
  }
  if (text.size() >= sizeof address->sun_path) return Error{ErrorCode::bad_request, "socket name too long: " + path};
  std::memcpy(address->sun_path, text.c_str(), text.size() + 1);
  out.size = sizeof(sockaddr_un);
  return out;
}

}  // namespace caisson::http
