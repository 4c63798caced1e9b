// SPDX-License-Identifier: Apache-2.0
// The DNS server: UDP and TCP on one address, one thread with epoll. Names that the zone calls its own are answered
// from it; all others go to the resolvers that it names, or the host's, over the transport by which they came, with a
// small cache. RFC 1035, 7766. Limits: 1,000 forwarded queries at a time, 64 TCP clients, 2 s for each resolver's turn,
// 2,000 cached answers of at most 30 s.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "machine/network/dns_zone.h"

namespace caisson::network::dns {

// The nameserver lines of a resolv.conf, as "address" or "address:port" (the latter for tests), without `own_address`.
std::vector<std::string> read_resolvers(const std::string& path, const std::string& own_address);

bool is_resolver(std::string_view text);  // "10.0.0.1" or "10.0.0.1:5353"

class Server {
 public:
  struct Options {
    std::string address;
    int port = 53;  // 0: a free one
    std::string resolv_conf = "/etc/resolv.conf";
  };
  // `zone` is called on the server's thread and must not block.
  // Errors: already_exists "10.42.0.1:53 is in use".
  static Result<std::unique_ptr<Server>> start(
      const Options& options, std::function<ZoneAnswer(const std::string& name, std::uint16_t type)> zone);
  ~Server();
  int port() const;

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::network::dns
