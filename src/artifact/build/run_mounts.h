// SPDX-License-Identifier: Apache-2.0
// RUN --mount=type=bind,target=/x,… as data. Source: the Dockerfile reference, "RUN --mount". Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "artifact/build/words.h"
#include "core/base/result.h"

namespace caisson::build {

struct RunMount {
  enum class Type { bind, cache, tmpfs, secret, ssh } type = Type::bind;
  std::string target, source, from, id;
  std::string env;  // of a secret
  std::string sharing = "shared";
  bool read_write = false, read_only = false, required = false;
  std::optional<unsigned> mode, uid, gid;
  std::uint64_t size_bytes = 0;  // of a tmpfs
  bool has_target = false;
};

// Errors: invalid, "unexpected key 'colour' in 'colour=red'" and the like.
Result<RunMount> parse_run_mount(std::string_view text, const Variables& variables);

}  // namespace caisson::build
