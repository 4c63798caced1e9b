// SPDX-License-Identifier: Apache-2.0
// matchConstraints and matchResources of admissionregistration.k8s.io. Pure; any thread.
#pragma once
#include <string>

#include "security/policy/match.h"

namespace caisson::policy {

// `plural` is the resource's name: "pods".
bool constraints_match(const Value& constraints, const Target& target, const std::string& plural);

}  // namespace caisson::policy
