// SPDX-License-Identifier: Apache-2.0
// `caisson attach` and `caisson up --kubeconfig`: GitOps for a Kubernetes that is there already.
#pragma once
#include <string>

#include "core/base/result.h"
#include "main/platform/instance.h"

namespace caisson::cli {

struct AttachFlags {
  platform::Settings settings;
  std::string kubeconfig, context, home_namespace = "argocd";
  bool take_over = false, print_rbac = false, detach = false;
};
Result<void> command_attach(const AttachFlags& flags);
Result<void> command_print_rbac(const AttachFlags& flags);

}  // namespace caisson::cli
