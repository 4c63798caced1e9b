// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/url.h"

#include <algorithm>

#include "core/base/text.h"
#include "core/expr/go_template/unicode.h"

namespace caisson::go_template {
namespace {

enum class Part { path, host, zone, userinfo, query, fragment };

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

bool is_word(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x80 && (is_letter(byte) || is_digit(byte));
}

bool must_escape(char c, Part part) {
  if (is_word(c)) return false;
  const auto among = [&](std::string_view set) { return set.find(c) != std::string_view::npos; };
  if ((part == Part::host || part == Part::zone) && among("!$&'()*+,;=:[]<>\"")) return false;
  if (among("-_.~")) return false;
  if (among("$&+,/:;=?@")) {
    switch (part) {
      case Part::path:
        return c == '?';
      case Part::userinfo:
        return among("@/?:");
      case Part::query:
        return true;
      case Part::fragment:
        return false;
      default:
        break;
    }
  }
  return !(part == Part::fragment && among("!()*"));
}

std::string escaped(std::string_view text, Part part) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (!must_escape(c, part)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 0xF];
  }
  return out;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

Result<std::string> unescaped(std::string_view text, Part part) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '%') {
      const bool bad_host = part == Part::host && static_cast<unsigned char>(c) < 0x80 && must_escape(c, part);
      if (bad_host) return invalid("invalid character " + quote(std::string(1, c)) + " in host name");
      out += c;
      continue;
    }
    const bool is_hex = i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0;
    const std::string shown(text.substr(i, 3));
    if (!is_hex) return invalid("invalid URL escape " + quote(shown));
    const int value = hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]);
    if (part == Part::host && value < 0x80 && shown != "%25") return invalid("invalid URL escape " + quote(shown));
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

// Is what was written a way to write `decoded`, and not the one that we would choose?
std::string raw_form(std::string_view written, const std::string& decoded, Part part) {
  return escaped(decoded, part) == written ? std::string() : std::string(written);
}

bool is_port(std::string_view port) {
  return port.empty() ||
         (port[0] == ':' && std::all_of(port.begin() + 1, port.end(), [](char c) { return c >= '0' && c <= '9'; }));
}

Result<std::string> parsed_host(std::string_view host) {
  const auto bad_port = [](std::string_view port) { return invalid("invalid port " + quote(port) + " after host"); };
  if (host.starts_with('[')) {
    const std::size_t close = host.rfind(']');
    if (close == std::string_view::npos) return invalid("missing ']' in host");
    if (!is_port(host.substr(close + 1))) return bad_port(host.substr(close + 1));
  } else if (const std::size_t colon = host.rfind(':'); colon != std::string_view::npos) {
    if (!is_port(host.substr(colon))) return bad_port(host.substr(colon));
  }
  return unescaped(host, Part::host);
}

Result<void> parse_authority(std::string_view authority, Url& out) {
  const std::size_t at = authority.rfind('@');
  out.host = TRY(parsed_host(at == std::string_view::npos ? authority : authority.substr(at + 1)));
  if (at == std::string_view::npos) return {};
  const std::string_view userinfo = authority.substr(0, at);
  const bool valid = std::all_of(userinfo.begin(), userinfo.end(), [](char c) {
    return is_word(c) || std::string_view("-._:~!$&'()*+,;=%@").find(c) != std::string_view::npos;
  });
  if (!valid) return invalid("net/url: invalid userinfo");
  const std::size_t colon = userinfo.find(':');
  out.user = TRY(unescaped(userinfo.substr(0, colon), Part::userinfo));
  if (colon != std::string_view::npos) out.password = TRY(unescaped(userinfo.substr(colon + 1), Part::userinfo));
  return {};
}

