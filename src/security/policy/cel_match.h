// SPDX-License-Identifier: Apache-2.0
// matchConstraints and matchResources of admissionregistration.k8s.io. Pure; any thread.
#pragma once
#include <string>
#include <string_view>

#include "security/policy/match.h"

namespace caisson::policy {

// `plural` is the resource's name: "pods".
bool constraints_match(const Value& constraints, const Target& target, const std::string& plural);
// Whether a resource rule names the kind, whatever the rest of the constraints says.
bool constraints_name(const Value& constraints, std::string_view group, std::string_view version,
                      std::string_view plural);

}  // namespace caisson::policy
