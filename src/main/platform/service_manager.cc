// SPDX-License-Identifier: Apache-2.0
#include "main/platform/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <string>

#include "core/base/file.h"

namespace caisson::platform {

Result<void> notify_service_manager(std::string_view state) {
  const char* value = std::getenv("NOTIFY_SOCKET");
  const std::string_view path = value != nullptr ? value : "";
  if (path.empty()) return {};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if ((path[0] != '/' && path[0] != '@') || path.size() >= sizeof address.sun_path) {
    return Error{ErrorCode::bad_request, "NOTIFY_SOCKET " + std::string(path) + " is no socket"};
  }
  path.copy(address.sun_path, path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract socket
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error("make a socket for the service manager");
  if (::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
               length) < 0) {
    return errno_error("tell the service manager at " + std::string(path));
  }
  return {};
}

}  // namespace caisson::platform
