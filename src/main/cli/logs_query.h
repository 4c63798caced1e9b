// SPDX-License-Identifier: Apache-2.0
// `caisson logs -q QUERY`: LogQL over the logs of everything. (`caisson logs POD`, without -q, is kubectl's.)
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"

namespace caisson::cli {

bool is_logs_query(const std::vector<std::string>& words);
// `front`: flags that stood before the command's name. Gives the exit status.
Result<int> command_logs_query(const std::vector<std::string>& words, const std::vector<std::string>& front);

}  // namespace caisson::cli
