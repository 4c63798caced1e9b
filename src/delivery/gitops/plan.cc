// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/plan.h"

#include <algorithm>
#include <span>
#include <tuple>

#include "core/base/text.h"
#include "delivery/render/kind_order.h"

namespace caisson::gitops {
namespace {

int kind_rank(std::string_view kind) {
  static_assert(render::kInstallOrder[0] == "PriorityClass");
  const auto order = std::span(render::kInstallOrder).subspan(1);
  return static_cast<int>(std::find(order.begin(), order.end(), kind) - order.begin());
}

std::string generated_name(const Value& object, const PlanOptions& options, Phase phase) {
  std::string name = object["metadata"]["generateName"].str();
  const std::string part =
      options.revision.substr(0, 7) + "-" + to_lower(phase_name(phase)) + "-" + std::to_string(options.started_seconds);
  if (name.size() + part.size() > 63) name.resize(63 - part.size());
  return name + part;
}

Task hook_task(const Value& hook, Phase phase, const PlanOptions& options) {
  Task task;
  task.phase = phase;
  task.wave = wave_of(hook);
  task.hook = true;
  task.object = hook;
  if (hook["metadata"]["name"].as_string().empty()) {
    const std::string name = generated_name(hook, options, phase);
    task.object.edit("metadata").set("name", name);
    task.object.edit("metadata").erase("generateName");
  }
  task.id = id_of(task.object);
  return task;
}

Task apply_task(const Resource& resource, const PlanOptions& options) {
  Task task;
  task.wave = wave_of(*resource.desired);
  task.id = resource.id;
  task.object = *resource.desired;
  if (resource.synced() && options.out_of_sync_only) {
    task.skip = true;
    task.skipped_because = "unchanged";
  }
  return task;
}

Task prune_task(const Resource& resource, const PlanOptions& options) {
  Task task;
  task.prune = true;
  task.id = resource.id;
  task.object = *resource.live;
  task.wave = wave_of(*resource.live);
  task.last = options.prune_last || has_option(*resource.live, "PruneLast=true");
  task.confirm = has_option(*resource.live, "Prune=confirm");
  if (!options.prune) {
    task.skip = true;
    task.skipped_because = "ignored (requires pruning)";
  } else if (has_option(*resource.live, "Prune=false")) {
    task.skip = true;
    task.skipped_because = "ignored (no prune)";
  }
  return task;
}

// Prunes go after everything of the Sync phase, the last wave first; with PruneLast after PostSync, too.
auto order(const Task& task) {
  return std::make_tuple(task.last, static_cast<int>(task.phase), task.prune, task.prune ? -task.wave : task.wave);
}

// Is it among the resources that the operation names?
bool selected(const ResourceId& id, const std::vector<Value>& chosen) {
  return chosen.empty() || std::any_of(chosen.begin(), chosen.end(), [&](const Value& one) {
           return one["group"].as_string() == id.group && one["kind"].as_string() == id.kind &&
                  one["name"].as_string() == id.name &&
                  (one["namespace"].as_string().empty() || one["namespace"].as_string() == id.ns);
         });
}

constexpr std::string_view kHelmHookAnnotation = "helm.sh/hook";

// Argo CD's reading of Helm's events; of those that are not there (tests, rollback) nothing is applied.
std::vector<Phase> helm_hook_phases(const Value& annotations) {
  std::vector<Phase> out;
  const auto add = [&](Phase phase) {
    if (std::find(out.begin(), out.end(), phase) == out.end()) out.push_back(phase);
  };
  for (std::string_view one : split(annotations[kHelmHookAnnotation].as_string(), ',')) {
    one = trim(one);
    if (one == "crd-install" || one == "pre-install" || one == "pre-upgrade") add(Phase::pre_sync);
    if (one == "post-install" || one == "post-upgrade") add(Phase::post_sync);
    if (one == "pre-delete") add(Phase::pre_delete);
    if (one == "post-delete") add(Phase::post_delete);
  }
  return out;
}

}  // namespace

std::string_view phase_name(Phase phase) {
  static constexpr std::string_view kNames[] = {"PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete"};
  return kNames[static_cast<int>(phase)];
}

bool is_hook(const Value& object) {
  const Value& annotations = object["metadata"]["annotations"];
  if (!trim(annotations[kHookAnnotation].as_string()).empty()) return true;
  const std::string_view helm = annotations[kHelmHookAnnotation].as_string();
  return !helm.empty() && helm != "crd-install";
}

std::vector<Phase> hook_phases(const Value& object) {
  std::vector<Phase> out;
  for (std::string_view one : split(object["metadata"]["annotations"][kHookAnnotation].as_string(), ',')) {
    for (Phase phase :
         {Phase::pre_sync, Phase::sync, Phase::post_sync, Phase::sync_fail, Phase::pre_delete, Phase::post_delete}) {
      if (trim(one) == phase_name(phase)) out.push_back(phase);
    }
  }
  if (out.empty() && object["metadata"]["annotations"][kHookAnnotation].is_null())
    return helm_hook_phases(object["metadata"]["annotations"]);
  return out;
}

std::vector<DeletePolicy> delete_policies(const Value& object) {
  std::vector<DeletePolicy> out;
  for (std::string_view one : split(object["metadata"]["annotations"][kHookDeleteAnnotation].as_string(), ',')) {
    if (trim(one) == "BeforeHookCreation") out.push_back(DeletePolicy::before_creation);
    if (trim(one) == "HookSucceeded") out.push_back(DeletePolicy::succeeded);
    if (trim(one) == "HookFailed") out.push_back(DeletePolicy::failed);
  }
  for (std::string_view one : split(object["metadata"]["annotations"]["helm.sh/hook-delete-policy"].as_string(), ',')) {
    if (trim(one) == "before-hook-creation") out.push_back(DeletePolicy::before_creation);
    if (trim(one) == "hook-succeeded") out.push_back(DeletePolicy::succeeded);
    if (trim(one) == "hook-failed") out.push_back(DeletePolicy::failed);
  }
  if (out.empty()) out.push_back(DeletePolicy::before_creation);
  return out;
}

int wave_of(const Value& object) {
  const Value& annotations = object["metadata"]["annotations"];
  auto wave = parse_int(trim(annotations[kWaveAnnotation].as_string()));
  if (!wave) wave = parse_int(trim(annotations["helm.sh/hook-weight"].scalar_text()));
  return wave ? static_cast<int>(std::clamp<std::int64_t>(*wave, -1'000'000, 1'000'000)) : 0;
}

bool kind_before(const ResourceId& a, const ResourceId& b) {
  return std::make_tuple(kind_rank(a.kind), std::string_view(a.kind), std::string_view(a.ns),
                         std::string_view(a.name)) <
         std::make_tuple(kind_rank(b.kind), std::string_view(b.kind), std::string_view(b.ns), std::string_view(b.name));
}

std::vector<Step> plan_sync(const std::vector<Resource>& resources, const std::vector<Value>& hooks,
                            const PlanOptions& options) {
  std::vector<Task> tasks;
  bool has_namespace = options.create_namespace.empty();
  for (const Resource& resource : resources) {
    has_namespace = has_namespace || (resource.desired && resource.id.kind == "Namespace" &&
                                      resource.id.name == options.create_namespace);
    if (!selected(resource.id, options.selected)) continue;
    tasks.push_back(resource.desired ? apply_task(resource, options) : prune_task(resource, options));
  }
  // A sync of chosen resources runs no hooks.
  for (const Value& hook : options.hooks&& options.selected.empty() ? hooks : std::vector<Value>{}) {
    for (Phase phase : hook_phases(hook)) {
      if (phase < Phase::sync_fail) tasks.push_back(hook_task(hook, phase, options));
    }
  }
  if (!has_namespace && !tasks.empty()) {
    // Before everything else, and never tracked: the Application does not own its destination.
    Task task;
    task.phase = Phase::pre_sync;
    task.wave = -1'000'001;
    Value metadata{{"name", options.create_namespace}};
    for (std::string_view part : {"labels", "annotations"}) {
      if (options.namespace_metadata[part].is_map()) metadata.set(part, options.namespace_metadata[part]);
    }
    task.object = Value{{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", std::move(metadata)}};
    task.id = id_of(task.object);
    tasks.push_back(std::move(task));
  }
  std::stable_sort(tasks.begin(), tasks.end(), [](const Task& a, const Task& b) {
    if (order(a) != order(b)) return order(a) < order(b);
    return a.prune ? kind_before(b.id, a.id) : kind_before(a.id, b.id);
  });
  std::vector<Step> steps;
  for (Task& task : tasks) {
    if (steps.empty() || steps.back().phase != task.phase || steps.back().wave != task.wave ||
        steps.back().prune != task.prune || steps.back().last != task.last) {
      steps.push_back({task.phase, task.wave, task.prune, task.last, {}});
    }
    steps.back().tasks.push_back(std::move(task));
  }
  return steps;
}

std::vector<Task> phase_hooks(const std::vector<Value>& hooks, Phase phase, const PlanOptions& options) {
  std::vector<Task> out;
  for (const Value& hook : hooks) {
    const auto phases = hook_phases(hook);
    if (std::find(phases.begin(), phases.end(), phase) != phases.end()) out.push_back(hook_task(hook, phase, options));
  }
  std::stable_sort(out.begin(), out.end(), [](const Task& a, const Task& b) {
    return a.wave != b.wave ? a.wave < b.wave : kind_before(a.id, b.id);
  });
  return out;
}

std::vector<Task> fail_hooks(const std::vector<Value>& hooks, const PlanOptions& options) {
  return phase_hooks(hooks, Phase::sync_fail, options);
}

}  // namespace caisson::gitops
