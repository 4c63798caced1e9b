// SPDX-License-Identifier: Apache-2.0
// URLs as Helm joins and compares them (internal/urlutil, pkg/repo). Pure; any thread.
#pragma once
#include <string>
#include <string_view>

namespace caisson::render::helm {

struct UrlParts {
  std::string scheme, authority, path, query;  // authority: userinfo, host and port, as written
  std::string host() const;                    // without userinfo
  std::string str() const;
  bool is_absolute() const { return !scheme.empty(); }
};
UrlParts split_url(std::string_view url);  // "charts/x.tgz" has a path only

std::string url_join(std::string_view base, std::string_view below);         // path.Join on the URL's path
std::string resolve_url(std::string_view base, std::string_view reference);  // RFC 3986, below `base`; keeps its query
bool same_url(std::string_view a, std::string_view b);                       // but for how their paths are written

}  // namespace caisson::render::helm
