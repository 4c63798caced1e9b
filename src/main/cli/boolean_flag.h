// SPDX-License-Identifier: Apache-2.0
// The value of a boolean flag ("--x=false") as kubectl, helm, kustomize and argocd read it: Go's strconv.ParseBool, and
// spf13/pflag's words for what it refuses. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::cli {

inline std::optional<bool> parse_bool(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"})
    if (text == yes) return true;
  for (const std::string_view no : {"0", "f", "F", "FALSE", "false", "False"})
    if (text == no) return false;
  return std::nullopt;
}

// `flag`: "--prune", or "-w, --watch" where it has a letter. Errors: bad_request.
inline Result<bool> read_bool(std::string_view flag, std::string_view text) {
  if (const auto value = parse_bool(text)) return *value;
  const std::string given = "\"" + std::string(text) + "\"";
  return Error{ErrorCode::bad_request, "invalid argument " + given + " for \"" + std::string(flag) +
                                           "\" flag: strconv.ParseBool: parsing " + given + ": invalid syntax"};
}

}  // namespace caisson::cli
