// SPDX-License-Identifier: Apache-2.0
// DNS messages (RFC 1035; EDNS: RFC 6891). What comes from the net is read with bounds checked at every step: no name
// longer than 255 bytes, no pointer that doesn't lead backwards, no record beyond the packet. Pure functions; any
// thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::network::dns {

inline constexpr std::uint16_t kA = 1, kCname = 5, kSoa = 6, kPtr = 12, kAaaa = 28, kSrv = 33, kOpt = 41, kAny = 255;
enum class Code : std::uint8_t {
  no_error = 0,
  format_error = 1,
  server_failure = 2,
  name_error = 3,
  not_implemented = 4,
  refused = 5
};

struct Query {
  std::uint16_t id = 0;
  bool recursion_desired = false;
  std::string name;  // lower case, without the final dot; "" is the root
  std::uint16_t type = 0, klass = 1;
  std::string question;  // the bytes as sent: answers keep the asker's case
  bool edns = false;
  std::size_t udp_bytes_max = 512;
};
// Errors: bad_request. A response, or a message with other than one question, is refused.
Result<Query> parse_query(std::string_view packet);

struct Record {
  std::string name;  // dotted, lower case
  std::uint16_t type = 0;
  std::uint32_t ttl_s = 0;
  std::string data;  // names in it are not compressed
};
Record make_a(std::string name, std::uint32_t ttl_s, std::uint32_t ipv4);
Record make_name(std::string name, std::uint16_t type, std::uint32_t ttl_s, std::string_view target);  // CNAME, PTR
Record make_srv(std::string name, std::uint32_t ttl_s, int port, std::string_view target);
Record make_soa(std::string zone, std::uint32_t ttl_s);

struct Answer {
  Code code = Code::no_error;
  bool authoritative = false;
  std::vector<Record> answers, authority, additional;
};
// Cut to `size_bytes_max` by dropping additional records first, then all records with the TC bit.
std::string make_response(const Query& query, const Answer& answer, std::size_t size_bytes_max);
// For what can't be read: an error with the id, when there is one; empty: say nothing.
std::string make_error(std::string_view packet, Code code);
std::string make_query(std::uint16_t id, std::string_view name, std::uint16_t type);

struct Reply {
  std::uint16_t id = 0;
  bool truncated = false;
  Code code = Code::no_error;
  std::string question;             // bytes
  std::vector<Record> answers;      // CNAME, A and AAAA only
  std::vector<std::size_t> ttl_at;  // where the times to live stand in the packet (OPT has none)
  std::uint32_t ttl_s_min = 0;      // over answers and authority; of an empty answer the SOA's
};
Result<Reply> parse_reply(std::string_view packet);

std::uint32_t read_u32(std::string_view packet, std::size_t at);
void write_u32(std::string& packet, std::size_t at, std::uint32_t value);

}  // namespace caisson::network::dns
