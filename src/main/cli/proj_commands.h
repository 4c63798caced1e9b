// SPDX-License-Identifier: Apache-2.0
// `caisson proj`: the commands of `argocd proj` over AppProjects, which are objects of the API: who may change those
// may use these. The door is command_proj; all else is internal to proj_*.cc.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "main/cli/session.h"

namespace caisson::cli {

// The words behind `proj`. Gives the exit status.
Result<int> command_proj(const Global& global, const std::vector<std::string>& words);

struct ProjArguments {
  std::vector<std::string> words;  // what is no flag
  std::string kubeconfig, context, data_dir;
  std::string home_ns = "argocd", output, file, description;
  std::string action, object, permission = "allow", resource = "applications";          // role add-policy
  std::string expires_in, id;                                                           // role create-token
  std::string kind, schedule, duration, time_zone, applications, namespaces, clusters;  // windows
  std::string list, name;
  std::vector<std::string> destinations, sources, source_namespaces;
  bool upsert = false, token_only = false, unix_time = false, manual_sync = false, and_operator = false;
};

Result<ProjArguments> read_proj_arguments(const std::vector<std::string>& words);

struct ProjSession {
  Session session;
  std::string ns;

  Result<kube::Object> get(const std::string& project) const;
  // Edits the AppProject until nobody came between; an error of `edit` is given, and nothing is written.
  Result<kube::Object> change(const std::string& project,
                              const std::function<Result<void>(Value& project)>& edit) const;
};

struct ProjCommand {
  std::string_view name;   // "role add-policy"
  std::string_view words;  // what it needs, "PROJECT ROLE"
  Result<int> (*run)(const ProjSession&, const ProjArguments&);
};
// proj_role_commands.cc, proj_window_commands.cc, proj_list_commands.cc
std::vector<ProjCommand> proj_role_commands();
std::vector<ProjCommand> proj_window_commands();
std::vector<ProjCommand> proj_list_commands();

}  // namespace caisson::cli
