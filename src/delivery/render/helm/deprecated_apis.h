// SPDX-License-Identifier: Apache-2.0
// Kinds that Kubernetes has deprecated, for `helm lint`. Pure; any thread.
#pragma once
#include <string>
#include <string_view>

namespace caisson::render::helm {

// As Kubernetes warns: "policy/v1beta1 PodDisruptionBudget is deprecated in v1.21+, unavailable in v1.25+; use
// policy/v1 PodDisruptionBudget". Empty for what Kubernetes 1.`minor` has not deprecated, and for kinds that are not
// its own.
std::string deprecation(std::string_view api_version, std::string_view kind, int minor);

}  // namespace caisson::render::helm
