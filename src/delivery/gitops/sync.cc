// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/sync.h"

#include <algorithm>
#include <map>
#include <set>

#include "cluster/schema/defaults.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "delivery/gitops/editors.h"
#include "delivery/gitops/gitops.h"

namespace caisson::gitops {
namespace {

enum class TaskState { pending, running, done, failed };

// Credentials that are refused are no fault of an object: they may be rotated at this moment.
bool transient(const Error& error) {
  return error.code == ErrorCode::unauthorized || error.code == ErrorCode::unavailable ||
         error.code == ErrorCode::timeout || error.code == ErrorCode::too_many_requests;
}

std::string lower_kind(const ResourceId& id) {
  return to_lower(id.kind) + (id.group.empty() ? "" : "." + id.group) + "/" + id.name;
}

std::string missing_kind(const Task& task) {
  return "The Kubernetes API could not find " + task.object["apiVersion"].str() + "/" + task.id.kind +
         " for requested resource " + task.id.ns + "/" + task.id.name + ". Make sure the \"" + task.id.kind +
         "\" CRD is installed on the destination cluster.";
}

// Does a Namespace lack labels or annotations of managedNamespaceMetadata?
bool lacks(const kube::Object& ns, const Value& metadata) {
  for (std::string_view part : {"labels", "annotations"}) {
    for (const auto& [key, value] : metadata[part].entries()) {
      if (!(ns.metadata()[part][key] == value)) return true;
    }
  }
  return false;
}

// What a server takes of an object that nobody validates.
Value known_fields(const schema::Schema& schema, const Value& object) {
  const auto kind = schema.find_object(object);
  return kind ? schema::pruned(*kind, object) : object;
}

bool has_hooks(const std::vector<Step>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const Step& step) {
    return std::any_of(step.tasks.begin(), step.tasks.end(), [](const Task& task) { return task.hook; });
  });
}

std::string first_failure(const Value& state) {
  for (const Value& one : state["syncResult"]["resources"].items()) {
    if (one["status"].as_string() == "SyncFailed") return one["message"].str();
  }
  return "";
}

class Sync {
 public:
  Sync(const SyncContext& context, Value& state) : it_(context), state_(state), sync_(state["operation"]["sync"]) {}

  Result<SyncOutcome> run();
  Result<SyncOutcome> run_phase(Phase phase);
  Result<void> terminate();

 private:
  PlanOptions plan_options() const;
  bool option(std::string_view name) const;
  Result<void> apply(const std::vector<const Task*>& tasks);
  Result<void> write_together(const std::vector<const Task*>& tasks);
  Result<void> write_one(const Task& task);
  kube::Write write_of(const Task& task, const std::optional<kube::Object>& live) const;
  Value traced(const Task& task, const std::optional<kube::Object>& live) const;
  Result<bool> made_already(const Task& task);
  Result<void> before_creation(const Task& task);
  Result<void> remove(const ResourceId& id, const std::string& api_version);
  Result<void> remove_hooks(const std::vector<Task>& tasks, bool succeeded);
  void record(const Task& task, std::string_view status, const std::string& message);
  bool dry_run() const { return sync_["dryRun"].as_bool(); }
  bool confirmed() const;
  bool begun() const { return !state_["syncResult"]["resources"].empty(); }
  std::vector<IgnoreRule> ignore_rules() const;
  std::string done_message(const Task& task, bool existed) const;
  Result<bool> valid(const std::vector<Step>& steps);
  bool validated(const Task& task) const;
  bool forced(const Task& task) const;
  bool replaced(const Task& task) const;
  void note_what_comes(const std::vector<Step>& steps);
  std::optional<std::string> unconfirmed(const Step& step) const;
  Result<void> replace_by_force(const Task& task, const kube::Resource& resource, std::optional<kube::Object>& after);
  const Value* result_of(const Task& task) const;
  TaskState task_state(const Task& task, std::string& message) const;
  bool deleted(const Task& task) const;
  std::optional<kube::Object> live_of(const Task& task) const;
  Result<SyncOutcome> fail(const std::string& message);

