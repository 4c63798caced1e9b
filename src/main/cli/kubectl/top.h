// SPDX-License-Identifier: Apache-2.0
// top pods and top nodes: what metrics.k8s.io says they use.
#pragma once
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {

inline constexpr FlagSpec kTopFlags[] = {
    {"containers", FlagKind::boolean},    {"sort-by", FlagKind::text},
    {"no-headers", FlagKind::boolean},    {"sum", FlagKind::boolean},
    {"show-capacity", FlagKind::boolean}, {"use-protocol-buffers", FlagKind::boolean}};
Result<int> run_top_pods(Call& call);
Result<int> run_top_nodes(Call& call);

}  // namespace caisson::cli::kubectl
