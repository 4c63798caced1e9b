// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/sync.h"

#include <algorithm>

#include "core/base/text.h"
#include "delivery/gitops/gitops.h"

namespace caisson::gitops {
namespace {

enum class TaskState { pending, running, done, failed };

bool transient(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout ||
         error.code == ErrorCode::too_many_requests;
}

std::string lower_kind(const ResourceId& id) {
  return to_lower(id.kind) + (id.group.empty() ? "" : "." + id.group) + "/" + id.name;
}

class Sync {
 public:
  Sync(const SyncContext& context, Value& state) : it_(context), state_(state), sync_(state["operation"]["sync"]) {}

  Result<SyncOutcome> run();

 private:
  PlanOptions plan_options() const;
  bool option(std::string_view name) const;
  Result<void> apply(const std::vector<const Task*>& tasks);
  Result<void> write_together(const std::vector<const Task*>& tasks);
  Result<void> write_one(const Task& task);
  kube::Write write_of(const Task& task, const std::optional<kube::Object>& live) const;
  Value traced(const Task& task, const std::optional<kube::Object>& live) const;
  Result<void> before_creation(const Task& task);
  Result<void> remove(const ResourceId& id, const std::string& api_version);
  Result<void> remove_hooks(const std::vector<Task>& tasks, bool succeeded);
  void record(const Task& task, std::string_view status, const std::string& message);
  const Value* result_of(const Task& task) const;
  TaskState task_state(const Task& task, std::string& message) const;
  std::optional<kube::Object> live_of(const Task& task) const;
  Result<SyncOutcome> fail(const std::string& message);

