// SPDX-License-Identifier: Apache-2.0
#include "core/http/proxy.h"

#include <arpa/inet.h>

#include <cstdlib>
#include <cstring>

#include "core/base/text.h"

namespace caisson::http {
namespace {

std::string variable(const char* lower, const char* upper) {
  const char* text = std::getenv(lower);
  if (text == nullptr || *text == '\0') text = upper != nullptr ? std::getenv(upper) : nullptr;
  return text != nullptr ? text : "";
}

bool in_range(const std::string& host, std::string_view range) {
  const auto slash = range.find('/');
  const auto bits = parse_int(range.substr(slash + 1));
  const std::string base(range.substr(0, slash));
  unsigned char a[16], b[16];
  const int family = base.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (!bits || *bits < 0 || *bits > (family == AF_INET ? 32 : 128)) return false;
  if (inet_pton(family, host.c_str(), a) != 1 || inet_pton(family, base.c_str(), b) != 1) return false;
  const std::size_t whole = static_cast<std::size_t>(*bits) / 8;
  if (std::memcmp(a, b, whole) != 0) return false;
  const unsigned rest = static_cast<unsigned>(*bits) % 8;
  return rest == 0 || (a[whole] >> (8 - rest)) == (b[whole] >> (8 - rest));
}

}  // namespace

ProxyVariables ProxyVariables::from_environment() {
  // HTTP_PROXY in capitals is not read: in a CGI-like environment it would be a request header (httpoxy, CVE-2016-5385)
  // only where REQUEST_METHOD is set, so that is the exception.
  const bool is_cgi = std::getenv("REQUEST_METHOD") != nullptr;
  return {variable("http_proxy", is_cgi ? nullptr : "HTTP_PROXY"), variable("https_proxy", "HTTPS_PROXY"),
          variable("no_proxy", "NO_PROXY")};
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host.ends_with(".localhost") || host == "::1" || in_range(host, "127.0.0.0/8");
}

bool matches_no_proxy(const std::string& no_proxy, const std::string& host, int port) {
  for (std::string_view entry : split(no_proxy, ',')) {
    entry = trim(entry);
    if (entry.empty()) continue;
    if (entry == "*") return true;
    if (entry.find('/') != std::string_view::npos) {
      if (in_range(host, entry)) return true;
      continue;
    }
    if (const auto colon = entry.find(':');
        colon != std::string_view::npos && entry.find(':', colon + 1) == std::string_view::npos) {
      if (parse_int(entry.substr(colon + 1)) != port) continue;
      entry = entry.substr(0, colon);
    }
    if (entry.starts_with("*.")) entry.remove_prefix(1);
    const std::string name = to_lower(entry.starts_with(".") ? entry.substr(1) : entry);
    const std::string lower = to_lower(host);
    if (lower == name || lower.ends_with("." + name)) return true;
  }
  return false;
}

Result<std::optional<Url>> proxy_for(const ProxyVariables& variables, const Url& url, int port) {
  const std::string& text = url.scheme == "https" ? variables.https : variables.http;
  if (text.empty() || is_loopback(url.host) || matches_no_proxy(variables.no_proxy, url.host, port))
    return std::optional<Url>();
  Url proxy = TRY(Url::parse(text.find("://") == std::string::npos ? "http://" + text : text).in("proxy variable"));
  if (proxy.scheme != "http")
    return Error{ErrorCode::bad_request,
                 "proxy variable: only http:// proxies are supported, not " + proxy.scheme + "://"};
  if (proxy.port == 0) proxy.port = 80;
  return std::optional<Url>(std::move(proxy));
}

}  // namespace caisson::http
