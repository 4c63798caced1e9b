// SPDX-License-Identifier: Apache-2.0
// The roles and bindings that every server has, as YAML. Upstream's are those of
// plugin/pkg/auth/authorizer/rbac/bootstrappolicy (Kubernetes 1.33) for the kinds that are served here.
#pragma once
#include <string_view>

namespace caisson::apiserver {

extern const std::string_view kBootstrapRoles;     // ClusterRole documents: {name, aggregate?, labels?, rules}
extern const std::string_view kBootstrapBindings;  // ClusterRoleBinding documents: {name, role, groups}

}  // namespace caisson::apiserver
