// SPDX-License-Identifier: Apache-2.0
// kinds/**/*.yaml, put into the program at build time as JSON (cmake/embed_kinds.cc). Any thread.
#pragma once
#include <span>
#include <string_view>

namespace caisson::schema {

struct KindFile {
  std::string_view path;  // below kinds/: "k8s/core.v1.yaml"
  std::string_view json;
};
std::span<const KindFile> kind_files();

}  // namespace caisson::schema
