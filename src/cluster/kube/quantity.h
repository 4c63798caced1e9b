// SPDX-License-Identifier: Apache-2.0
// Kubernetes quantities: "100m", "1.5Gi", "2e3". Follows apimachinery's resource.Quantity. Any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson::kube {

// In thousandths, saturating: "100m" is 100, "1" is 1000. Errors: bad_request.
Result<std::int64_t> parse_quantity_milli(std::string_view text);
// Whole units, rounded up: "1Ki" is 1024, "100m" is 1.
Result<std::int64_t> parse_quantity(std::string_view text);
std::string format_quantity_milli(std::int64_t milli);          // "100m", "2"
std::string format_quantity_bytes(std::int64_t bytes);          // "128Mi", "1000"
Result<std::string> canonical_quantity(std::string_view text);  // "0.5" is "500m", "1024Mi" is "1Gi"

}  // namespace caisson::kube
