// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string_view>

namespace caisson::platform {
inline constexpr std::string_view kVersion = "0.1.0";
inline constexpr std::string_view kKubernetesVersion = "1.33";  // whose API this is
}  // namespace caisson::platform
