// SPDX-License-Identifier: Apache-2.0
// `caisson scan`: image, fs, sbom, and db (import, push, status). Flags are named as Trivy's where they mean the same.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "main/cli/session.h"

namespace caisson::cli {

struct ScanFlags {
  std::string what;  // image, fs, sbom
  std::string target, input, format = "table", output, severity, ignore_file, database;
  int exit_code = 1;
  bool ignore_unfixed = false, no_secrets = false;
};
// Gives 0, or `exit_code` when something is found that --severity names. Errors: what kept it from looking.
Result<int> command_scan(const Global& global, const ScanFlags& flags);

Result<void> command_scan_import(const std::string& path, const std::string& database);
// Sends a file or folder of advisories to the registry: `to` is "HOST/caisson-system/advisories:latest".
Result<void> command_scan_push(const Global& global, const std::string& path, const std::string& to);
Result<void> command_scan_status(const std::string& database);

}  // namespace caisson::cli
