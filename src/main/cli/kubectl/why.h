// SPDX-License-Identifier: Apache-2.0
// why pod NAME: for each node, what speaks against a pod that waits for one.
#pragma once
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {

Result<int> run_why(Call& call);

}  // namespace caisson::cli::kubectl
