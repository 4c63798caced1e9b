// SPDX-License-Identifier: Apache-2.0
// cluster-info dump: nodes, and of some namespaces events, Services, workloads, Pods and their logs, for people who are to
// find out from afar what is wrong.
#pragma once
#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {

inline constexpr FlagSpec kDumpFlags[] = {{"output-directory", FlagKind::text},
                                          {"namespaces", FlagKind::list},
                                          {"pod-running-timeout", FlagKind::text}};  // logs of what does not run are refused
Result<int> run_dump(Call& call);

}  // namespace caisson::cli::kubectl
