// SPDX-License-Identifier: Apache-2.0
// The `caisson helm` commands that talk to a cluster or look at charts; the table of commands is helm_command_table.h.
#pragma once
#include "cluster/kube/impersonation.h"
#include "core/base/result.h"
#include "delivery/render/helm/actions.h"
#include "main/cli/helm_common.h"
#include "main/cli/session.h"

namespace caisson::cli {

struct HelmSession {
  Session session;
  kube::Impersonation as;
  const std::string& ns() const { return session.ns; }
  // As Session::send, in the name of --kube-as-user.
  Result<http::Response> get(const std::string& path, std::string_view accept = "application/json") const;
};
// By --kubeconfig and its like, and -n. Errors: bad_request for --kube-as-group without --kube-as-user.
Result<HelmSession> connect_helm(const Flags& flags);
// --dry-run: the client's asks the cluster for no objects. Errors: bad_request for another word.
enum class DryRun { none, client, server };
Result<DryRun> dry_run_of(const Flags& flags);
// .Capabilities and `lookup` from the cluster. The session must outlive `options`.
Result<void> use_cluster(const HelmSession& session, render::helm::RenderOptions& options);

// The live objects of a release of one "VERSION/KIND"; under "v1/Pod(related)" the pods that its workloads select.
struct ResourceGroup {
  std::string key;
  std::vector<Value> objects;  // or tables of the API server
};
// In the order of the manifest (Helm's own is random); objects that are gone are left out. Errors: not_found for a kind
// that the cluster does not have.
Result<std::vector<ResourceGroup>> release_resources(const HelmSession& session, const render::helm::Release& release,
                                                     bool tables);
std::string resources_text(const std::vector<ResourceGroup>& groups);  // REQUIRES: tables

// What `status`, `install` and `upgrade` print of a release.
struct ReleaseView {
  bool hide_notes = false, show_description = false;
  std::string format;  // "", "json", "yaml"
  bool debug = false;  // values, hooks and manifest too
  std::vector<ResourceGroup> resources = {};
};
Result<void> print_release(const render::helm::Release& release, const ReleaseView& view);
// `get all --template`: what a template of Go's own functions gives over .Release. Errors: the template's.
Result<std::string> release_by_template(const render::helm::Release& release, const std::string& text);

// helm_commands.cc
Result<void> command_helm_template(const Flags& flags);
// helm_release_commands.cc
Result<void> command_helm_install(const Flags& flags);
Result<void> command_helm_upgrade(const Flags& flags);
Result<void> command_helm_rollback(const Flags& flags);
Result<void> command_helm_uninstall(const Flags& flags);
Result<void> command_helm_test(const Flags& flags);
Result<void> command_helm_diff(const Flags& flags);
// helm_query_commands.cc
Result<void> command_helm_list(const Flags& flags);
Result<void> command_helm_history(const Flags& flags);
Result<void> command_helm_status(const Flags& flags);
Result<void> command_helm_get(const Flags& flags);
Result<void> command_helm_version(const Flags& flags);
// helm_chart_commands.cc
Result<void> command_helm_show(const Flags& flags);
Result<void> command_helm_lint(const Flags& flags);
Result<void> command_helm_package(const Flags& flags);
Result<void> command_helm_create(const Flags& flags);
// helm_repo_commands.cc
Result<void> command_helm_repo(const Flags& flags);
Result<void> command_helm_search(const Flags& flags);
// helm_fetch_commands.cc
Result<void> command_helm_pull(const Flags& flags);
Result<void> command_helm_push(const Flags& flags);
Result<void> command_helm_registry(const Flags& flags);
Result<void> command_helm_dependency(const Flags& flags);
Result<void> command_helm_verify(const Flags& flags);

}  // namespace caisson::cli
