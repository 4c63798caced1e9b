// SPDX-License-Identifier: Apache-2.0
// What a path of the registry's API means. Repository names hold slashes, so a path is read from its end. Pure. Of this
// room only.
#pragma once
#include <string>
#include <string_view>

namespace caisson::registry {

struct Route {
  enum class Kind {
    unknown,
    root,
    catalog,
    tags,
    manifest,
    blob,
    uploads,
    upload,
    referrers,
    bad_name
  } kind = Kind::unknown;
  std::string repository;
  std::string item;  // tag or digest, upload id
};

Route parse_route(std::string_view path);  // percent-decoded, without the query

}  // namespace caisson::registry
