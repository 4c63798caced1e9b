// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/logql/ip.h"

#include <arpa/inet.h>

#include <cstring>
#include <string>

#include "core/base/text.h"
#include "observe/logs/logql/fold.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs::logql {
namespace {

constexpr std::string_view kFour = "0123456789.", kSix = "0123456789abcdefABCDEF:.";
constexpr std::size_t kLongest = 45;

Error invalid(std::string_view text) {
  return {ErrorCode::bad_request, "ip: invalid pattern: " + metrics::quote(text)};
}

}  // namespace

std::optional<IpAddress> parse_ip(std::string_view text) {
  if (text.size() > kLongest || text.empty()) return std::nullopt;
  const std::string copy(text);
  IpAddress out{};
  if (::inet_pton(AF_INET, copy.c_str(), out.data() + 1) == 1) {
    out[0] = 4;
    return out;
  }
  if (::inet_pton(AF_INET6, copy.c_str(), out.data() + 1) != 1) return std::nullopt;
  out[0] = 6;
  return out;
}

Result<IpRange> IpRange::parse(std::string_view text) {
  IpRange range;
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    const auto first = parse_ip(trim(text.substr(0, dash))), last = parse_ip(trim(text.substr(dash + 1)));
    if (!first || !last || (*first)[0] != (*last)[0] || *last < *first) return invalid(text);
    range.first_ = *first;
    range.last_ = *last;
    return range;
  }
  const std::size_t slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash));
  if (!address) return invalid(text);
  range.first_ = range.last_ = *address;
  if (slash == std::string_view::npos) return range;
  const int bits = (*address)[0] == 4 ? 32 : 128;
  const auto length = parse_int(text.substr(slash + 1));
  if (!length || *length < 0 || *length > bits) return invalid(text);
  for (int bit = static_cast<int>(*length); bit < bits; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80 >> bit % 8);
    range.first_[static_cast<std::size_t>(1 + bit / 8)] &= static_cast<std::uint8_t>(~mask);
    range.last_[static_cast<std::size_t>(1 + bit / 8)] |= mask;
  }
  return range;
}

bool contains_address(std::string_view line, const IpRange& range) {
  for (std::size_t at = 0; at < line.size();) {
    at = line.find_first_of(kSix, at);
    if (at == std::string_view::npos) return false;
    const std::size_t end = std::min(line.find_first_not_of(kSix, at), line.size());
    const std::string_view word = line.substr(at, end - at);
    // "host:10.0.0.1:8080", and a colon or a full stop behind an address, are common.
    std::string_view trimmed = word, inner = word.substr(std::min(word.find_first_not_of(':'), word.size()));
    while (!trimmed.empty() && (trimmed.back() == '.' || trimmed.back() == ':')) trimmed.remove_suffix(1);
    inner = inner.substr(0, inner.find_first_not_of(kFour));
    while (!inner.empty() && inner.back() == '.') inner.remove_suffix(1);
    for (const std::string_view candidate : {word, trimmed, inner}) {
      const auto address = candidate.size() >= 2 ? parse_ip(candidate) : std::nullopt;
      if (address && range.holds(*address)) return true;
    }
    at = end;
  }
  return false;
}

Result<void> check_ip(std::string_view text) {
  TRY(IpRange::parse(text));
  return {};
}

}  // namespace caisson::logs::logql
