// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/actions.h"

#include <algorithm>

#include "core/base/text.h"
#include "delivery/render/helm/go_text.h"

namespace caisson::render::helm {
namespace {

constexpr std::string_view kReleaseName = "meta.helm.sh/release-name";
constexpr std::string_view kReleaseNamespace = "meta.helm.sh/release-namespace";
constexpr std::string_view kManagedBy = "app.kubernetes.io/managed-by";

// Marks them as the release's.
std::vector<ClusterObject> owned(std::vector<ClusterObject> objects, const Release& release) {
  for (ClusterObject& object : objects) {
    object.object.set_label(kManagedBy, "Helm");
    object.object.set_annotation(kReleaseName, release.name);
    object.object.set_annotation(kReleaseNamespace, release.ns);
  }
  return objects;
}

std::string wrong_mark(const char* what, std::string_view key, const Value& marks, std::string_view wanted) {
  const Value* found = marks.find(key);
  if (found != nullptr && found->as_string() == wanted) return {};
  const std::string begin = std::string("; ") + what + " validation error: ";
  if (found == nullptr) return begin + "missing key " + go_quote(key) + ": must be set to " + go_quote(wanted);
  return begin + "key " + go_quote(key) + " must equal " + go_quote(wanted) + ": current value is " +
         go_quote(found->as_string());
}

// Empty when the object belongs to the release.
std::string foreign_owner(const kube::Object& live, const Release& release) {
  const Value& labels = live.metadata()["labels"];
  const Value& annotations = live.metadata()["annotations"];
  const std::string wrong = wrong_mark("label", kManagedBy, labels, "Helm") +
                            wrong_mark("annotation", kReleaseName, annotations, release.name) +
                            wrong_mark("annotation", kReleaseNamespace, annotations, release.ns);
  return wrong.empty() ? "" : "invalid ownership metadata" + wrong;
}

std::vector<ReleaseHook> release_hooks(const Manifests& manifests) {
  std::vector<ReleaseHook> out;
  for (const Hook& hook : manifests.hooks) out.push_back({hook, "", "", ""});
  return out;
}

bool has_policy(const ReleaseHook& hook, std::string_view policy) {
  const auto& policies = hook.hook.delete_policies;
  if (policies.empty()) return policy == "before-hook-creation";
  return std::find(policies.begin(), policies.end(), policy) != policies.end();
}

bool is_kept(const Value& object) {
  return to_lower(trim(object["metadata"]["annotations"]["helm.sh/resource-policy"].as_string())) == "keep";
}

// The values that an upgrade starts from, and for --reuse-values the old chart's defaults.
Result<Value> values_for_upgrade(Chart& chart, const Release& current, const Value& given, const ActionOptions& options,
                                 std::vector<std::string>& warnings) {
  if (options.reset_values) return given;
  if (options.reuse_values) {
    const Chart old = TRY(chart_of_record(current.chart));
    chart.values = TRY(coalesce(old, current.config, Nulls::removed, warnings).in("failed to rebuild old values"));
    return coalesce_tables(given, current.config, Nulls::removed, warnings);
  }
  if (options.reset_then_reuse_values) return coalesce_tables(given, current.config, Nulls::removed, warnings);
  return given.empty() ? current.config : given;
}

}  // namespace

std::string Actions::now() const {
  return format_time_nanos(cluster_.clock().now());
}

Result<Release> Actions::find(const std::string& name, std::int64_t version) const {
  const std::vector<Release> history = TRY(store_.history(name));
  for (auto at = history.rbegin(); at != history.rend(); ++at) {
    if (version == 0 || at->version == version) return *at;
  }
  return Error{ErrorCode::not_found, "release: not found"};
}

Result<std::vector<ClusterObject>> Actions::adoptable(const std::vector<ClusterObject>& objects, const Release& release,
                                                      bool take) const {
  std::vector<ClusterObject> out;
  kube::Client& client = const_cast<Cluster&>(cluster_).client();
  for (const ClusterObject& object : objects) {
    const auto live = client.get(object.resource, object.object.key());
    if (!live.ok() && live.error().code == ErrorCode::not_found) continue;
    if (!live.ok()) return Error(live.error()).in("could not get information about the resource " + object.str());
    if (const std::string foreign = foreign_owner(*live, release); !take && !foreign.empty()) {
      return Error{ErrorCode::already_exists,
                   object.str() + " exists and cannot be imported into the current release: " + foreign};
    }
    out.push_back(object);
  }
  return out;
}

// --- hooks

Result<void> Actions::delete_hook(const ReleaseHook& hook, std::string_view policy, Duration timeout) {
  // A deleted definition would take every object of its kind with it.
  if (hook.hook.manifest.kind() == "CustomResourceDefinition" || !has_policy(hook, policy)) return {};
  const auto objects = TRY(cluster_.build(hook.hook.manifest.content, ns_));
  TRY(cluster_.remove(objects));
  return cluster_.wait_gone(objects, timeout);
}

Result<void> Actions::run_hooks(Release& release, std::string_view event, Duration timeout, bool skip) {
  if (skip) return {};
  std::vector<ReleaseHook*> hooks;
  for (ReleaseHook& hook : release.hooks) {
    if (hook.hook.has_event(event)) hooks.push_back(&hook);
  }
  std::stable_sort(hooks.begin(), hooks.end(), [](const ReleaseHook* a, const ReleaseHook* b) {
    return std::tie(a->hook.weight, a->hook.name) < std::tie(b->hook.weight, b->hook.name);
  });
  for (std::size_t i = 0; i < hooks.size(); ++i) {
    ReleaseHook& hook = *hooks[i];
    TRY(delete_hook(hook, "before-hook-creation", timeout));
    const auto objects = TRY(
        cluster_.build(hook.hook.manifest.content, ns_)
            .in("unable to build kubernetes object for " + std::string(event) + " hook " + hook.hook.manifest.source));
    hook.started_at = now();
    hook.phase = "Running";
    TRY(store_.update(release));
    auto done = cluster_.create(objects).in("warning: Hook " + std::string(event) + " " + hook.hook.manifest.source +
                                            " failed");
    if (done.ok()) done = cluster_.wait_ended(objects, timeout);
    hook.completed_at = now();
    hook.phase = done.ok() ? "Succeeded" : "Failed";
    if (done.ok()) continue;
    if (const auto deleted = delete_hook(hook, "hook-failed", timeout); !deleted.ok())
      warnings.push_back("error deleting the hook resource on hook failure: " + deleted.error().message);
    for (std::size_t j = 0; j < i; ++j) TRY(delete_hook(*hooks[j], "hook-succeeded", timeout));
    return done;
  }
  for (auto hook = hooks.rbegin(); hook != hooks.rend(); ++hook) TRY(delete_hook(**hook, "hook-succeeded", timeout));
  return {};
}

// --- install

Result<void> Actions::install_crds(const std::vector<Crd>& crds) {
  std::vector<ClusterObject> made;
  for (const Crd& crd : crds) {
    for (ClusterObject& object :
         TRY(cluster_.build(crd.file->data, ns_).in("failed to install CRD " + crd.file->name))) {
      const auto done = cluster_.create({object});
      if (!done.ok() && done.error().code == ErrorCode::already_exists) continue;
      if (!done.ok()) return Error(done.error()).in("failed to install CRD " + crd.file->name);
      made.push_back(std::move(object));
    }
  }
  return cluster_.wait_ready(made, false, std::chrono::minutes(1));
}

Result<void> Actions::apply_install(Release& release, const std::vector<ClusterObject>& objects,
                                    const std::vector<ClusterObject>& adopted, const ActionOptions& options) {
  TRY(run_hooks(release, "pre-install", options.timeout, options.no_hooks).in("failed pre-install"));
  std::vector<ClusterObject> created;
  TRY(adopted.empty() ? cluster_.create(objects) : cluster_.update(adopted, objects, options.force, created));
  if (options.wait || options.atomic) TRY(cluster_.wait_ready(objects, options.wait_for_jobs, options.timeout));
  return run_hooks(release, "post-install", options.timeout, options.no_hooks).in("failed post-install");
}

Result<Release> Actions::fail_install(Release release, Error error, const ActionOptions& options) {
  release.status = "failed";
  release.description = "Release " + go_quote(release.name) + " failed: " + error.message;
  TRY(store_.update(release).in(error.message));
  if (!options.atomic) return error;
  ActionOptions removal = options;
  removal.keep_history = false;
  TRY(uninstall(removal).in("an error occurred while uninstalling the release. original install error: " +
                            error.message));
  return std::move(error).in("release " + release.name + " failed, and has been uninstalled due to atomic being set");
}

Result<Release> Actions::install(const Chart& chart, const Value& values, const ActionOptions& options) {
  TRY(check_release_name(options.name).in("release name " + go_quote(options.name)));
  std::vector<Release> history;
  if (!options.dry_run) history = TRY(store_.history(options.name));
  if (!history.empty()) {
    const std::string& status = history.back().status;
    if (!options.replace || (status != "uninstalled" && status != "failed"))
      return Error{ErrorCode::already_exists, "cannot re-use a name that is still in use"};
  }
  const Prepared prepared = TRY(prepare(chart, values, options.render.skip_schema_validation, warnings));
  if (!options.skip_crds && !options.dry_run) TRY(install_crds(crds(prepared.chart)));
  Release release;
  release.name = options.name;
  release.ns = ns_;
  release.version = history.empty() ? 1 : history.back().version + 1;
  release.first_deployed = release.last_deployed = now();
  release.chart = chart_json(prepared.chart);
  release.config = values;
  release.labels = options.labels;
  RenderOptions render = options.render;
  render.release = {release.name, release.ns, 1, false, true};
  const RenderedChart rendered = TRY(render_prepared(prepared, render, warnings));
  release.manifest = rendered.manifest;
  release.notes = rendered.notes;
  release.hooks = release_hooks(rendered.manifests);
  release.status = "pending-install";
  release.description = "Initial install underway";
  const auto objects =
      owned(TRY(cluster_.build(release.manifest, ns_).in("unable to build kubernetes objects from release manifest")),
            release);
  const auto adopted = TRY(adoptable(objects, release, options.take_ownership).in("Unable to continue with install"));
  if (options.dry_run) {
    release.description = "Dry run complete";
    return release;
  }
  if (options.create_namespace) {
    kube::Object ns = kube::Object::make(schema::kNamespaces, "", ns_);
    ns.set_label("name", ns_);
    const auto made = cluster_.client().create(ns);
    if (!made.ok() && made.error().code != ErrorCode::already_exists) return Error(made.error());
  }
  if (!history.empty() && history.back().status != "failed") {
    history.back().status = "superseded";
    history.back().description = "superseded by new release";
    TRY(store_.update(history.back()));
  }
  TRY(store_.create(release));
  auto done = apply_install(release, objects, adopted, options);
  if (!done.ok()) return fail_install(std::move(release), std::move(done).error(), options);
  release.status = "deployed";
  release.description = options.description.empty() ? "Install complete" : options.description;
  TRY(store_.update(release));
  return release;
}

// --- upgrade

Result<void> Actions::apply_upgrade(Release& release, const Release& before, const std::vector<ClusterObject>& current,
                                    const std::vector<ClusterObject>& target, const ActionOptions& options,
                                    std::vector<ClusterObject>& created) {
  const bool back = release.status == "pending-rollback";
  const std::string stage = back ? "rollback" : "upgrade";
  TRY(run_hooks(release, "pre-" + stage, options.timeout, options.no_hooks).in("pre-" + stage + " hooks failed"));
  TRY(cluster_.update(current, target, options.force, created));
  if (options.wait || options.atomic) TRY(cluster_.wait_ready(target, options.wait_for_jobs, options.timeout));
  TRY(run_hooks(release, "post-" + stage, options.timeout, options.no_hooks).in("post-" + stage + " hooks failed"));
  TRY(supersede_deployed(release.name, release.version));
  if (before.status != "deployed" && before.status != "superseded" && !back) {
    Release old = before;
    old.status = "superseded";
    TRY(store_.update(old));
  }
  return {};
}

Result<void> Actions::supersede_deployed(const std::string& name, std::int64_t except) {
  for (Release& old : TRY(store_.history(name))) {
    if (old.status != "deployed" || old.version == except) continue;
    old.status = "superseded";
    TRY(store_.update(old));
  }
  return {};
}

// The oldest go, but never the one that is deployed.
Result<void> Actions::prune_history(const std::string& name, std::size_t most) {
  if (most == 0) return {};
  const std::vector<Release> history = TRY(store_.history(name));
  std::size_t left = history.size();
  for (const Release& old : history) {
    if (left <= most) break;
    if (old.status == "deployed") continue;
    TRY(store_.remove(name, old.version));
    --left;
  }
  return {};
}

Result<Release> Actions::fail_upgrade(Release release, Error error, const std::vector<ClusterObject>& created,
                                      const ActionOptions& options) {
  const bool back = release.status == "pending-rollback";
  release.status = "failed";
  release.description = (back ? "Rollback " : "Upgrade ") + go_quote(release.name) + " failed: " + error.message;
  TRY(store_.update(release).in(error.message));
  if (options.cleanup_on_fail) {
    TRY(cluster_.remove(created).in("an error occurred while cleaning up resources. original upgrade error: " +
                                    error.message + ": unable to cleanup resources"));
  }
  if (!options.atomic || back) return error;
  const std::vector<Release> history = TRY(store_.history(release.name));
  const auto good = std::find_if(history.rbegin(), history.rend(), [](const Release& old) {
    return old.status == "superseded" || old.status == "deployed";
  });
  if (good == history.rend()) {
    return std::move(error).in(
        "unable to find a previously successful release when attempting to rollback. original upgrade error");
  }
  ActionOptions rolling = options;
  rolling.wait = true;
  rolling.atomic = false;
  TRY(rollback(good->version, rolling)
          .in("an error occurred while rolling back the release. original upgrade error: " + error.message));
  return std::move(error).in("release " + release.name + " failed, and has been rolled back due to atomic being set");
}

Result<Release> Actions::upgrade(Chart chart, const Value& values, const ActionOptions& options) {
  if (!check_release_name(options.name).ok())
    return Error{ErrorCode::bad_request, "release name is invalid: " + options.name};
  const std::vector<Release> history = TRY(store_.history(options.name));
  const std::string none = go_quote(options.name) + " has no deployed releases";
  if (history.empty()) return Error{ErrorCode::not_found, none};
  const Release& last = history.back();
  if (last.is_pending())
    return Error{ErrorCode::conflict, "another operation (install/upgrade/rollback) is in progress"};
  const auto deployed =
      std::find_if(history.rbegin(), history.rend(), [](const Release& old) { return old.status == "deployed"; });
  if (deployed == history.rend() && last.status != "failed" && last.status != "superseded")
    return Error{ErrorCode::not_found, none};
  const Release& current = deployed == history.rend() ? last : *deployed;

  const Value config = TRY(values_for_upgrade(chart, current, values, options, warnings));
  const Prepared prepared = TRY(prepare(std::move(chart), config, options.render.skip_schema_validation, warnings));
  Release release;
  release.name = options.name;
  release.ns = current.ns;
  release.version = last.version + 1;
  release.first_deployed = current.first_deployed;
  release.last_deployed = now();
  release.chart = chart_json(prepared.chart);
  release.config = config;
  release.labels = last.labels;
  for (const auto& [key, value] : options.labels) {
    if (value == "null")
      release.labels.erase(key);
    else
      release.labels[key] = value;
  }
  RenderOptions render = options.render;
  render.release = {release.name, release.ns, release.version, true, false};
  const RenderedChart rendered = TRY(render_prepared(prepared, render, warnings));
  release.manifest = rendered.manifest;
  release.notes = rendered.notes;
  release.hooks = release_hooks(rendered.manifests);
  release.status = "pending-upgrade";
  release.description = "Preparing upgrade";

  auto before =
      TRY(cluster_.build(current.manifest, ns_).in("unable to build kubernetes objects from current release manifest"));
  const auto target = owned(
      TRY(cluster_.build(release.manifest, ns_).in("unable to build kubernetes objects from new release manifest")),
      release);
  std::vector<ClusterObject> fresh;
  for (const ClusterObject& object : target) {
    if (std::none_of(before.begin(), before.end(), [&](const ClusterObject& old) { return old.is_same(object); }))
      fresh.push_back(object);
  }
  for (ClusterObject& object :
       TRY(adoptable(fresh, release, options.take_ownership).in("Unable to continue with update")))
    before.push_back(std::move(object));
  if (options.dry_run) {
    release.description = options.description.empty() ? "Dry run complete" : options.description;
    return release;
  }
  TRY(store_.create(release));
  std::vector<ClusterObject> created;
  auto done = apply_upgrade(release, current, before, target, options, created);
  if (!done.ok()) return fail_upgrade(std::move(release), std::move(done).error(), created, options);
  release.status = "deployed";
  release.description = options.description.empty() ? "Upgrade complete" : options.description;
  TRY(store_.update(release));
  TRY(prune_history(release.name, options.history_max));
  return release;
}

Result<Release> Actions::rollback(std::int64_t version, const ActionOptions& options) {
  const std::vector<Release> history = TRY(store_.history(options.name));
  if (history.empty()) return Error{ErrorCode::not_found, "release: not found"};
  const Release& current = history.back();
  const std::int64_t wanted = version == 0 ? current.version - 1 : version;
  const auto old = std::find_if(history.begin(), history.end(), [&](const Release& r) { return r.version == wanted; });
  if (old == history.end()) return Error{ErrorCode::not_found, "release has no " + std::to_string(wanted) + " version"};
  Release release = *old;
  release.version = current.version + 1;
  release.first_deployed = current.first_deployed;
  release.last_deployed = now();
  release.deleted.clear();
  release.status = "pending-rollback";
  release.description = "Rollback to " + std::to_string(wanted);
  if (options.dry_run) return release;
  TRY(store_.create(release));
  const auto before =
      TRY(cluster_.build(current.manifest, ns_).in("unable to build kubernetes objects from current release manifest"));
  const auto target = owned(
      TRY(cluster_.build(release.manifest, ns_).in("unable to build kubernetes objects from new release manifest")),
      release);
  std::vector<ClusterObject> created;
  auto done = apply_upgrade(release, current, before, target, options, created);
  if (!done.ok()) return fail_upgrade(std::move(release), std::move(done).error(), created, options);
  release.status = "deployed";
  TRY(store_.update(release));
  TRY(prune_history(release.name, options.history_max));
  return release;
}

// --- uninstall

Result<Actions::Uninstalled> Actions::uninstall(const ActionOptions& options) {
  const std::vector<Release> history = TRY(store_.history(options.name));
  if (history.empty()) {
    if (options.ignore_not_found) return Uninstalled{};
    return Error{ErrorCode::not_found, "uninstall: Release not loaded: " + options.name + ": release: not found"};
  }
  Uninstalled out{history.back(), ""};
  Release& release = out.release;
  const auto purge = [&]() -> Result<void> {
    for (const Release& old : history)
      TRY(store_.remove(old.name, old.version).in("uninstall: Failed to purge the release"));
    return {};
  };
  if (release.status == "uninstalled") {
    if (options.keep_history)
      return Error{ErrorCode::conflict, "the release named " + go_quote(options.name) + " is already deleted"};
    TRY(purge());
    return out;
  }
  if (options.dry_run) return out;
  release.status = "uninstalling";
  release.deleted = now();
  release.description = "Deletion in progress (or silently failed)";
  TRY(run_hooks(release, "pre-delete", options.timeout, options.no_hooks));
  TRY(store_.update(release));

  Manifests manifests = TRY(sort_manifests({{"manifest", release.manifest}}, warnings)
                                .in("corrupted release record. You must manually delete the resources"));
  sort_by_uninstall_order(manifests.resources);
  std::vector<ClusterObject> objects;
  for (const Manifest& manifest : manifests.resources) {
    if (is_kept(manifest.object)) {
      out.kept += "[" + manifest.kind() + "] " + manifest.object["metadata"]["name"].scalar_text() + "\n";
      continue;
    }
    for (ClusterObject& object :
         TRY(cluster_.build(manifest.content, ns_).in("unable to build kubernetes objects for delete")))
      objects.push_back(std::move(object));
  }
  TRY(cluster_.remove(objects, options.cascade).in("failed to delete release: " + release.name));
  if (options.wait) TRY(cluster_.wait_gone(objects, options.timeout));
  TRY(run_hooks(release, "post-delete", options.timeout, options.no_hooks));
  release.status = "uninstalled";
  release.description = options.description.empty() ? "Uninstallation complete" : options.description;
  if (!options.keep_history) {
    TRY(purge());
    return out;
  }
  TRY(store_.update(release));
  TRY(supersede_deployed(release.name, release.version));
  return out;
}

Result<Release> Actions::test(const ActionOptions& options) {
  Release release = TRY(find(options.name));
  const auto is_named = [&](const std::string& name) {
    return std::find(options.tests.begin(), options.tests.end(), name) != options.tests.end();
  };
  const bool only_named = std::any_of(options.tests.begin(), options.tests.end(),
                                      [](const std::string& name) { return !name.starts_with('!'); });
  const auto is_chosen = [&](const ReleaseHook& hook) {
    return !is_named("!" + hook.hook.name) && (!only_named || is_named(hook.hook.name));
  };
  const auto others = std::stable_partition(release.hooks.begin(), release.hooks.end(), is_chosen);
  std::vector<ReleaseHook> left_out(std::make_move_iterator(others), std::make_move_iterator(release.hooks.end()));
  release.hooks.erase(others, release.hooks.end());
  const auto done = run_hooks(release, "test", options.timeout, false);
  std::move(left_out.begin(), left_out.end(), std::back_inserter(release.hooks));
  TRY(store_.update(release));
  if (!done.ok()) return Error(done.error());
  return release;
}

}  // namespace caisson::render::helm
