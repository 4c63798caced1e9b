// SPDX-License-Identifier: Apache-2.0
// Rules on Pods also said of the controllers that make Pods. Follows Kyverno 1.19, pkg/autogen/v1. Pure; any thread.
#pragma once
#include <vector>

#include "core/document/value.h"

namespace caisson::policy {

// The rules to add to those of `spec` ("autogen-NAME", "autogen-cronjob-NAME"), as they would be written in a policy.
// `annotations`: pod-policies.kyverno.io/autogen-controllers chooses the controllers.
std::vector<Value> generated_rules(const Value& spec, const Value& annotations);

}  // namespace caisson::policy
