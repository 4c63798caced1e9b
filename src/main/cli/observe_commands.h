// SPDX-License-Identifier: Apache-2.0
// `caisson promql`, `caisson metrics`, `caisson alert`. As commands.h.
#pragma once
#include <string>
#include <vector>

#include "main/cli/session.h"

namespace caisson::cli {

struct PromqlFlags {
  std::string query, start, end, step, time;
};
// A table of an instant query; with --start a graph of a range.
Result<void> command_promql(const Global& global, const PromqlFlags& flags);
// Gives the exit status: 1 when an expectation is not met.
Result<int> command_metrics_test_rules(const std::vector<std::string>& files);

struct AlertFlags {
  std::vector<std::string> matchers;  // or labels, of test and why
  std::string duration = "2h", comment, expire;
  bool list = false;
};
Result<void> command_alert_ls(const Global& global, const AlertFlags& flags);
Result<void> command_alert_silence(const Global& global, const AlertFlags& flags);
Result<void> command_alert_test(const Global& global, const AlertFlags& flags);
Result<void> command_alert_why(const Global& global, const AlertFlags& flags);

}  // namespace caisson::cli
