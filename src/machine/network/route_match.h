// SPDX-License-Identifier: Apache-2.0
// The match rules of Traefik's IngressRoute, "Host(`a.example`) && (PathPrefix(`/api`) || Header(`X-Beta`, `1`))", as
// the expression that nginx's Lua side evaluates. Pure functions; any thread. Source: Traefik 3.5, "Rules & Priority";
// of version 2's syntax several arguments of Host, Path, PathPrefix and Method, and the names Headers and
// HeadersRegexp.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::network {

struct RouteMatch {
  // Prefix notation, tokens separated by blanks: "& host:a.example | prefix:%2Fapi header:X-Beta:1"; "!" negates one.
  // Arguments are percent-encoded.
  std::string expression;
  // The names of which the request's host must be one; empty: not known before the expression is evaluated.
  std::vector<std::string> hosts;
  std::vector<std::string> named_hosts;  // every literal of Host(): for certificates
  bool operator==(const RouteMatch&) const = default;
};
// Errors: invalid, with what was expected and where.
Result<RouteMatch> parse_route_match(std::string_view rule);

}  // namespace caisson::network
