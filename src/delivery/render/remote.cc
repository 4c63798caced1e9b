// SPDX-License-Identifier: Apache-2.0
// Source of the rules: kustomize api v0.21, internal/git/repospec.go.
#include "delivery/render/remote.h"

#include <charconv>
#include <optional>

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::render {
namespace {

Error wrong(std::string_view text, std::string_view why) {
  return Error{ErrorCode::bad_request, "\"" + std::string(text) + "\" is no repository URL: " + std::string(why)};
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!equals_ignoring_case(text.substr(0, prefix.size()), prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::string_view take_scheme(std::string_view& text) {
  for (const std::string_view scheme : {"ssh://", "https://", "http://", "file://"}) {
    if (take_prefix(text, scheme)) return scheme;
  }
  return {};
}

// "git@", with the sign.
std::string_view take_user(std::string_view& text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto more = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-'; };
  std::size_t end = 0;
  if (text.empty() || !letter(text[0])) return {};
  while (end < text.size() && more(text[end])) ++end;
  if (end == text.size() || text[end] != '@') return {};
  const std::string_view user = text.substr(0, end + 1);
  text.remove_prefix(end + 1);
  return user;
}

struct HostAndRest {
  std::string host;  // with scheme, user and the separator behind it
  std::string_view rest;
};

Result<HostAndRest> split_host(std::string_view whole, std::string_view text) {
  take_prefix(text, "git::");
  std::string_view scheme = take_scheme(text), user = take_user(text);
  const std::string lower = to_lower(text.substr(0, 11));
  const bool github = lower == "github.com/" || lower == "github.com:";
  const bool scp = scheme.empty() && (!user.empty() || github);
  if (scheme.empty() && !scp) return wrong(whole, "it has no scheme");
  if (scheme == "file://") {  // all of the rest is a path; what looked like a user belongs to it
    return HostAndRest{std::string(scheme), std::string_view(text.data() - user.size(), text.size() + user.size())};
  }
  std::size_t separator = text.find('/');
  const std::size_t colon = text.find(':');
  if (scp && colon != std::string_view::npos && colon > 0 && (separator == std::string_view::npos || colon < separator))
    separator = colon;
  std::string_view host = separator == std::string_view::npos ? text : text.substr(0, separator + 1);
  const std::string_view rest = separator == std::string_view::npos ? "" : text.substr(separator + 1);
  if (github) {
    const bool ssh = scheme == "ssh://" || !user.empty();
    scheme = ssh ? "" : "https://";
    if (!ssh) user = "";
    host = ssh ? "github.com:" : "github.com/";
  }
  if (host.empty()) return wrong(whole, "it has no host");
  return HostAndRest{std::string(scheme) + std::string(user) + std::string(host), rest};
}

struct RepositoryAndPath {
  std::string_view repository, path;
};

// Where the repository ends: behind "_git/NAME", at "//", behind ".git", or after two segments.
std::optional<RepositoryAndPath> split_path(std::string_view text, bool whole_path) {
  constexpr std::string_view kAzure = "_git/", kSuffix = ".git";
  const auto cut = [&](std::size_t at, std::size_t skip) -> RepositoryAndPath {
    if (at == std::string_view::npos) return {text, ""};
    return {text.substr(0, at), text.substr(std::min(at + skip, text.size()))};
  };
  if (const std::size_t at = text.find(kAzure); at != std::string_view::npos)
    return cut(text.find('/', at + kAzure.size()), 1);
  if (const std::size_t at = text.find("//"); at != std::string_view::npos) return cut(at, 2);
  if (const std::size_t at = text.find(kSuffix); at != std::string_view::npos) return cut(at + kSuffix.size(), 0);
  if (whole_path) return cut(std::string_view::npos, 0);
  const std::size_t first = text.find('/');
  if (first == std::string_view::npos) return std::nullopt;
  return cut(text.find('/', first + 1), 1);
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    int byte = 0;
    const bool escape = text[i] == '%' && i + 2 < text.size() + 0 &&
                        std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr == text.data() + i + 3;
    out += escape ? static_cast<char>(byte) : text[i] == '+' ? ' ' : text[i];
    if (escape) i += 2;
  }
  return out;
}

// "61" is seconds; else as Go writes durations: "1m30s", "500ms".
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  if (const auto seconds = parse_int(text)) return std::chrono::seconds(*seconds);
  double sum_ms = 0;
  while (!text.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const double unit = text.starts_with("ms")  ? 1
                        : text.starts_with("h") ? 3'600'000
                        : text.starts_with("m") ? 60'000
                        : text.starts_with("s") ? 1000
                                                : 0;
    if (unit == 0) return std::nullopt;
    sum_ms += number * unit;
    text.remove_prefix(text.starts_with("ms") ? 2 : 1);
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(sum_ms));
}

void read_query(std::string_view query, RepositoryUrl& url) {
  std::string version;
  for (const std::string_view part : split(query, '&')) {
    const std::size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string value = equals == std::string_view::npos ? "" : unescaped(part.substr(equals + 1));
    if (key == "ref" && url.ref.empty()) url.ref = value;
    if (key == "version" && version.empty()) version = value;
    if (key == "timeout") {
      const auto time = parse_duration(value);
      if (time && time->count() > 0) url.timeout = *time;
    }
    if (key == "submodules" && !value.empty())
      url.submodules =
          !(value == "false" || value == "0" || value == "f" || value == "F" || value == "FALSE" || value == "False");
  }
  if (url.ref.empty()) url.ref = version;
}

}  // namespace

Result<RepositoryUrl> parse_repository_url(std::string_view text) {
  if (text.starts_with("/")) return wrong(text, "it is a path");
  const std::size_t question = text.find('?');
  RepositoryUrl url;
  if (question != std::string_view::npos) read_query(text.substr(question + 1), url);
  const HostAndRest parts = TRY(split_host(text, text.substr(0, question)));
  const auto split = split_path(parts.rest, parts.host == "file://");
  if (!split || split->repository.empty()) return wrong(text, "it names no repository");
  std::string_view path = split->path;
  if (path.starts_with("/")) path.remove_prefix(1);
  url.path = path.empty() ? "" : path_clean(path);
  if (url.path == ".") url.path.clear();
  if (url.path == ".." || url.path.starts_with("../")) return wrong(text, "its path leaves the repository");
  url.clone = parts.host + std::string(split->repository);
  return url;
}

bool is_http_url(std::string_view text) {
  const std::string scheme = to_lower(text.substr(0, 8));
  return scheme == "https://" || scheme.starts_with("http://");
}

bool is_remote(std::string_view text) {
  // Every form has one of these; a file's name has none, and there are thousands of those.
  constexpr std::string_view kGithub = "github.com/";
  if (text.find_first_of(":@") == text.npos && !equals_ignoring_case(text.substr(0, kGithub.size()), kGithub))
    return false;
  return is_http_url(text) || parse_repository_url(text).ok();
}

}  // namespace caisson::render
