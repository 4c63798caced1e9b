// SPDX-License-Identifier: Apache-2.0
#include "core/http/message.h"

#include <charconv>

#include "core/base/encoding.h"
#include "core/base/text.h"

namespace caisson::http {

std::string_view Headers::get(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (equals_ignoring_case(key, name)) return value;
  }
  return {};
}

bool Headers::contains(std::string_view name) const {
  for (const auto& field : fields_) {
    if (equals_ignoring_case(field.first, name)) return true;
  }
  return false;
}

void Headers::set(std::string_view name, std::string_view value) {
  const std::string kept(value);  // `value` may point into a field that goes
  erase(name);
  fields_.emplace_back(std::string(name), kept);
}

void Headers::add(std::string_view name, std::string_view value) {
  fields_.emplace_back(std::string(name), std::string(value));
}

void Headers::erase(std::string_view name) {
  std::erase_if(fields_, [name](const auto& field) { return equals_ignoring_case(field.first, name); });
}

namespace {

Error bad_url(std::string_view why) {
  return Error{ErrorCode::bad_request, "malformed URL: " + std::string(why)};
}

Result<void> parse_authority(std::string_view authority, Url& url) {
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    const std::string_view userinfo = authority.substr(0, at);
    authority.remove_prefix(at + 1);
    const auto colon = userinfo.find(':');
    url.user = TRY(percent_decode(userinfo.substr(0, colon)));
    if (colon != std::string_view::npos) url.password = TRY(percent_decode(userinfo.substr(colon + 1)));
  }
  std::string_view port;
  if (!authority.empty() && authority.front() == '[') {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return bad_url("'[' without ']'");
    url.host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
    if (!port.empty() && port.front() != ':') return bad_url("text after ']'");
    if (!port.empty()) port.remove_prefix(1);
  } else if (const auto colon = authority.find(':'); colon != std::string_view::npos) {
    url.host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
  } else {
    url.host = authority;
  }
  if (url.host.empty()) return bad_url("no host");
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (error != std::errc() || end != port.data() + port.size() || url.port < 1 || url.port > 65535)
      return bad_url("port '" + std::string(port) + "' is not a number from 1 to 65535");
  }
  return {};
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  for (const unsigned char c : text) {
    if (c <= 0x20 || c == 0x7f) return bad_url("it contains white space or a control character");
  }
  Url url;
  const auto colon = text.find("://");
  if (colon == std::string_view::npos || colon == 0) return bad_url("no scheme such as https://");
  url.scheme = to_lower(text.substr(0, colon));
  text.remove_prefix(colon + 3);
  text = text.substr(0, text.find('#'));
  const auto path = text.find_first_of("/?");
  TRY(parse_authority(text.substr(0, path), url));
  if (path != std::string_view::npos) {
    text.remove_prefix(path);
    const auto question = text.find('?');
    url.path = text.substr(0, question);
    if (question != std::string_view::npos) url.query = text.substr(question + 1);
  }
  if (url.path.empty()) url.path = "/";
  return url;
}

std::string Url::str_without_userinfo() const {
  const bool bracket = host.find(':') != std::string::npos;
  std::string out = scheme + "://" + (bracket ? "[" + host + "]" : host);
  if (port != 0) out += ":" + std::to_string(port);
  out += path;
  if (!query.empty()) out += "?" + query;
  return out;
}

namespace {

// application/x-www-form-urlencoded: '+' is a space. What can't be decoded stays as it was sent.
std::string decode_query_part(std::string_view text) {
  std::string plain(text);
  for (char& c : plain) {
    if (c == '+') c = ' ';
  }
  auto decoded = percent_decode(plain);
  return decoded.ok() ? std::move(decoded).value() : plain;
}

}  // namespace

Query parse_query(std::string_view query) {
  Query out;
  if (query.empty()) return out;
  for (const std::string_view part : split(query, '&')) {
    if (part.empty()) continue;
    const auto equals = part.find('=');
    out.emplace_back(decode_query_part(part.substr(0, equals)),
                     equals == std::string_view::npos ? std::string() : decode_query_part(part.substr(equals + 1)));
  }
  return out;
}

std::string_view query_get(const Query& query, std::string_view name) {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return {};
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return status < 200 ? "Informational" : status < 300 ? "Success" : status < 400 ? "Redirection" : "Error";
  }
}

}  // namespace caisson::http
