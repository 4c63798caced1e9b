// SPDX-License-Identifier: Apache-2.0
// `caisson app`: the commands of the argocd command line over Applications. Internal to app_*.cc; the door is
// command_app in commands.h. Every command asks the API; what it shows was decided by the GitOps controller.
#pragma once
#include <functional>
#include <optional>
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
  std::string helm_namespace, helm_kube_version, kustomize_kube_version;
  std::string backoff_first, backoff_most, backoff_factor;
  std::vector<std::string> helm_api_versions, kustomize_api_versions, kustomize_annotations;
  // Unset: what the spec says stays.
  std::optional<bool> recurse, skip_crds, pass_credentials, ignore_missing_values, skip_tests, skip_schema;
  std::optional<bool> auto_prune, self_heal, allow_empty, retry_refresh;
  std::optional<bool> force_labels, force_annotations, labels_without_selector, labels_in_templates;
  std::optional<bool> ignore_missing_components;
  bool set_finalizer = false;
  std::string source_position, source_name;  // of spec.sources, from 1
  std::string patch, patch_type, manifest_source, strategy, container, tail, since_seconds, filter;
  std::vector<std::string> info, fields;                               // NAME=VALUE; "status.podIP"
  std::vector<std::string> revisions, source_positions, source_names;  // of spec.sources, side by side
  std::vector<std::string> resources, sync_options, parameters;        // GROUP:KIND:NAME, Name=value
  bool prune = false, dry_run = false, force = false, async = false, cascade = true, follow = false;
  bool automated = false, manual = false, replace = false, out_of_sync_only = false, server_side = false;
  bool all = false, orphan = false, refresh = false, show_params = false, show_operation = false;
  bool show_managed_fields = false, yes = false, wait = false, previous = false, match_case = false, exit_code = true;
  bool wait_suspended = false, wait_degraded = false, wait_delete = false;
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
  // Those that the arguments name: by name, label selector (-l) and project. Errors: not_found when there is none.
  Result<std::vector<kube::Object>> chosen(const AppArguments& arguments) const;
  // Asks for a look at the repository, and waits until it was had.
  Result<void> refresh(const std::string& name, bool hard) const;
  Result<kube::Object> change(const std::string& name, const std::function<bool(kube::Object&)>& edit) const;
  // Watches the Application, or all when `name` is empty, until `seen` gives true. Errors: timeout, naming the
  // Application.
  Result<void> follow(const std::string& name, int timeout_seconds,
                      const std::function<bool(const kube::Object&)>& seen) const;
  Result<void> wait_until_gone(const std::string& name, int timeout_seconds) const;
};

// Begins an operation (`sync`, with the retries and infos of the arguments) and waits for its end; prints what happens
// on the way unless `quiet`. Gives the Application.
Result<kube::Object> run_operation(const AppSession& app, const std::string& name, const Value& sync,
                                   const AppArguments& arguments, bool quiet);
// Of --retry-limit and the back-off flags; null when none is given. Errors: bad_request, naming the flag.
Result<Value> retry_of(const AppArguments& arguments, const Value& before);
// Which of spec.sources --source-position or --source-name means; nullopt: neither is given. Errors: bad_request.
Result<std::optional<std::size_t>> source_index(const Value& spec, const AppArguments& arguments);
// The Application's objects, as a tree with what they own.
Result<void> print_tree(const AppSession& app, const kube::Object& application, bool detailed);

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
// app_logs.cc
Result<int> app_logs(const AppSession& app, const AppArguments& arguments);
// app_spec_commands.cc
Result<int> app_patch(const AppSession& app, const AppArguments& arguments);
Result<int> app_edit(const AppSession& app, const AppArguments& arguments);
Result<int> app_add_source(const AppSession& app, const AppArguments& arguments);
Result<int> app_remove_source(const AppSession& app, const AppArguments& arguments);
Result<int> app_confirm_deletion(const AppSession& app, const AppArguments& arguments);
// `unset` reads its flags itself: those that have a value elsewhere have none there.
Result<int> command_unset(const Global& global, const std::vector<std::string>& words);
Result<AppSession> open_app_session(const Global& global, const AppArguments& arguments);
// app_resource_commands.cc
Result<int> app_get_resource(const AppSession& app, const AppArguments& arguments);
Result<int> app_patch_resource(const AppSession& app, const AppArguments& arguments);
Result<int> app_delete_resource(const AppSession& app, const AppArguments& arguments);
Result<int> app_manifests(const AppSession& app, const AppArguments& arguments);

}  // namespace caisson::cli
