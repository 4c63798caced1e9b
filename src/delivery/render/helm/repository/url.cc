// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/repository/url.h"

#include "core/base/file.h"
#include "core/base/text.h"

namespace caisson::render::helm {

std::string UrlParts::host() const {
  return authority.substr(authority.rfind('@') == std::string::npos ? 0 : authority.rfind('@') + 1);
}

std::string UrlParts::str() const {
  return (scheme.empty() ? "" : scheme + "://") + authority + path + (query.empty() ? "" : "?" + query);
}

UrlParts split_url(std::string_view url) {
  UrlParts out;
  if (const std::size_t at = url.find("://"); at != std::string_view::npos && url.substr(0, at).find('/') == url.npos) {
    out.scheme = url.substr(0, at);
    url.remove_prefix(at + 3);
    const std::size_t end = std::min(url.find_first_of("/?"), url.size());
    out.authority = url.substr(0, end);
    url.remove_prefix(end);
  }
  if (const std::size_t at = url.find('?'); at != std::string_view::npos) {
    out.query = url.substr(at + 1);
    url = url.substr(0, at);
  }
  out.path = url;
  return out;
}

std::string url_join(std::string_view base, std::string_view below) {
  UrlParts out = split_url(base);
  const std::string joined = path_clean(out.path + "/" + std::string(below));
  out.path = out.authority.empty() || joined.starts_with('/') ? joined : "/" + joined;
  return out.str();
}

std::string resolve_url(std::string_view base, std::string_view reference) {
  const UrlParts parts = split_url(reference);
  if (parts.is_absolute()) return std::string(reference);
  UrlParts out = split_url(base);
  if (parts.path.starts_with('/')) {
    out.path = parts.path;
  } else {
    if (out.path.empty() || out.path.back() != '/') out.path += '/';
    out.path = path_clean(out.path + parts.path);
  }
  return out.str();
}

bool same_url(std::string_view a, std::string_view b) {
  const auto plain = [](std::string_view url) {
    UrlParts parts = split_url(url);
    parts.path = path_clean(parts.path.empty() ? "/" : parts.path);
    return parts.str();
  };
  return plain(a) == plain(b);
}

}  // namespace caisson::render::helm
