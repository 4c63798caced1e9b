// SPDX-License-Identifier: Apache-2.0
// Versions by semver.org 2.0 and ranges as Kyverno's semver_compare takes them: ">=1.2.3 <2.0.0 || 3.x". Any thread.
#pragma once
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace caisson::jmespath {

struct Version {
  std::uint64_t major = 0, minor = 0, patch = 0;
  std::vector<std::string> pre;

  static std::optional<Version> parse(std::string_view text);
  std::weak_ordering operator<=>(const Version& other) const;
  bool operator==(const Version& other) const { return (*this <=> other) == 0; }
};

// Errors: bad_request, which quotes the part that is no range.
Result<bool> version_in_range(const Version& version, std::string_view range);

}  // namespace caisson::jmespath
