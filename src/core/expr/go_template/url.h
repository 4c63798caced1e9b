// SPDX-License-Identifier: Apache-2.0
// URLs as Go's net/url reads and writes them. Pure functions; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::go_template {

struct Url {
  std::string scheme, opaque, host, path, raw_path, raw_query, fragment, raw_fragment;
  std::optional<std::string> user, password;  // decoded
  bool force_query = false;                   // "?" with nothing behind it
  bool omit_host = false;                     // "scheme:/path"

  // Errors: invalid, in Go's words (`parse "x": first path segment in URL cannot contain colon`).
  static Result<Url> parse(std::string_view text);
  std::string hostname() const;
  std::string userinfo() const;  // escaped
  std::string str() const;
};

}  // namespace caisson::go_template
