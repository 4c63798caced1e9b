// SPDX-License-Identifier: Apache-2.0
#include "main/platform/service_manager.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>

#include "core/base/file.h"

namespace caisson::platform {

TEST_CASE("a service manager is told by its socket, and nobody when there is none") {
  const auto dir = TempDir::make();
  REQUIRE(dir.ok());
  const std::string path = dir->path() + "/notify";
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  char text[64] = {};

  ::unsetenv("NOTIFY_SOCKET");
  CHECK(notify_service_manager("READY=1").ok());
  CHECK(::recv(fd.get(), text, sizeof text, 0) < 0);

  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  CHECK(notify_service_manager("READY=1").ok());
  REQUIRE(::recv(fd.get(), text, sizeof text, 0) == 7);
  CHECK(std::string(text) == "READY=1");

  ::setenv("NOTIFY_SOCKET", "relative", 1);
  CHECK(notify_service_manager("READY=1").error().message == "NOTIFY_SOCKET relative is no socket");
  ::setenv("NOTIFY_SOCKET", (path + "-gone").c_str(), 1);
  CHECK(notify_service_manager("READY=1").error().code == ErrorCode::not_found);
  ::unsetenv("NOTIFY_SOCKET");
}

}  // namespace caisson::platform
