// SPDX-License-Identifier: Apache-2.0
// Floats as Go writes them, shortest digits that read back the same. Any thread.
#pragma once
#include <string>

namespace caisson::document {

std::string json_number(
    double value);  // encoding/json: 1e21 and above, below 1e-6 with an exponent: "1e+21", "1e-7", "1.5"
std::string yaml_number(double value);  // sigs.k8s.io/yaml: "1000000", "1.5e+20", "1.5", ".inf", ".nan"

}  // namespace caisson::document
