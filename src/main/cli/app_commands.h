// SPDX-License-Identifier: Apache-2.0
// `caisson app`: the commands of the argocd command line over Applications. Internal to app_*.cc; the door is
// command_app in commands.h. Every command asks the API; what it shows was decided by the GitOps controller.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "main/cli/commands.h"

namespace caisson::cli {

struct AppArguments {
  std::vector<std::string> words;  // what is no flag: NAME, or NAME ID
  std::string kubeconfig, context, data_dir;
  std::string application_ns = "argocd", output, revision, repo, path, project, dest_namespace, dest_server, file;
  std::string kind, resource_name, resource_ns, group, selector;
  std::string propagation;
  std::string dest_name, chart, ref, release_name, values_file, name_prefix, name_suffix, kustomize_namespace;
  std::string directory_include, directory_exclude, history_limit, retry_limit;
  std::vector<std::string> helm_sets, helm_strings, helm_files, value_files;  // name=value; paths
  std::vector<std::string> images, replicas, kustomize_labels, labels, annotations;
  bool recurse = false, skip_crds = false, pass_credentials = false, ignore_missing_values = false;
  bool allow_empty = false, set_finalizer = false;
  std::vector<std::string> resources, sync_options, parameters;  // GROUP:KIND:NAME, Name=value
  bool prune = false, dry_run = false, force = false, async = false, cascade = true, follow = false;
  bool automated = false, manual = false, auto_prune = false, self_heal = false;
  bool wait_sync = false, wait_health = false, wait_operation = false, hard = false, upsert = false, in_git = false;
  int timeout_seconds = 0;  // 0: none
};
Result<AppArguments> read_app_arguments(const std::vector<std::string>& words);

// What the flags of `create` and `set` say of a spec, over what is there: those of argocd. Errors: bad_request, naming
// the flag; what reading a file gives.
Result<void> put_flags(Value& spec, const AppArguments& arguments);

// Which Application, and how to reach it.
struct AppSession {
  Session session;
  std::string ns;

  Result<kube::Object> get(const std::string& name) const;
  Result<std::vector<kube::Object>> list() const;
  Result<kube::Object> change(const std::string& name, const std::function<bool(kube::Object&)>& edit) const;
  // Watches the Application, or all when `name` is empty, until `seen` gives true. Errors: timeout, naming the
  // Application.
  Result<void> follow(const std::string& name, int timeout_seconds,
                      const std::function<bool(const kube::Object&)>& seen) const;
};

// Begins an operation and waits for its end; prints what happens on the way unless `quiet`. Gives the Application.
Result<kube::Object> run_operation(const AppSession& app, const std::string& name, const Value& sync,
                                   const AppArguments& arguments, bool quiet);

// app_operations.cc
Result<int> app_sync(const AppSession& app, const AppArguments& arguments);
Result<int> app_diff(const AppSession& app, const AppArguments& arguments);
Result<int> app_preview(const AppSession& app, const AppArguments& arguments);
Result<int> app_rollback(const AppSession& app, const AppArguments& arguments);
Result<int> app_terminate(const AppSession& app, const AppArguments& arguments);
Result<int> app_approve(const AppSession& app, const AppArguments& arguments);
Result<int> app_actions(const AppSession& app, const AppArguments& arguments);
// app_git_commands.cc
Result<int> app_adopt(const AppSession& app, const AppArguments& arguments);
Result<int> rollback_in_git(const AppSession& app, const AppArguments& arguments, const kube::Object& object,
                            const std::string& commits);
// app_edit_commands.cc
Result<int> app_create(const AppSession& app, const AppArguments& arguments);
Result<int> app_set(const AppSession& app, const AppArguments& arguments);
Result<int> app_delete(const AppSession& app, const AppArguments& arguments);
Result<int> app_logs(const AppSession& app, const AppArguments& arguments);

}  // namespace caisson::cli
