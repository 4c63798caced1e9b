// SPDX-License-Identifier: Apache-2.0
// How an Application goes: its PreDelete hooks, then what it made, the last wave first, then its PostDelete hooks. Each
// stage is a finalizer, so that it is taken up again after a restart.
#include <algorithm>

#include "core/base/log.h"
#include "delivery/gitops/controller_run.h"

namespace caisson::gitops {
namespace {

constexpr std::string_view kPreDeleteFinalizer = "pre-delete-finalizer.argocd.argoproj.io";
constexpr std::string_view kPostDeleteFinalizer = "post-delete-finalizer.argocd.argoproj.io";
constexpr std::string_view kDeletion = "deletion";  // who began the operation under which the hooks run

bool has_hook(const Observation& observation, Phase phase) {
  return !phase_hooks(observation.hooks, phase, {}).empty();
}

void want_finalizer(Value& application, std::string_view name, bool wanted) {
  kube::Object object(application);
  if (object.has_finalizer(name) == wanted) return;
  if (wanted)
    object.add_finalizer(name);
  else
    object.remove_finalizer(name);
  application = object.value();
}

}  // namespace

// Hooks that run at the end hold the Application until they have.
void Controller::want_delete_finalizers(Run& run) {
  want_finalizer(run.after, kPreDeleteFinalizer, has_hook(run.observation, Phase::pre_delete));
  want_finalizer(run.after, kPostDeleteFinalizer, has_hook(run.observation, Phase::post_delete));
}

Result<kube::Requeue> Controller::run_delete_hooks(Run& run, Phase phase, const std::string& finalizer) {
  run.application = TRY(parse_application(run.before, shared_->options.home_namespace, settings()).in("delete hooks"));
  run.project = runtime_.informer(schema::kAppProjects).find({run.before.ns(), run.application.project});
  run.world = TRY(clusters_.find(run.application));
  if (!ensure_rendering(run)) return save(run);
  run.observation = observe(*run.world, shared_->options.schema, run.application, *run.rendered,
                            run.after["status"]["resources"], run.project_or_null());
  if (!run.observation.complete) return kube::Requeue::after(std::chrono::milliseconds(50));
  Value& state = run.status().edit("operationState");
  if (state["operation"]["initiatedBy"]["username"].as_string() != kDeletion) {
    Value operation{{"initiatedBy", Value{{"username", kDeletion}}}, {"sync", Value::map()}};
    set_operation_id(operation, run.before);
    state = begun_state(operation, run.before.spec(), run.rendered->commit, run.now);
  }
  const auto outcome = TRY(run_hooks(sync_context(run, *run.rendered, run.observation), phase, state));
  state.set("message", outcome.message);
  if (outcome.phase == SyncOutcome::Phase::succeeded) {
    want_finalizer(run.after, finalizer, false);
    return save(run);
  }
  if (outcome.phase == SyncOutcome::Phase::failed)
    run.conditions.push_back({"DeletionError", std::string(phase_name(phase)) + " hook failed: " + outcome.message});
  run.retry_in(std::chrono::seconds(2));
  return save(run);
}

// Delete=confirm: a condition says which object waits for argocd.argoproj.io/deletion-approved.
Result<kube::Requeue> Controller::wait_for_confirmation(Run& run, const ResourceId& id) {
  run.conditions.push_back({"DeletionError", "waiting for deletion confirmation of " + id.str()});
  run.retry_in(std::chrono::minutes(1));
  return save(run);
}

// The destination is no cluster any more: what was made there can't be reached, and must not hold the Application.
Result<kube::Requeue> Controller::leave_resources(Run& run, const std::string& finalizer, const std::string& why) {
  log::warning("resources left behind", {{"application", run.before.key().str()}, {"why", why}});
  kube::Object after = run.before;
  after.remove_finalizer(finalizer);
  auto written = world_.client().update(after);
  if (!written.ok() && written.error().code != ErrorCode::not_found) return std::move(written).error();
  return kube::Requeue::never();
}

// resources-finalizer.argocd.argoproj.io: what the Application made goes first, the last wave first of all.
Result<kube::Requeue> Controller::remove_resources(Run& run) {
  std::string finalizer;
  for (const Value& one : run.before.metadata()["finalizers"].items()) {
    if (one.as_string().starts_with(kFinalizer)) finalizer = one.str();
  }
  if (run.before.has_finalizer(kPreDeleteFinalizer))
    return run_delete_hooks(run, Phase::pre_delete, std::string(kPreDeleteFinalizer));
  if (finalizer.empty() && run.before.has_finalizer(kPostDeleteFinalizer))
    return run_delete_hooks(run, Phase::post_delete, std::string(kPostDeleteFinalizer));
  if (finalizer.empty()) return kube::Requeue::never();
  const kube::ObjectKey key = run.before.key();
  Application destination;
  destination.project = run.before.spec()["project"].str();
  destination.destination_server = run.before.spec()["destination"]["server"].str();
  destination.destination_name = run.before.spec()["destination"]["name"].str();
  destination.destination_namespace = run.before.spec()["destination"]["namespace"].str();
  if (destination.destination_name == "in-cluster") destination.destination_server = kInCluster;
  auto world = clusters_.find(destination);
  if (!world.ok() && world.error().code == ErrorCode::invalid)
    return leave_resources(run, finalizer, world.error().message);
  run.world = TRY(std::move(world));
  const std::string instance = key.ns == shared_->options.home_namespace ? key.name : key.ns + "_" + key.name;
  for (const Value& entry : run.before.status()["resources"].items()) {
    const std::string group = entry["group"].str();
    const auto resource =
        TRY(run.world->resource_of((group.empty() ? "" : group + "/") + entry["version"].str(), entry["kind"].str()));
    if (resource && !run.world->watch(*resource)) return kube::Requeue::after(std::chrono::milliseconds(50));
  }
  std::vector<kube::Object> left;
  for (kube::Object& object : run.world->tracked(instance)) {
    if (object.controller() || has_option(object.value(), "Delete=false")) continue;
    const bool agreed = parse_time(run.before.annotation(kConfirmAnnotation)).has_value();
    if (has_option(object.value(), "Delete=confirm") && !agreed && !object.deleting())
      return wait_for_confirmation(run, id_of(object.value()));
    left.push_back(std::move(object));
  }
  if (left.empty()) {
    kube::Object after = run.before;
    after.remove_finalizer(finalizer);
    auto written = world_.client().update(after);
    if (!written.ok() && written.error().code != ErrorCode::not_found) return std::move(written).error();
    return kube::Requeue::never();
  }
  int last = wave_of(left.front().value());
  for (const kube::Object& object : left) last = std::max(last, wave_of(object.value()));
  std::sort(left.begin(), left.end(), [](const kube::Object& a, const kube::Object& b) {
    return kind_before(id_of(b.value()), id_of(a.value()));
  });
  kube::DeleteOptions options;
  options.propagation =
      finalizer.ends_with("/background") ? kube::Propagation::background : kube::Propagation::foreground;
  for (const kube::Object& object : left) {
    if (object.deleting() || wave_of(object.value()) != last) continue;
    const auto resource = TRY(run.world->resource_of(object.api_version(), object.kind()));
    if (!resource) continue;
    auto done = run.world->client().remove(*resource, object.key(), options);
    if (!done.ok() && done.error().code != ErrorCode::not_found)
      return std::move(done).error().in("delete " + id_of(object.value()).str());
  }
  return kube::Requeue::after(std::chrono::seconds(1));  // watches bring us back earlier
}

}  // namespace caisson::gitops
