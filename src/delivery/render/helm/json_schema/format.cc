// SPDX-License-Identifier: Apache-2.0
// The formats of JSON Schema's drafts 4 to 7. Sources: RFC 1123, 3339, 3986, 4122, 5321.
#include <arpa/inet.h>

#include <algorithm>
#include <cctype>

#include "core/base/text.h"
#include "delivery/render/helm/json_schema.h"

namespace caisson::render::helm {
namespace {

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string ipv4(std::string_view text) {
  const auto parts = split(text, '.');
  if (parts.size() != 4) return "expected four decimals";
  for (const std::string_view part : parts) {
    if (!all_digits(part) || part.size() > 3 || *parse_int(part) > 255) return "decimal must be between 0 and 255";
    if (part.size() > 1 && part[0] == '0') return "leading zeros";
  }
  return {};
}

std::string ipv6(std::string_view text) {
  if (text.find(':') == std::string_view::npos) return "missing colon";
  if (text.find('%') != std::string_view::npos) return "zone id is not a part of ipv6 address";
  in6_addr address;
  return inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1 ? "" : "invalid address";
}

std::string hostname(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.size() > 253) return "more than 253 characters long";
  for (const std::string_view label : split(text, '.')) {
    if (label.empty() || label.size() > 63) return "label must be 1 to 63 characters long";
    if (label[0] == '-') return "label starts with hyphen";
    if (label.ends_with('-')) return "label ends with hyphen";
    for (const char c : label) {
      if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-')
        return "invalid character '" + std::string(1, c) + "'";
    }
  }
  return {};
}

std::string email(std::string_view text) {
  if (text.size() > 255) return "more than 255 characters long";
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return "missing @";
  const std::string_view local = text.substr(0, at), domain = text.substr(at + 1);
  if (local.size() > 64) return "local part more than 64 characters long";
  if (!(local.size() > 1 && local[0] == '"' && local.ends_with('"'))) {
    if (local.starts_with('.')) return "starts with dot";
    if (local.ends_with('.')) return "ends with dot";
    if (local.find("..") != std::string_view::npos) return "consecutive dots";
    for (const char c : local) {
      if (!std::isalnum(static_cast<unsigned char>(c)) &&
          std::string_view(".!#$%&'*+-/=?^_`{|}~").find(c) == std::string_view::npos)
        return "invalid character '" + std::string(1, c) + "'";
    }
  }
  if (domain.starts_with('[') && domain.ends_with(']')) {
    const std::string_view inner = domain.substr(1, domain.size() - 2);
    const std::string why = inner.starts_with("IPv6:") ? ipv6(inner.substr(5)) : ipv4(inner);
    return why.empty() ? "" : "invalid address: " + why;
  }
  const std::string why = hostname(domain);
  return why.empty() ? "" : "invalid domain: " + why;
}

std::string date(std::string_view text) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool shape = text.size() == 10 && text[4] == '-' && text[7] == '-' && all_digits(text.substr(0, 4)) &&
                     all_digits(text.substr(5, 2)) && all_digits(text.substr(8, 2));
  if (!shape) return "not of the form YYYY-MM-DD";
  const auto year = *parse_int(text.substr(0, 4)), month = *parse_int(text.substr(5, 2)),
             day = *parse_int(text.substr(8, 2));
  if (month < 1 || month > 12) return "month out of range";
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  const int days = kDays[month - 1] + (month == 2 && leap ? 1 : 0);
  return day >= 1 && day <= days ? "" : "day out of range";
}

std::string time_of_day(std::string_view text) {
  if (text.size() < 9) return "less than 9 characters long";
  if (text[2] != ':' || text[5] != ':') return "missing colon in correct place";
  for (const std::size_t at : {0, 3, 6}) {
    if (!all_digits(text.substr(at, 2))) return "invalid hour/min/sec";
  }
  if (*parse_int(text.substr(0, 2)) > 23 || *parse_int(text.substr(3, 2)) > 59 || *parse_int(text.substr(6, 2)) > 60)
    return "hour/min/sec out of range";
  std::string_view rest = text.substr(8);
  if (rest[0] == '.') {
    rest.remove_prefix(1);
    const std::size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
    if (digits == 0) return "no digits in second fraction";
    rest.remove_prefix(digits);
  }
  if (rest == "z" || rest == "Z") return {};
  if (rest.size() != 6) return "offset must be 6 characters long";
  if (rest[0] != '+' && rest[0] != '-') return "offset must begin with plus/minus";
  if (rest[3] != ':') return "missing colon in offset in correct place";
  if (!all_digits(rest.substr(1, 2)) || !all_digits(rest.substr(4, 2))) return "invalid hour/min in offset";
  return *parse_int(rest.substr(1, 2)) <= 23 && *parse_int(rest.substr(4, 2)) <= 59 ? ""
                                                                                    : "hour/min in offset out of range";
}

std::string date_time(std::string_view text) {
  if (text.size() < 20) return "less than 20 characters long";
  if (text[10] != 't' && text[10] != 'T') return "11th character must be t or T";
  if (const std::string why = date(text.substr(0, 10)); !why.empty()) return "invalid date element: " + why;
  const std::string why = time_of_day(text.substr(11));
  return why.empty() ? "" : "invalid time element: " + why;
}

std::string uuid(std::string_view text) {
  static constexpr std::size_t kGroups[] = {8, 4, 4, 4, 12};
  const auto groups = split(text, '-');
  if (groups.size() != 5) return "must have 5 elements";
  for (std::size_t i = 0; i < 5; ++i) {
    if (groups[i].size() != kGroups[i])
      return "element " + std::to_string(i + 1) + " must be " + std::to_string(kGroups[i]) + " characters long";
    for (const char c : groups[i]) {
      if (!std::isxdigit(static_cast<unsigned char>(c))) return "non-hex character '" + std::string(1, c) + "'";
    }
  }
  return {};
}

std::string uri(std::string_view text, bool absolute) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '<' || c == '>' || c == '"' || c == '\\' || c == '^' || c == '`' ||
        c == '{' || c == '}' || c == '|')
      return "parse \"" + std::string(text) + "\": invalid character in URI";
  }
  const std::size_t colon = text.find(':');
  const bool scheme = colon != std::string_view::npos && colon > 0 &&
                      std::isalpha(static_cast<unsigned char>(text[0])) &&
                      std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) {
                        return std::isalnum(static_cast<unsigned char>(c)) || c == '+' || c == '-' || c == '.';
                      });
  return absolute && !scheme ? "relative url" : "";
}

std::string json_pointer(std::string_view text) {
  if (text.empty()) return {};
  if (text[0] != '/') return "not starting with /";
  for (std::size_t at = text.find('~'); at != std::string_view::npos; at = text.find('~', at + 1)) {
    if (at + 1 >= text.size() || (text[at + 1] != '0' && text[at + 1] != '1')) return "~ must be followed by 0 or 1";
  }
  return {};
}

}  // namespace

std::string format_violation(std::string_view format, std::string_view text) {
  if (format == "ipv4") return ipv4(text);
  if (format == "ipv6") return ipv6(text);
  if (format == "hostname") return hostname(text);
  if (format == "email") return email(text);
  if (format == "date") return date(text);
  if (format == "time") return time_of_day(text);
  if (format == "date-time") return date_time(text);
  if (format == "uuid") return uuid(text);
  if (format == "uri") return uri(text, true);
  if (format == "uri-reference") return uri(text, false);
  if (format == "json-pointer") return json_pointer(text);
  return {};
}

}  // namespace caisson::render::helm
