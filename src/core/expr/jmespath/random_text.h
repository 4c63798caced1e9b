// SPDX-License-Identifier: Apache-2.0
// A random text that a regular expression matches: literals, classes ([a-z0-9], \d, \w, \s, .), groups, alternatives
// and repetitions ({n}, {n,m}, *, +, ?; open ones up to 10 more). Any thread.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::jmespath {

// Errors: bad_request for a pattern that can't be read, or whose text would pass 64 KiB.
Result<std::string> random_text(std::string_view pattern, const std::function<std::uint64_t()>& random);

}  // namespace caisson::jmespath
