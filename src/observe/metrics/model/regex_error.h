// SPDX-License-Identifier: Apache-2.0
// What is wrong with a regular expression, in the words of Go's regexp, which people know from Prometheus and Loki:
// "error parsing regexp: missing closing ): `(`". Pure; any thread.
#pragma once
#include <string>

namespace re2 {
class RE2;
}

namespace caisson::metrics {

// REQUIRES: !re.ok().
std::string regex_error(const re2::RE2& re);

}  // namespace caisson::metrics
