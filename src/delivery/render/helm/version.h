// SPDX-License-Identifier: Apache-2.0
// Semantic versions and ranges of them, as Masterminds/semver 3 reads them for Chart.yaml. Pure; any thread.
#pragma once
#include <string_view>

namespace caisson::render::helm {

bool is_version(std::string_view text);  // "1.2.3", and "v1.2" and "1" too
// ">=1.20.0-0", "^1.2 || ~2.0", "1.x". False when either is malformed.
bool version_satisfies(std::string_view constraint, std::string_view version);

}  // namespace caisson::render::helm
