// SPDX-License-Identifier: Apache-2.0
// The order of API versions (apimachinery's version.CompareKubeAwareVersionStrings): v2, v1, v1beta2, v1alpha1, then
// others. Any thread.
#pragma once
#include <string_view>

namespace caisson::schema {

bool version_before(std::string_view a, std::string_view b);  // a stands before b: it is preferred

}  // namespace caisson::schema
