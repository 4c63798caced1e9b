// SPDX-License-Identifier: Apache-2.0
#include "artifact/registry/routes.h"

#include "artifact/content/reference.h"

namespace caisson::registry {
namespace {

Route named(Route::Kind kind, std::string_view repository, std::string_view item = {}) {
  if (!content::is_valid_repository(repository)) return {Route::Kind::bad_name, std::string(repository), ""};
  return {kind, std::string(repository), std::string(item)};
}

}  // namespace

Route parse_route(std::string_view path) {
  if (path == "/v2/" || path == "/v2") return {Route::Kind::root, "", ""};
  if (!path.starts_with("/v2/")) return {};
  const std::string_view rest = path.substr(4);
  if (rest == "_catalog") return {Route::Kind::catalog, "", ""};
  if (rest.ends_with("/tags/list")) return named(Route::Kind::tags, rest.substr(0, rest.size() - 10));
  if (rest.ends_with("/blobs/uploads/")) return named(Route::Kind::uploads, rest.substr(0, rest.size() - 15));
  if (rest.ends_with("/blobs/uploads")) return named(Route::Kind::uploads, rest.substr(0, rest.size() - 14));
  const std::size_t slash = rest.rfind('/');
  if (slash == std::string_view::npos || slash + 1 == rest.size()) return {};
  const std::string_view item = rest.substr(slash + 1), before = rest.substr(0, slash);
  struct Suffix {
    std::string_view text;
    Route::Kind kind;
  };
  for (const Suffix& suffix :
       {Suffix{"/blobs/uploads", Route::Kind::upload}, Suffix{"/manifests", Route::Kind::manifest},
        Suffix{"/blobs", Route::Kind::blob}, Suffix{"/referrers", Route::Kind::referrers}}) {
    if (before.ends_with(suffix.text))
      return named(suffix.kind, before.substr(0, before.size() - suffix.text.size()), item);
  }
  return {};
}

}  // namespace caisson::registry
