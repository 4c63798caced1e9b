// SPDX-License-Identifier: Apache-2.0
#include "main/platform/instance.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::platform {
namespace {

// A range that a route of this machine surely overlaps; empty where there is none but the default route.
std::string range_in_use() {
  const auto routes = read_file("/proc/net/route");
  if (!routes.ok()) return "";
  for (const auto line : split(*routes, '\n')) {
    const auto columns = split(line, '\t');
    if (columns.size() < 8 || columns[0] == "Iface" || columns[7] == "00000000") continue;
    const in_addr address{static_cast<in_addr_t>(std::stoul(std::string(columns[1]), nullptr, 16))};
    return std::string(inet_ntoa(address)) + "/24";
  }
  return "";
}

TEST_CASE("a new instance may not take a range in use, and an old one keeps its own") {
  const std::string taken = range_in_use();
  if (taken.empty()) return;
  const auto dir = TempDir::make();
  REQUIRE(dir.ok());
  Settings settings;
  settings.data_dir = dir->path() + "/data";
  settings.pod_cidr = taken;
  const auto refused = prepare_instance(settings);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::conflict);
  CHECK(refused.error().message.find("choose another with --pod-cidr") != std::string::npos);

  // A platform that was stopped leaves its routes: the next start finds them, and they are its own.
  REQUIRE(make_dirs(settings.data_dir).ok());
  const std::string kept =
      R"({"version": 1, "id": "0a1b2c", "settings": {"podCIDR": ")" + taken + R"(", "serviceCIDR": "10.251.0.0/16"}})";
  REQUIRE(write_file(settings.data_dir + "/instance.json", kept).ok());
  for (const std::string& wanted : {std::string(), taken}) {
    settings.pod_cidr = wanted;
    const auto again = prepare_instance(settings);
    REQUIRE_MESSAGE(again.ok(), again.error().message);
    CHECK(again->id == "0a1b2c");
    CHECK(again->settings.pod_cidr == taken);
    CHECK(again->settings.service_cidr == "10.251.0.0/16");
  }
}

TEST_CASE("a setting that can't be is refused before anything is written") {
  const auto dir = TempDir::make();
  REQUIRE(dir.ok());
  Settings settings;
  settings.data_dir = dir->path() + "/data";
  settings.ports.api = 0;
  const auto refused = prepare_instance(settings);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message == "setting 'apiPort' can't be 0");
  CHECK_FALSE(exists(settings.data_dir));
}

TEST_CASE("a port that somebody holds is named with the flag that changes it") {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(fd.get(), 1) == 0);
  REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  Settings settings;
  settings.data_dir = "/nonexistent";
  settings.ports = {.api = 1, .portal = ntohs(address.sin_port), .registry = 1, .http = 1, .https = 1};
  if (::geteuid() != 0)
    settings.ports.api = settings.ports.registry = settings.ports.http = settings.ports.https = ntohs(address.sin_port);
  const auto taken = ports_taken(settings);
  REQUIRE(taken.ok());
  bool found = false;
  for (const PortTaken& port : *taken)
    found = found || (port.port == ntohs(address.sin_port) && port.flag == "--portal-port");
  CHECK(found);
  settings.listen = "localhost";
  CHECK(ports_taken(settings).error().message == "--listen localhost is not an IPv4 address");
}

}  // namespace
}  // namespace caisson::platform