// The scheme in front of `rest`, taken off it.
Result<std::string> take_scheme(std::string_view& rest) {
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const char c = rest[i];
    const bool is_later = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    if (c == ':') {
      if (i == 0) return invalid("missing protocol scheme");
      std::string scheme = lower_text(rest.substr(0, i));
      rest.remove_prefix(i + 1);
      return scheme;
    }
    if (is_letter(static_cast<unsigned char>(c)) && static_cast<unsigned char>(c) < 0x80) continue;
    if (!is_later || i == 0) break;
  }
  return std::string();
}

Result<Url> parse_without_fragment(std::string_view rest) {
  const bool has_control =
      std::any_of(rest.begin(), rest.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7F; });
  if (has_control) return invalid("net/url: invalid control character in URL");
  Url out;
  if (rest == "*") {
    out.path = "*";
    return out;
  }
  out.scheme = TRY(take_scheme(rest));
  if (rest.ends_with('?') && std::count(rest.begin(), rest.end(), '?') == 1) {
    out.force_query = true;
    rest.remove_suffix(1);
  } else if (const std::size_t question = rest.find('?'); question != std::string_view::npos) {
    out.raw_query = std::string(rest.substr(question + 1));
    rest = rest.substr(0, question);
  }
  if (!rest.starts_with('/')) {
    if (!out.scheme.empty()) {
      out.opaque = std::string(rest);
      return out;
    }
    if (rest.substr(0, rest.find('/')).find(':') != std::string_view::npos) {
      return invalid("first path segment in URL cannot contain colon");
    }
  }
  if (rest.starts_with("//") && (!out.scheme.empty() || !rest.starts_with("///"))) {
    rest.remove_prefix(2);
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    TRY(parse_authority(rest.substr(0, slash), out));
    rest.remove_prefix(slash);
  } else if (!out.scheme.empty() && rest.starts_with('/')) {
    out.omit_host = true;
  }
  out.path = TRY(unescaped(rest, Part::path));
  out.raw_path = raw_form(rest, out.path, Part::path);
  return out;
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  const std::size_t hash = text.find('#');
  const std::string_view before = text.substr(0, hash);
  auto url = parse_without_fragment(before);
  if (!url.ok()) return std::move(url).error().in("parse " + quote(before));
  Url out = std::move(url).value();
  if (hash != std::string_view::npos && hash + 1 < text.size()) {
    const std::string_view fragment = text.substr(hash + 1);
    auto decoded = unescaped(fragment, Part::fragment);
    if (!decoded.ok()) return std::move(decoded).error().in("parse " + quote(text));
    out.fragment = std::move(decoded).value();
    out.raw_fragment = raw_form(fragment, out.fragment, Part::fragment);
  }
  return out;
}

std::string Url::hostname() const {
  std::string_view name = host;
  const std::size_t colon = name.rfind(':');
  if (colon != std::string_view::npos && is_port(name.substr(colon))) name = name.substr(0, colon);
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  return std::string(name);
}

std::string Url::userinfo() const {
  if (!user) return "";
  return escaped(*user, Part::userinfo) + (password ? ":" + escaped(*password, Part::userinfo) : "");
}

std::string Url::str() const {
  std::string out = scheme.empty() ? "" : scheme + ":";
  if (!opaque.empty()) {
    out += opaque;
  } else {
    const std::string shown = raw_path.empty() ? (path == "*" ? path : escaped(path, Part::path)) : raw_path;
    if (!scheme.empty() || !host.empty() || user) {
      if (!(omit_host && host.empty() && !user)) {
        if (!host.empty() || !path.empty() || user) out += "//";
        if (user) out += userinfo() + "@";
        out += escaped(host, Part::host);
      }
    }
    if (!shown.empty() && shown[0] != '/' && !host.empty()) out += '/';
    const bool looks_like_scheme = out.empty() && shown.substr(0, shown.find('/')).find(':') != std::string::npos;
    if (looks_like_scheme) out += "./";
    out += shown;
  }
  if (force_query || !raw_query.empty()) out += "?" + raw_query;
  if (!fragment.empty()) out += "#" + (raw_fragment.empty() ? escaped(fragment, Part::fragment) : raw_fragment);
  return out;
}

}  // namespace caisson::go_template
