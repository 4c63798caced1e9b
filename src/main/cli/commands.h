// SPDX-License-Identifier: Apache-2.0
// What the command tree calls. Each function prints its result and gives the Error that main prints (and turns into
// exit status 1).
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "main/cli/session.h"
#include "main/platform/instance.h"

namespace caisson::cli {

// The whole program but for main(): gives the exit status.
int run_command_line(int argc, char** argv);

// platform_commands.cc
struct UpFlags {
  platform::Settings settings;
  std::string config;
  bool detach = false;
  std::string program;
};
Result<void> command_up(const UpFlags& flags);
struct DownFlags {
  std::string data_dir, config;
  bool purge = false;
  int grace_seconds = 0;
};
Result<void> command_down(const DownFlags& flags);
Result<void> command_node(const Global& global, const std::string& name, bool start);
Result<void> command_preflight(const UpFlags& flags, const std::string& output);
Result<void> command_status(const Global& global);
Result<void> command_login(const Global& global, const std::string& from);
Result<void> command_git_credential(const Global& global, const std::string& operation);

// build_commands.cc
struct BuildFlags {
  std::vector<std::string> tags, build_args, labels;
  std::string context = ".", dockerfile = "Dockerfile", target, portal, tar_path, digest_file;
  std::vector<std::string> cache_from, secrets, ssh_keys;
  std::string cache_to;
  bool no_cache = false;
};
Result<void> command_build(const Global& global, const BuildFlags& flags);

// timeline.cc
Result<void> command_timeline(const Global& global, const std::string& app);

// kustomize_commands.cc: `caisson kustomize …`, with kustomize's own sub-commands and flags. Gives the exit status.
int command_kustomize(const std::vector<std::string>& words);

// helm_commands.cc: `caisson helm …`, with Helm's own sub-commands and flags.
Result<void> command_helm(const std::vector<std::string>& words);
// policy_commands.cc: the words behind `policy`. Gives the exit status.
Result<int> command_policy(const std::vector<std::string>& words);
// app_commands.cc: the words behind `app`. Gives the exit status.
Result<int> command_app(const Global& global, const std::vector<std::string>& words);

}  // namespace caisson::cli
