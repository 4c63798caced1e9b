// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/task_run_reconciler.h"

#include "core/base/hash.h"
#include "core/base/log.h"
#include "delivery/pipeline/resolution.h"
#include "delivery/pipeline/spans.h"
#include "delivery/pipeline/task_run_status.h"

namespace caisson::pipeline {
namespace {

using Event = kube::EventRecorder::Type;
constexpr Duration kAccountPatience = std::chrono::seconds(30);

}  // namespace

TaskRunReconciler::TaskRunReconciler(kube::Runtime& runtime, const PipelineOptions& options)
    : client_(runtime.client()),
      clock_(runtime.clock()),
      pods_(runtime.informer(schema::kPods)),
      config_maps_(runtime.informer(schema::kConfigMaps)),
      options_(options),
      settings_{options.git_url, options.portal_url},
      events_(runtime.client(), runtime.clock(), "TaskRun") {}

Result<kube::Requeue> TaskRunReconciler::reconcile(const kube::ObjectKey& key) {
  // Read from the API: a cache that lags behind our own status write would run the same step twice.
  auto found = client_.get(schema::kTaskRuns, key);
  if (!found.ok()) {
    if (found.error().code == ErrorCode::not_found) return kube::Requeue::never();
    return std::move(found).error();
  }
  kube::Object run = std::move(found).value();
  if (run.deleting() || is_done(run)) return kube::Requeue::never();
  const kube::Object before = run;
  const std::string order = run.spec()["status"].str();
  if (order == "TaskRunCancelled") {
    const std::string why = run.spec()["statusMessage"].str();
    TRY(stop(run, "TaskRunCancelled",
             "TaskRun \"" + run.name() + "\" was cancelled" + (why.empty() ? "." : ". " + why)));
    TRY(save(before, run));
    return kube::Requeue::never();
  }
  // Only in our hands: save writes the status.
  const auto map = config_maps_.find({std::string(kConfigNamespace), std::string(kConfigDefaults)});
  const auto defaults = parse_run_defaults(map ? (*map)["data"] : Value());
  if (defaults.ok()) give_defaults_to_task_run(run, *defaults);
  const Result<void> begun = defaults.ok() ? begin(run, *defaults) : Error(defaults.error()).in("config-defaults");
  if (!begun.ok() && is_unresolved(begun.error())) {
    set_succeeded(run, "Unknown", "ResolvingTaskRef", begun.error().message, clock_.now());
    TRY(save(before, run));
    return kube::Requeue::never();  // the answered request wakes it
  }
  if (!begun.ok() && begun.error().code != ErrorCode::invalid && begun.error().code != ErrorCode::bad_request) {
    TRY(save(before, run));  // the clock of the run's timeout has started
    return begun.error();
  }
  kube::Requeue again = kube::Requeue::never();
  if (begun.ok()) {
    again = TRY(follow(run));
  } else {
    run.edit({"status"}).set("completionTime", format_time(clock_.now()));
    set_succeeded(run, "False", "TaskRunValidationFailed", begun.error().message, clock_.now());
  }
  TRY(save(before, run));
  if (is_done(run)) {
    const auto pod = pods_.find({run.ns(), run.status()["podName"].str()});
    finished(run, pod ? &*pod : nullptr);
  }
  return again;
}

Result<TaskRunReconciler::Task> TaskRunReconciler::find_task(const kube::Object& run) const {
  const Value& reference = run.spec()["taskRef"];
  const Value& embedded = run.spec()["taskSpec"];
  if (!embedded.is_null() && !reference.is_null())
    return Error{ErrorCode::invalid, "expected exactly one of taskRef and taskSpec, got both"};
  if (!embedded.is_null()) return Task{"", embedded};
  if (reference.contains("resolver")) {
    Value found = TRY(resolve_reference(client_, run, reference, "Task").in("taskRef"));
    return Task{reference["name"].str(), std::move(found)};
  }
  if (reference.contains("bundle"))
    return Error{ErrorCode::invalid, "taskRef.bundle is not supported; name a Task of this namespace"};
  const std::string kind = reference["kind"].str(), name = reference["name"].str();
  if (!kind.empty() && kind != "Task")
    return Error{ErrorCode::invalid, "taskRef.kind \"" + kind + "\" is not supported (Task is)"};
  if (name.empty()) return Error{ErrorCode::invalid, "expected exactly one of taskRef and taskSpec, got neither"};
  const auto task = client_.get(schema::kTasks, {run.ns(), name});
  if (task.ok()) return Task{name, task->spec()};
  if (task.error().code == ErrorCode::not_found)
    return Error{ErrorCode::invalid, "tasks.tekton.dev \"" + name + "\" not found"};
  return task.error();
}

Result<Value> TaskRunReconciler::find_step_action(const kube::Object& run, const Value& reference) const {
  if (reference.contains("resolver")) return resolve_reference(client_, run, reference, "StepAction");
  const std::string name = reference["name"].str();
  const schema::Resource step_actions{"tekton.dev", "v1beta1", "StepAction",
                                      "stepactions"};  // v1alpha1 is read as this
  const auto action = client_.get(step_actions, {run.ns(), name});
  if (action.ok()) return action->spec();
  if (action.error().code == ErrorCode::not_found)
    return Error{ErrorCode::invalid, "stepactions.tekton.dev \"" + name + "\" not found"};
  return action.error();
}

Result<Credentials> TaskRunReconciler::credentials_of(const kube::Object& run) const {
  const std::string name = run.spec()["serviceAccountName"].str();
  const auto account = client_.get(schema::kServiceAccounts, {run.ns(), name.empty() ? "default" : name});
  if (!account.ok()) {
    if (account.error().code != ErrorCode::not_found) return account.error();
    // In a namespace that was just made the account may be on its way.
    const auto started = parse_time(run.status()["startTime"].as_string());
    const bool early = started && clock_.now() - *started < kAccountPatience;
    return Error{early ? ErrorCode::unavailable : ErrorCode::invalid,
                 "serviceaccounts \"" + (name.empty() ? "default" : name) + "\" not found"};
  }
  std::vector<kube::Object> secrets;
  for (const Value& entry : (*account)["secrets"].items()) {
    const auto secret = client_.get(schema::kSecrets, {run.ns(), entry["name"].str()});
    if (secret.ok())
      secrets.push_back(*secret);
    else if (secret.error().code != ErrorCode::not_found)
      return secret.error();
  }
  return read_credentials(secrets);
}

// First sight of the run: what it will be, in its status.
Result<void> TaskRunReconciler::begin(kube::Object& run, const RunDefaults& defaults) {
  if (!run.status()["taskSpec"].is_null()) return {};
  if (run.status()["startTime"].is_null()) {
    run.edit({"status"}).set("startTime", format_time(clock_.now()));
    set_succeeded(run, "Unknown", "Started", "", clock_.now());
    events_.record(run, Event::normal, "Started", "");
    record_task_spans(*options_.spans, run, nullptr, clock_.now());
  }
  if (const Value& timeout = run.spec()["timeout"]; !timeout.is_null())
    TRY(parse_duration(timeout.scalar_text()).in("spec.timeout"));
  const Task task = TRY(find_task(run));
  bind_default_workspaces(run, task.spec, defaults);
  TRY(claim_workspaces(run));
  TRY(make_pod(run, task));
  return {};
}

// A volumeClaimTemplate of the run itself becomes a claim that lives as long as the run.
Result<void> TaskRunReconciler::claim_workspaces(kube::Object& run) {
  Value workspaces = run.spec()["workspaces"];
  for (std::size_t i = 0; i < workspaces.size(); ++i) {
    const Value& workspace = workspaces[i];
    if (workspace["volumeClaimTemplate"].is_null()) continue;
    const kube::Object claim = workspace_claim(run, workspace);
    const auto created = client_.create(claim);
    if (!created.ok() && created.error().code != ErrorCode::already_exists) return created.error();
    Value bound{{"name", workspace["name"]}, {"persistentVolumeClaim", Value{{"claimName", claim.name()}}}};
    if (!workspace["subPath"].is_null()) bound.set("subPath", workspace["subPath"]);
    workspaces.edit(i) = bound;
  }
  if (!workspaces.is_null())
    run.edit({"spec"}).set("workspaces", workspaces);  // only in our hands: save writes the status
  return {};
}

Result<void> TaskRunReconciler::make_pod(kube::Object& run, const Task& task) {
  const auto credentials = TRY(credentials_of(run));
  const std::string name = task.name.empty() ? run.name() : task.name;
  const auto find_action = [&](const Value& reference) { return find_step_action(run, reference); };
  TaskPlan plan = TRY(plan_task(run, task.spec, name, credentials, settings_, find_action));
  for (const kube::Object* mounted : {&plan.scripts, &plan.credentials}) {
    if (mounted->value().is_null()) continue;
    const auto made = client_.create(*mounted);
    if (!made.ok() && made.error().code != ErrorCode::already_exists) return made.error();
  }
  if (!task.name.empty()) plan.pod.set_label("tekton.dev/task", task.name);
  const auto made = client_.create(plan.pod);
  if (!made.ok() && made.error().code != ErrorCode::already_exists) {
    const bool refused = made.error().code == ErrorCode::invalid || made.error().code == ErrorCode::forbidden ||
                         made.error().code == ErrorCode::bad_request;
    Error error = made.error();
    if (refused) error.code = ErrorCode::invalid;  // trying again would not help
    return std::move(error).in("failed to create task run pod \"" + run.name() + "\"");
  }
  Value& status = run.edit({"status"});
  status.set("taskSpec", plan.spec);
  status.set("podName", plan.pod.name());
  return {};
}

Result<kube::Requeue> TaskRunReconciler::follow(kube::Object& run) {
  const Time now = clock_.now();
  const Time started = parse_time(run.status()["startTime"].as_string()).value_or(now);
  const Duration limit = timeout_of(run);
  if (limit.count() > 0 && now - started >= limit) {
    TRY(stop(run, "TaskRunTimeout",
             "TaskRun \"" + run.name() + "\" failed to finish within \"" + format_duration(limit) + "\""));
    return kube::Requeue::never();
  }
  const Value task_spec = run.status()["taskSpec"];
  const auto pod = client_.get(schema::kPods, {run.ns(), run.status()["podName"].str()});
  if (!pod.ok() && pod.error().code != ErrorCode::not_found) return pod.error();
  if (!pod.ok()) {  // somebody deleted it: the task starts anew, as upstream does
    run.edit({"status"}).erase("taskSpec");
    run.edit({"status"}).erase("podName");
    return kube::Requeue::after(std::chrono::milliseconds(100));
  }
  if (was_interrupted(*pod, task_spec, options_.up_since)) return begin_anew(run, *pod);
  observe_pod(run, *pod, task_spec, now);
  if (const std::string step = overdue_step(*pod, task_spec, now); !step.empty() && !is_done(run)) {
    TRY(stop(run, "Failed", "\"" + step + "\" exited because the step exceeded the specified timeout limit"));
  }
  if (succeeded(run) == "False" && retry(run)) return kube::Requeue::after(Duration(0));
  if (is_done(run)) {
    if (pod->status()["phase"].as_string() == "Pending")
      TRY(stop(run, kube::condition(run, "Succeeded")["reason"].str(),
               kube::condition(run, "Succeeded")["message"].str()));
    return kube::Requeue::never();
  }
  Duration next = limit.count() > 0 ? started + limit - now : Duration(std::chrono::minutes(1));
  for (const Value& step : task_spec["steps"].items()) {
    const auto step_limit = parse_duration(step["timeout"].as_string());
    if (!step["timeout"].as_string().empty() && step_limit.ok())
      next = std::min(next, std::max<Duration>(*step_limit / 4, std::chrono::milliseconds(500)));
  }
  return kube::Requeue::after(next);
}

// The pod goes; once it is gone, another one of its name comes.
Result<kube::Requeue> TaskRunReconciler::begin_anew(kube::Object& run, const kube::Object& pod) {
  if (!pod.deleting()) {
    const std::string message =
        "the platform was restarted while a step ran, and the step failed: the task starts anew";
    events_.record(run, Event::warning, "Interrupted", message);
    log::info("task run starts anew", {{"task_run", run.key().str()}, {"reason", "Interrupted"}});
    set_succeeded(run, "Unknown", "Interrupted", message, clock_.now());
    const auto removed = client_.remove(schema::kPods, pod.key());
    if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
  }
  return kube::Requeue::after(std::chrono::milliseconds(100));
}

// The failed try goes into retriesStatus, and the run begins again with a new pod.
bool TaskRunReconciler::retry(kube::Object& run) const {
  const Value tries = run.status()["retriesStatus"];
  const std::string reason = kube::condition(run, "Succeeded")["reason"].str();
  if (static_cast<std::int64_t>(tries.size()) >= run.spec()["retries"].as_int() || reason == "TaskRunCancelled")
    return false;
  const std::string message = kube::condition(run, "Succeeded")["message"].str();
  Value past = run.status();
  past.erase("retriesStatus");
  Value all = tries.is_null() ? Value::list() : tries;
  all.push_back(past);
  run.edit().set("status", Value{{"startTime", format_time(clock_.now())}, {"retriesStatus", all}});
  set_succeeded(run, "Unknown", "ToBeRetried", message, clock_.now());
  return true;
}

// Ends the run from outside its steps.
Result<void> TaskRunReconciler::stop(kube::Object& run, std::string_view reason, const std::string& message) {
  // By its name, not by our status: a pod may have been made whose mention in the status met a conflict.
  const auto pod = client_.get(schema::kPods, {run.ns(), pod_name(run)});
  if (!pod.ok() && pod.error().code != ErrorCode::not_found) return pod.error();
  if (pod.ok() && pod->is_controlled_by(run.uid())) {
    const auto removed = client_.remove(schema::kPods, pod->key());
    if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
  }
  Value& status = run.edit({"status"});
  if (status["startTime"].is_null()) status.set("startTime", format_time(clock_.now()));
  status.set("completionTime", format_time(clock_.now()));
  set_succeeded(run, "False", reason, message, clock_.now());
  return {};
}

Result<void> TaskRunReconciler::save(const kube::Object& before, const kube::Object& run) {
  if (before.status() == run.status()) return {};
  TRY(client_.update_status(run));
  return {};
}

void TaskRunReconciler::finished(const kube::Object& run, const kube::Object* pod) {
  const bool well = succeeded(run) == "True";
  const Value& condition = kube::condition(run, "Succeeded");
  events_.record(run, well ? Event::normal : Event::warning, condition["reason"].as_string(),
                 condition["message"].as_string());
  log::info("task run ended", {{"task_run", run.key().str()}, {"reason", condition["reason"].as_string()}});
  record_task_spans(*options_.spans, run, pod, clock_.now());
}

}  // namespace caisson::pipeline