  const SyncContext& it_;
  Value& state_;
  const Value sync_;
  bool wrote_ = false;
  bool multi_step_ = false;
  // Where each result stands in state_; of the first `indexed_` alone.
  mutable std::map<std::pair<ResourceId, std::string>, std::size_t> results_;
  mutable std::size_t indexed_ = 0;
  bool hooks_made_ = false;                     // by this call: their results are not recorded yet
  std::set<std::string> defined_, namespaces_;  // "group/Kind" and names that come with this sync
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
  for (const Value& one : sync_["resources"].items()) out.selected.push_back(one);
  if (option("CreateNamespace=true") && !it_.application.destination_namespace.empty()) {
    std::optional<kube::Object> live;
    if (it_.world.watch(schema::kNamespaces))
      live = it_.world.find(schema::kNamespaces, {"", it_.application.destination_namespace});
    out.namespace_metadata = it_.application.policy.namespace_metadata;
    if (!live || lacks(*live, out.namespace_metadata)) out.create_namespace = it_.application.destination_namespace;
  }
  return out;
}

// The annotation argocd.argoproj.io/deletion-approved holds a time after the operation's start.
bool Sync::confirmed() const {
  const auto agreed = parse_time(it_.annotations[kConfirmAnnotation].as_string());
  const auto started = parse_time(state_["startedAt"].as_string());
  return agreed && started && *agreed >= *started;
}

std::optional<std::string> Sync::unconfirmed(const Step& step) const {
  for (const Task& task : step.tasks) {
    if (task.confirm && !task.skip && !confirmed()) return task.id.str();
  }
  return std::nullopt;
}

