// SPDX-License-Identifier: Apache-2.0
// See dns_cache.h.
#include "machine/network/dns_cache.h"

#include "core/base/text.h"

namespace caisson::network::dns {
namespace {

constexpr std::size_t kEntriesMax = 2000;
constexpr std::uint32_t kTtlMax = 30;  // seconds: a wrong answer must not stay for long

std::string key_of(std::string_view query) {
  return to_lower(query.substr(std::min<std::size_t>(2, query.size())));
}

}  // namespace

std::optional<std::string> Cache::find(std::string_view query, const Query& parsed, Clock::time_point now) const {
  const auto found = entries_.find(key_of(query));
  if (found == entries_.end() || found->second.ends <= now) return std::nullopt;
  const Entry& entry = found->second;
  std::string out = entry.packet;
  out[0] = query[0];
  out[1] = query[1];
  out.replace(12, parsed.question.size(), parsed.question);
  const auto age =
      static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now - entry.stored).count());
  for (const std::size_t at : entry.ttl_at) {
    const std::uint32_t ttl = read_u32(out, at);
    write_u32(out, at, ttl > age ? ttl - age : 0);
  }
  return out;
}

void Cache::put(std::string_view query, std::string_view packet, const Reply& reply, Clock::time_point now) {
  const std::uint32_t ttl = std::min(reply.ttl_s_min, kTtlMax);
  if (ttl == 0 || reply.truncated || (reply.code != Code::no_error && reply.code != Code::name_error)) return;
  if (entries_.size() >= kEntriesMax)
    std::erase_if(entries_, [&](const auto& entry) { return entry.second.ends <= now; });
  if (entries_.size() >= kEntriesMax) entries_.clear();
  entries_[key_of(query)] = {std::string(packet), reply.ttl_at, now, now + std::chrono::seconds(ttl)};
}

}  // namespace caisson::network::dns
