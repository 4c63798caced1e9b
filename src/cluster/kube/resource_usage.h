// SPDX-License-Identifier: Apache-2.0
// Sums of quantities by resource name, and what a Pod asks for in all (component-helpers/resource of Kubernetes 1.33:
// containers and sidecars together, an init container at its turn, plus overhead). Pure; any thread.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::kube {

// A quantity that remembers how it was written: a sum of "512Mi" and "1Gi" is "1536Mi", not "1610612736".
struct Amount {
  std::int64_t milli = 0;
  bool binary = false;
  std::string str() const;
  bool operator==(const Amount&) const = default;
};
Result<Amount> parse_amount(std::string_view text);
Amount amount_of(const Value& quantity);  // 0 for what is no quantity: for objects that passed validation

using Amounts = std::map<std::string, Amount, std::less<>>;
Amounts amounts_of(const Value& quantities);  // {"cpu": "100m"}
void add(Amounts& to, std::string_view name, const Amount& amount);
void add(Amounts& to, const Amounts& more);
Value to_value(const Amounts& amounts);

Amounts pod_requests(const Value& spec);
Amounts pod_limits(const Value& spec);

}  // namespace caisson::kube