std::vector<IgnoreRule> Sync::ignore_rules() const {
  std::vector<IgnoreRule> out = it_.application.ignore;
  const auto& more = it_.application.settings->ignore;
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

void Sync::note_what_comes(const std::vector<Step>& steps) {
  for (const Step& step : steps) {
    for (const Task& task : step.tasks) {
      if (task.prune) continue;
      if (task.id.kind == "Namespace") namespaces_.insert(task.id.name);
      if (task.id.kind == "CustomResourceDefinition")
        defined_.insert(task.object["spec"]["group"].str() + "/" + task.object["spec"]["names"]["kind"].str());
    }
  }
}

// Before anything is written: every kind is served, or comes with a definition in this sync, and has the fields that
// are written; nothing is shared where that is forbidden. False: the operation fails, and its results say why.
Result<bool> Sync::valid(const std::vector<Step>& steps) {
  std::map<ResourceId, std::string> shared;
  if (option("FailOnSharedResource=true")) {
    for (const Resource& one : it_.observation.resources) {
      if (!one.shared_with.empty()) shared[one.id] = one.shared_with;
    }
  }
  bool good = true;
  for (const Step& step : steps) {
    for (const Task& task : step.tasks) {
      if (const auto found = shared.find(task.id); found != shared.end()) {
        record(task, "SyncFailed", "Shared resource found: " + task.id.str() + " is part of " + found->second);
        good = false;
      }
      if (task.prune || task.skip) continue;
      const std::string wrong =
          it_.schema && validated(task) ? unknown_fields(*it_.schema, task.object) : std::string();
      if (!wrong.empty()) {
        record(task, "SyncFailed", wrong);
        good = false;
        continue;
      }
      if (defined_.contains(task.id.group + "/" + task.id.kind)) continue;
      if (option("SkipDryRunOnMissingResource=true") || has_option(task.object, "SkipDryRunOnMissingResource=true"))
        continue;
      if (TRY(it_.world.resource_of(task.object["apiVersion"].str(), task.id.kind))) continue;
      record(task, "SyncFailed", missing_kind(task));
      good = false;
    }
  }
  return good;
}

Result<SyncOutcome> Sync::run() {
  const PlanOptions options = plan_options();
  const std::vector<Step> steps = plan_sync(it_.observation.resources, it_.observation.hooks, options);
  multi_step_ = steps.size() > 1;
  note_what_comes(steps);
  if (!begun()) {
    if (!TRY(valid(steps))) {
      return SyncOutcome{SyncOutcome::Phase::failed,
                         "one or more objects failed to apply, reason: " + first_failure(state_), false};
    }
  }
  if (!dry_run()) {
    const auto plan = safety_plan(steps, it_.observation.resources, it_.project);
    if (plan && it_.annotations[kApprovedAnnotation].as_string() != plan->id && !begun())
      return SyncOutcome{SyncOutcome::Phase::running, plan->message(), wrote_};
    if (!it_.recorded && has_hooks(steps)) return SyncOutcome{SyncOutcome::Phase::running, "starting", wrote_};
  }
  std::vector<Task> all;
  for (const Step& step : steps) {
    if (const auto name = unconfirmed(step)) {
      return SyncOutcome{SyncOutcome::Phase::running, "waiting for pruning confirmation of " + *name, wrote_};
    }
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
  if (hooks_made_) return SyncOutcome{SyncOutcome::Phase::running, "hooks have run", wrote_};
  if (!dry_run()) TRY(remove_hooks(all, true));
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
  const Value& list = state_["syncResult"]["resources"];
  if (indexed_ > list.size()) {
    results_.clear();
    indexed_ = 0;
  }
  for (; indexed_ < list.size(); ++indexed_) {
    const Value& one = list[indexed_];
    const ResourceId id{one["group"].str(), one["kind"].str(), one["namespace"].str(), one["name"].str()};
    results_.emplace(std::pair(id, one["syncPhase"].str()), indexed_);
  }
  const auto found = results_.find(std::pair(task.id, std::string(phase_name(task.phase))));
  return found == results_.end() ? nullptr : &list[found->second];
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
  if (dry_run()) return TaskState::done;
  const auto live = live_of(task);
  if (task.prune) return task.skip || !live ? TaskState::done : TaskState::running;
  if (!task.hook && !multi_step_) return TaskState::done;
  if (!live && task.hook) return TaskState::done;  // a hook that is gone has run
  if (!live && deleted(task)) {
    message = "was deleted while the sync waited for its health";
    return TaskState::failed;  // a retry makes it again, with its back-off, as somebody may do so each time
  }
  if (!live) return TaskState::running;
  const auto health = health_of(live->value(), *it_.application.settings);
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

// Whether the API says so, too: the watch may not have seen yet what this sync has made.
bool Sync::deleted(const Task& task) const {
  const auto resource = it_.world.resource_of(task.object["apiVersion"].str(), task.id.kind);
  if (!resource.ok() || !*resource) return false;
  const auto there = it_.world.client().get(**resource, {task.id.ns, task.id.name});
  return !there.ok() && there.error().code == ErrorCode::not_found;
}

// New or changed objects carry the trace; what is written without change keeps the one that it has.
Value Sync::traced(const Task& task, const std::optional<kube::Object>& live) const {
  Value object = task.object;
  Value& annotations = object.edit({"metadata", "annotations"});
  if (const std::string operation = operation_id(state_); task.hook && !operation.empty())
    annotations.set(kHookOperationAnnotation, operation);
  if (!it_.trace.empty())
    annotations.set(kTraceparentAnnotation, it_.trace.traceparent());
  else if (live && !live->annotation(kTraceparentAnnotation).empty())
    annotations.set(kTraceparentAnnotation, live->annotation(kTraceparentAnnotation));
  return object;
}

// Of a dry run: with the fields that would change, and who made them so.
std::string Sync::done_message(const Task& task, bool existed) const {
  std::string text = task.prune ? "pruned" : lower_kind(task.id) + (existed ? " configured" : " created");
  if (!dry_run()) return text;
  text += " (dry run)";
  for (const Resource& one : it_.observation.resources) {
    if (one.id == task.id && !one.drift.paths.empty())
      text += ": " + describe(editors_of(*one.desired, *one.live, one.drift.paths));
  }
  return text;
}

bool Sync::validated(const Task& task) const {
  return !option("Validate=false") && !has_option(task.object, "Validate=false");
}

bool Sync::forced(const Task& task) const {
  return option("Force=true") || has_option(task.object, "Force=true");
}

bool Sync::replaced(const Task& task) const {
  return option("Replace=true") || has_option(task.object, "Replace=true");
}

// Force=true: what can't be changed in place is deleted and made anew.
Result<void> Sync::replace_by_force(const Task& task, const kube::Resource& resource,
                                    std::optional<kube::Object>& after) {
  const kube::ObjectKey key{task.id.ns, task.id.name};
  auto gone = it_.world.client().remove(resource, key, {});
  if (!gone.ok() && gone.error().code != ErrorCode::not_found) return std::move(gone).error();
  const kube::Write write = write_of(task, std::nullopt);
  auto made = it_.world.client().apply(write.object, write.options);
  if (!made.ok()) return std::move(made).error();
  after = *made;
  return {};
}

kube::Write Sync::write_of(const Task& task, const std::optional<kube::Object>& live) const {
  kube::Write write;
  write.options.field_manager = std::string(kFieldManager);
  write.options.force = true;
  write.options.dry_run = dry_run();
  write.remove_options.dry_run = dry_run();
  if (task.prune) {
    write.verb = kube::Write::Verb::remove;
    write.object = kube::Object(task.object);
    write.remove_options.propagation = option("PrunePropagationPolicy=foreground") ? kube::Propagation::foreground
                                       : option("PrunePropagationPolicy=orphan")   ? kube::Propagation::orphan
                                                                                   : kube::Propagation::background;
    return write;
  }
  write.object = kube::Object(traced(task, live));
  if (live && option("RespectIgnoreDifferences=true")) {
    auto kept = respect_ignored(ignore_rules(), task.id, write.object.value(), live->value());
    // An expression that fails has made the comparison fail already.
    if (kept.ok()) write.object = kube::Object(*kept);
  }
  if (it_.schema && !validated(task)) write.object = kube::Object(known_fields(*it_.schema, write.object.value()));
  write.verb =
      replaced(task) ? (live ? kube::Write::Verb::update : kube::Write::Verb::create) : kube::Write::Verb::apply;
  return write;
}

// This operation made the hook, and was interrupted before it could say so.
Result<bool> Sync::made_already(const Task& task) {
  hooks_made_ = true;
  const std::string operation = operation_id(state_);
  const auto live = live_of(task);
  if (!live || operation.empty() || live->annotation(kHookOperationAnnotation) != operation) return false;
  record(task, "Synced", done_message(task, false));
  return true;
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
  std::vector<const Task*> left;
  for (const Task* task : writes) {
    if (task->hook && !dry_run()) {
      if (TRY(made_already(*task))) continue;
      TRY(before_creation(*task));
    }
    left.push_back(task);
  }
  writes = std::move(left);
  // A transaction writes; a dry run asks for each object alone, and what is made anew is gone in between.
  const bool alone = std::any_of(writes.begin(), writes.end(),
                                 [&](const Task* task) { return !task->prune && forced(*task) && replaced(*task); });
  if (writes.size() > 1 && it_.world.client().atomic() && !dry_run() && !alone) return write_together(writes);
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
  wrote_ = !dry_run();
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const Task& task = *tasks[i];
    auto resource = it_.world.resource_of(task.object["apiVersion"].str(), task.id.kind);
    if (resource.ok() && *resource && !dry_run()) {
      it_.world.watch(**resource);
      it_.world.wrote(**resource, {task.id.ns, task.id.name}, before[i],
                      task.prune ? std::nullopt : std::optional((*written)[i]));
    }
    record(task, task.prune ? "Pruned" : "Synced", done_message(task, before[i].has_value()));
  }
  return {};
}

Result<void> Sync::write_one(const Task& task) {
  const auto resource = TRY(it_.world.resource_of(task.object["apiVersion"].str(), task.id.kind));
  if (!resource) {
    if (dry_run() && defined_.contains(task.id.group + "/" + task.id.kind))
      record(task, "Synced", done_message(task, false));
    else
      record(task, "SyncFailed", missing_kind(task));
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
  } else if (live && forced(task) && replaced(task) && !dry_run()) {
    done = replace_by_force(task, *resource, after);
  } else {
    auto answer = write.verb == kube::Write::Verb::apply    ? client.apply(write.object, write.options)
                  : write.verb == kube::Write::Verb::create ? client.create(write.object, write.options)
                                                            : client.update(write.object, write.options);
    if (answer.ok())
      after = *answer;
    else
      done = std::move(answer).error();
  }
  if (!done.ok() && done.error().code == ErrorCode::invalid && forced(task) && live && !task.prune && !dry_run())
    done = replace_by_force(task, *resource, after);
  if (!done.ok() && dry_run() && done.error().code == ErrorCode::not_found && namespaces_.contains(task.id.ns))
    done = {};
  if (!done.ok()) {
    if (transient(done.error())) return done;
    record(task, "SyncFailed", done.error().message);
    return {};
  }
  wrote_ = !dry_run();
  if (wrote_) it_.world.wrote(*resource, key, live, after);
  record(task, task.prune ? "Pruned" : "Synced", done_message(task, live.has_value()));
  return {};
}

Result<void> Sync::terminate() {
  for (const Value& hook : it_.observation.hooks) {
    for (Phase phase : hook_phases(hook)) {
      for (const Task& task : phase_hooks({hook}, phase, plan_options())) {
        std::string message;
        if (result_of(task) && task_state(task, message) == TaskState::running)
          TRY(remove(task.id, task.object["apiVersion"].str()));
      }
    }
  }
  return {};
}

Result<SyncOutcome> Sync::run_phase(Phase phase) {
  const std::vector<Task> tasks = phase_hooks(it_.observation.hooks, phase, plan_options());
  if (!it_.recorded && !tasks.empty()) return SyncOutcome{SyncOutcome::Phase::running, "starting", wrote_};
  for (const Task& task : tasks) {
    if (!result_of(task)) TRY(apply({&task}));
    std::string message;
    const TaskState state = task_state(task, message);
    if (state == TaskState::running)
      return SyncOutcome{SyncOutcome::Phase::running, "waiting for completion of hook " + task.id.str(), wrote_};
    if (state == TaskState::failed) {
      TRY(remove_hooks(tasks, false));
      return SyncOutcome{SyncOutcome::Phase::failed, task.id.str() + ": " + message, wrote_};
    }
  }
  if (hooks_made_) return SyncOutcome{SyncOutcome::Phase::running, "hooks have run", wrote_};
  TRY(remove_hooks(tasks, true));
  return SyncOutcome{SyncOutcome::Phase::succeeded, "", wrote_};
}

constexpr std::string_view kOperationInfo = "caisson.dev/operation";

}  // namespace

// A retry is an operation of its own: its hooks run again.
std::string operation_id(const Value& state) {
  for (const Value& one : state["operation"]["info"].items()) {
    if (one["name"].as_string() == kOperationInfo)
      return one["value"].str() + "-" + std::to_string(state["retryCount"].as_int());
  }
  return "";
}

void set_operation_id(Value& operation, const kube::Object& application) {
  Value info = operation["info"].is_list() ? operation["info"] : Value::list();
  const std::string id = sha256_hex(application.uid() + " " + application.resource_version()).substr(0, 12);
  info.push_back(Value{{"name", kOperationInfo}, {"value", id}});
  operation.set("info", std::move(info));
}

Result<void> terminate(const SyncContext& context, Value& state) {
  return Sync(context, state).terminate();
}

Result<SyncOutcome> run_hooks(const SyncContext& context, Phase phase, Value& state) {
  return Sync(context, state).run_phase(phase);
}

Result<SyncOutcome> advance(const SyncContext& context, Value& state) {
  return Sync(context, state).run();
}

}  // namespace caisson::gitops
