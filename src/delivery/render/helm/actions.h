// SPDX-License-Identifier: Apache-2.0
// Install, upgrade, roll back and uninstall a release, as Helm 3 does it: the same records, hooks, three-way merges,
// ownership marks and messages. Source: Helm 3.22 pkg/action. One thread; calls block (hooks, --wait).
#pragma once
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "delivery/render/helm/cluster.h"
#include "delivery/render/helm/release.h"
#include "delivery/render/helm/render_chart.h"

namespace caisson::render::helm {

struct ActionOptions {
  std::string name, ns, description;
  bool dry_run = false, no_hooks = false, wait = false, wait_for_jobs = false, atomic = false, force = false;
  Duration timeout = std::chrono::minutes(5);  // of each wait
  RenderOptions render;                        // release name, namespace and revision are set by the action
  std::map<std::string, std::string> labels;
  // install
  bool create_namespace = false, replace = false, skip_crds = false, take_ownership = false;
  // upgrade
  bool reset_values = false, reuse_values = false, reset_then_reuse_values = false, cleanup_on_fail = false;
  std::size_t history_max = 10;  // 0: no limit
  // uninstall
  bool keep_history = false, ignore_not_found = false;
  kube::Propagation cascade = kube::Propagation::background;
  // test
  std::vector<std::string> tests;  // names of hooks to run, or with "!" not to; without names: all
};

class Actions {
 public:
  Actions(Cluster cluster, std::string ns)
      : cluster_(std::move(cluster)), store_(cluster_.client(), ns, cluster_.clock()), ns_(std::move(ns)) {}

  Result<Release> install(const Chart& chart, const Value& values, const ActionOptions& options);
  Result<Release> upgrade(Chart chart, const Value& values, const ActionOptions& options);
  Result<Release> rollback(std::int64_t version, const ActionOptions& options);  // 0: the one before
  struct Uninstalled {
    Release release;
    std::string kept;  // what helm.sh/resource-policy left, a line each
  };
  Result<Uninstalled> uninstall(const ActionOptions& options);
  Result<Release> test(const ActionOptions& options);  // runs the test hooks

  ReleaseStore& store() { return store_; }
  // The newest revision, or the given one. Errors: not_found "release: not found".
  Result<Release> find(const std::string& name, std::int64_t version = 0) const;

  std::vector<std::string> warnings;

 private:
  Result<void> run_hooks(Release& release, std::string_view event, Duration timeout, bool skip);
  Result<void> delete_hook(const ReleaseHook& hook, std::string_view policy, Duration timeout);
  Result<void> apply_install(Release& release, const std::vector<ClusterObject>& objects,
                             const std::vector<ClusterObject>& adopted, const ActionOptions& options);
  Result<void> apply_upgrade(Release& release, const Release& before, const std::vector<ClusterObject>& current,
                             const std::vector<ClusterObject>& target, const ActionOptions& options,
                             std::vector<ClusterObject>& created);
  Result<Release> fail_install(Release release, Error error, const ActionOptions& options);
  Result<Release> fail_upgrade(Release release, Error error, const std::vector<ClusterObject>& created,
                               const ActionOptions& options);
  Result<void> install_crds(const std::vector<Crd>& crds);
  // Those that are there already, marked as this release's. Errors: already_exists for what belongs to others.
  Result<std::vector<ClusterObject>> adoptable(const std::vector<ClusterObject>& objects, const Release& release,
                                               bool take) const;
  Result<void> supersede_deployed(const std::string& name, std::int64_t except);
  Result<void> prune_history(const std::string& name, std::size_t most);
  std::string now() const;

  Cluster cluster_;
  ReleaseStore store_;
  std::string ns_;
};

}  // namespace caisson::render::helm