  const SyncContext& it_;
  Value& state_;
  const Value sync_;
  bool wrote_ = false;
  bool multi_step_ = false;
};

bool Sync::option(std::string_view name) const {
  if (has_option(it_.application.policy.options, name)) return true;
  for (const Value& one : sync_["syncOptions"].items()) {
    if (one.as_string() == name) return true;
  }
  return false;
}

PlanOptions Sync::plan_options() const {
  PlanOptions out;
  out.prune = sync_["prune"].as_bool();
  out.prune_last = option("PruneLast=true");
  out.hooks = !sync_["syncStrategy"]["apply"].is_map();
  out.revision = it_.rendered.commit;
  const auto started = parse_time(state_["startedAt"].as_string());
  out.started_seconds =
      started ? std::chrono::duration_cast<std::chrono::seconds>(started->time_since_epoch()).count() : 0;
  if (option("CreateNamespace=true") && !it_.application.destination_namespace.empty()) {
    const bool there = it_.world.watch(schema::kNamespaces) &&
                       it_.world.find(schema::kNamespaces, {"", it_.application.destination_namespace});
    if (!there) out.create_namespace = it_.application.destination_namespace;
  }
  return out;
}

Result<SyncOutcome> Sync::run() {
  const PlanOptions options = plan_options();
  const std::vector<Step> steps = plan_sync(it_.observation.resources, it_.observation.hooks, options);
  multi_step_ = steps.size() > 1;
  std::vector<Task> all;
  for (const Step& step : steps) {
    std::vector<const Task*> pending;
    for (const Task& task : step.tasks) {
      all.push_back(task);
      if (!result_of(task)) pending.push_back(&task);
    }
    if (!pending.empty()) TRY(apply(pending));
    std::vector<std::string> waiting, broken;
    for (const Task& task : step.tasks) {
      std::string message;
      const TaskState state = task_state(task, message);
      if (state == TaskState::running)
        waiting.push_back(task.hook ? "completion of hook " + task.id.str() : "healthy state of " + task.id.str());
      if (state == TaskState::failed) broken.push_back(task.id.str() + (message.empty() ? "" : ": " + message));
    }
    if (!broken.empty()) {
      TRY(remove_hooks(all, false));
      return fail("one or more synchronization tasks completed unsuccessfully, reason: " + join(broken, ", "));
    }
    if (!waiting.empty()) {
      const std::size_t more = waiting.size() - 1;
      return SyncOutcome{SyncOutcome::Phase::running,
                         "waiting for " + waiting[0] + (more ? " and " + std::to_string(more) + " more" : ""), wrote_};
    }
  }
  TRY(remove_hooks(all, true));
  const bool ignored = std::any_of(all.begin(), all.end(), [](const Task& task) { return task.prune && task.skip; });
  return SyncOutcome{SyncOutcome::Phase::succeeded,
                     ignored ? "successfully synced (no more tasks); some resources require pruning"
                             : "successfully synced (all tasks run)",
                     wrote_};
}

Result<SyncOutcome> Sync::fail(const std::string& message) {
  std::vector<const Task*> tasks;
  const std::vector<Task> hooks = fail_hooks(it_.observation.hooks, plan_options());
  for (const Task& hook : hooks) {
    if (!result_of(hook)) tasks.push_back(&hook);
  }
  if (!tasks.empty()) TRY(apply(tasks));
  for (const Task& hook : hooks) {  // the operation fails when they have run
    std::string why;
    if (task_state(hook, why) == TaskState::running)
      return SyncOutcome{SyncOutcome::Phase::running, "running SyncFail hooks: " + message, wrote_};
  }
  return SyncOutcome{SyncOutcome::Phase::failed, message, wrote_};
}

const Value* Sync::result_of(const Task& task) const {
  for (const Value& one : state_["syncResult"]["resources"].items()) {
    const bool same = one["group"].as_string() == task.id.group && one["kind"].as_string() == task.id.kind &&
                      one["namespace"].as_string() == task.id.ns && one["name"].as_string() == task.id.name &&
                      one["syncPhase"].as_string() == phase_name(task.phase);
    if (same) return &one;
  }
  return nullptr;
}

void Sync::record(const Task& task, std::string_view status, const std::string& message) {
  const std::string api_version = task.object["apiVersion"].str();
  Value entry{{"group", task.id.group}, {"version", api_version.substr(api_version.find('/') + 1)},
              {"kind", task.id.kind},   {"namespace", task.id.ns},
              {"name", task.id.name},   {"status", status},
              {"message", message},     {"syncPhase", phase_name(task.phase)}};
  if (task.hook) entry.set("hookType", phase_name(task.phase));
  entry.set("hookPhase", status == "SyncFailed"             ? "Failed"
                         : task.hook                        ? "Running"
                         : task.prune || status == "Synced" ? "Succeeded"
                                                            : "Running");
  Value& list = state_.edit({"syncResult", "resources"});
  if (list.is_null()) list = Value::list();
  list.push_back(std::move(entry));
}

std::optional<kube::Object> Sync::live_of(const Task& task) const {
  auto resource = it_.world.resource_of(task.object["apiVersion"].str(), task.id.kind);
  if (!resource.ok() || !*resource) return std::nullopt;
  it_.world.watch(**resource);
  return it_.world.find(**resource, {task.id.ns, task.id.name});
}

TaskState Sync::task_state(const Task& task, std::string& message) const {
  const Value* result = result_of(task);
  if (!result) return TaskState::pending;
  message = (*result)["message"].str();
  if ((*result)["status"].as_string() == "SyncFailed") return TaskState::failed;
  const auto live = live_of(task);
  if (task.prune) return task.skip || !live ? TaskState::done : TaskState::running;
  if (!task.hook && !multi_step_) return TaskState::done;
  if (!live) return task.hook ? TaskState::done : TaskState::running;  // a hook that is gone has run
  const auto health = health_of(live->value());
  if (!health) return TaskState::done;
  message = health->message;
  switch (health->code) {
    case HealthCode::healthy:
    case HealthCode::suspended:
      return TaskState::done;
    case HealthCode::degraded:
      return TaskState::failed;
    default:
      return TaskState::running;
  }
}

// New or changed objects carry the trace; what is written without change keeps the one that it has.
Value Sync::traced(const Task& task, const std::optional<kube::Object>& live) const {
  Value object = task.object;
  Value& annotations = object.edit({"metadata", "annotations"});
  if (!it_.trace.empty())
    annotations.set(kTraceparentAnnotation, it_.trace.traceparent());
  else if (live && !live->annotation(kTraceparentAnnotation).empty())
    annotations.set(kTraceparentAnnotation, live->annotation(kTraceparentAnnotation));
  return object;
}

kube::Write Sync::write_of(const Task& task, const std::optional<kube::Object>& live) const {
  kube::Write write;
  write.options.field_manager = std::string(kFieldManager);
  write.options.force = true;
  if (task.prune) {
    write.verb = kube::Write::Verb::remove;
    write.object = kube::Object(task.object);
    write.remove_options.propagation = option("PrunePropagationPolicy=foreground") ? kube::Propagation::foreground
                                       : option("PrunePropagationPolicy=orphan")   ? kube::Propagation::orphan
                                                                                   : kube::Propagation::background;
    return write;
  }
  write.object = kube::Object(traced(task, live));
  const bool replace = option("Replace=true") || has_option(task.object, "Replace=true");
  write.verb = replace ? (live ? kube::Write::Verb::update : kube::Write::Verb::create) : kube::Write::Verb::apply;
  return write;
}

Result<void> Sync::before_creation(const Task& task) {
  const auto policies = delete_policies(task.object);
  if (std::find(policies.begin(), policies.end(), DeletePolicy::before_creation) == policies.end()) return {};
  return remove(task.id, task.object["apiVersion"].str());
}

Result<void> Sync::remove(const ResourceId& id, const std::string& api_version) {
  const auto resource = TRY(it_.world.resource_of(api_version, id.kind));
  if (!resource) return {};
  const kube::ObjectKey key{id.ns, id.name};
  it_.world.watch(*resource);
  const auto live = it_.world.find(*resource, key);
  if (!live) return {};
  auto done = it_.world.client().remove(*resource, key, {});
  if (!done.ok() && done.error().code != ErrorCode::not_found) return std::move(done).error();
  it_.world.wrote(*resource, key, live, std::nullopt);
  wrote_ = true;
  return {};
}

Result<void> Sync::remove_hooks(const std::vector<Task>& tasks, bool succeeded) {
  for (const Task& task : tasks) {
    if (!task.hook || !result_of(task)) continue;
    const auto policies = delete_policies(task.object);
    const DeletePolicy wanted = succeeded ? DeletePolicy::succeeded : DeletePolicy::failed;
    if (std::find(policies.begin(), policies.end(), wanted) != policies.end())
      TRY(remove(task.id, task.object["apiVersion"].str()));
  }
  return {};
}

// All of a step in one transaction where the target can; otherwise one by one, so that each object has its own result.
Result<void> Sync::apply(const std::vector<const Task*>& tasks) {
  std::vector<const Task*> writes;
  for (const Task* task : tasks) {
    if (task->skip)
      record(*task, task->prune ? "PruneSkipped" : "Synced", task->skipped_because);
    else
      writes.push_back(task);
  }
  for (const Task* task : writes) {
    if (task->hook) TRY(before_creation(*task));
  }
  if (writes.size() > 1 && it_.world.client().atomic()) return write_together(writes);
  for (const Task* task : writes) TRY(write_one(*task));
  return {};
}

Result<void> Sync::write_together(const std::vector<const Task*>& tasks) {
  std::vector<kube::Write> writes;
  std::vector<std::optional<kube::Object>> before;
  for (const Task* task : tasks) {
    before.push_back(live_of(*task));
    writes.push_back(write_of(*task, before.back()));
  }
  auto written = it_.world.client().transact(writes);
  if (!written.ok()) {
    if (transient(written.error())) return std::move(written).error();
    for (const Task* task : tasks) TRY(write_one(*task));  // says which of them it was
    return {};
  }
  wrote_ = true;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const Task& task = *tasks[i];
    auto resource = it_.world.resource_of(task.object["apiVersion"].str(), task.id.kind);
    if (resource.ok() && *resource) {
      it_.world.watch(**resource);
      it_.world.wrote(**resource, {task.id.ns, task.id.name}, before[i],
                      task.prune ? std::nullopt : std::optional((*written)[i]));
    }
    record(task, task.prune ? "Pruned" : "Synced",
           task.prune ? "pruned" : lower_kind(task.id) + (before[i] ? " configured" : " created"));
  }
  return {};
}

Result<void> Sync::write_one(const Task& task) {
  const auto resource = TRY(it_.world.resource_of(task.object["apiVersion"].str(), task.id.kind));
  if (!resource) {
    record(task, "SyncFailed",
           "The Kubernetes API could not find " + task.object["apiVersion"].str() + "/" + task.id.kind +
               " for requested resource " + task.id.ns + "/" + task.id.name + ". Make sure the \"" + task.id.kind +
               "\" CRD is installed on the destination cluster.");
    return {};
  }
  it_.world.watch(*resource);
  const kube::ObjectKey key{task.id.ns, task.id.name};
  const auto live = it_.world.find(*resource, key);
  const kube::Write write = write_of(task, live);
  kube::Client& client = it_.world.client();
  std::optional<kube::Object> after;
  Result<void> done;
  if (task.prune) {
    done = client.remove(*resource, key, write.remove_options);
    if (!done.ok() && done.error().code == ErrorCode::not_found) done = {};
  } else {
    auto answer = write.verb == kube::Write::Verb::apply    ? client.apply(write.object, write.options)
                  : write.verb == kube::Write::Verb::create ? client.create(write.object, write.options)
                                                            : client.update(write.object, write.options);
    if (answer.ok())
      after = *answer;
    else
      done = std::move(answer).error();
  }
  if (!done.ok()) {
    if (transient(done.error())) return done;
    record(task, "SyncFailed", done.error().message);
    return {};
  }
  wrote_ = true;
  it_.world.wrote(*resource, key, live, after);
  record(task, task.prune ? "Pruned" : "Synced",
         task.prune ? "pruned" : lower_kind(task.id) + (live ? " configured" : " created"));
  return {};
}

}  // namespace

Result<SyncOutcome> advance(const SyncContext& context, Value& state) {
  return Sync(context, state).run();
}

}  // namespace caisson::gitops
