// SPDX-License-Identifier: Apache-2.0
// Socket addresses of both ends. Internal to the room. Any thread.
#pragma once
#include <sys/socket.h>

#include <string>

#include "core/base/file.h"
#include "core/base/result.h"

namespace caisson::http {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// A numeric address, or "localhost" (IPv4). Errors: bad_request.
Result<SocketAddress> numeric_address(const std::string& host, int port);
std::string address_text(const sockaddr_storage& storage);  // without port; IPv4-mapped IPv6 as IPv4
int address_port(const sockaddr_storage& storage);

// The address of a unix socket of any path length: a path too long for sockaddr_un goes through its directory's
// descriptor, which `directory` keeps open for as long as the address is used.
Result<SocketAddress> unix_address(const std::string& path, UniqueFd& directory);

}  // namespace caisson::http
