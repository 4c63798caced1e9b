// SPDX-License-Identifier: Apache-2.0
// Operations of an Application: begun by a person (the field `operation`) or by auto-sync, run step by step, retried,
// finished; and the cascade that deletes what an Application made.
#include <algorithm>

#include "delivery/gitops/controller_run.h"

namespace caisson::gitops {
namespace {

constexpr Duration kFirstLists = std::chrono::seconds(1);  // of kinds that only an operation's own revision has

Value& put(Value& map, std::string_view key, Value value) {
  map.set(key, std::move(value));
  return map;
}

bool automated(const Value& state) {
  return state["operation"]["initiatedBy"]["automated"].as_bool();
}

// What an operation syncs: a rollback brings the sources of its time along, which are this Application's all the same.
Result<Source> source_of(const Application& application, const Value& operation) {
  const Value& sync = operation["sync"];
  if (!sync["source"].is_map() && sync["sources"].empty()) return application.source;
  Source out = TRY(parse_sources(sync).in("operation.sync"));
  const Source& own = application.source;
  name_sources(out, own.application, own.destination_namespace, own.build_options);
  return out;
}

// Does the operation that runs, or is asked for, say itself what it deploys? It needs nothing of what the spec names
// now.
bool has_own_target(const Value& application) {
  const Value& state = application["status"]["operationState"];
  const std::string_view phase = state["phase"].as_string();
  const bool runs = phase == "Running" || phase == "Terminating";
  if (runs && (phase == "Terminating" || !commits_of(state["syncResult"]).empty())) return true;
  const Value& sync = (runs ? state["operation"] : application["operation"])["sync"];
  return !commits_of(sync).empty() || sync["source"].is_map() || !sync["sources"].empty();
}

// Was `result` made from what the spec says now? Revisions are compared as commits, not by name (HEAD, main).
bool same_sources(const Value& result, const Value& spec) {
  const auto bare = [](Value source) {
    source.erase("targetRevision");
    return source;
  };
  if (!result["source"].is_map() && result["sources"].empty()) return true;
  if (spec["sources"].empty() || result["sources"].empty())
    return spec["sources"].empty() && result["sources"].empty() && bare(result["source"]) == bare(spec["source"]);
  if (spec["sources"].size() != result["sources"].size()) return false;
  for (std::size_t i = 0; i < spec["sources"].size(); ++i) {
    if (!(bare(result["sources"][i]) == bare(spec["sources"][i]))) return false;
  }
  return true;
}

}  // namespace

Result<void> Controller::operate(Run& run) {
  look_at_windows(run);
  begin_operation(run);
  Value& status = run.status();
  if (status["operationState"]["phase"].as_string() == "Terminating") {
    Value& state = status.edit("operationState");
    TRY(terminate(sync_context(run, *run.rendered, run.observation), state));
    finish_operation(run, state, "Failed", "Operation terminated");
  }
  if (status["operationState"]["phase"].as_string() == "Running") {
    // A revision that is no longer wanted does not hold up the one that may repair it.
    const Value& state = status["operationState"];
    const std::string revision = commits_of(state["syncResult"]);
    if (automated(state) && !revision.empty() && revision != run.rendered->commit) {
      finish_operation(run, status.edit("operationState"), "Failed", "superseded by revision " + run.rendered->commit);
    }
  }
  write_observation(run.status(), run.before.spec(), *run.rendered, run.observation, run.now);
  consider_auto_sync(run);
  if (run.status()["operationState"]["phase"].as_string() != "Running") return {};
  TRY(run_operation(run, run.status().edit("operationState")));
  write_observation(run.status(), run.before.spec(), *run.rendered, run.observation, run.now);
  return {};
}

// What the spec names can't be rendered. A rollback and what has begun already go on with what they deploy themselves;
// any other request is answered with `why`.
Result<void> Controller::operate_apart(Run& run, const std::string& why) {
  if (!has_own_target(run.after)) {
    refuse_operation(run, "Error", why);
    return {};
  }
  look_at_windows(run);
  begin_operation(run);
  Value state = run.after["status"]["operationState"];
  const bool ends = state["phase"].as_string() == "Terminating";
  if (!ends && state["phase"].as_string() != "Running") return {};
  auto target = target_of(run, state);
  if (target.ok() && !*target) return {};  // the worker brings us back
  if (target.ok()) {
    run.rendered = *target;
    run.observation = observe(*run.world, shared_->options.schema, run.application, *run.rendered,
                              run.after["status"]["resources"], run.project_or_null());
    if (!run.observation.complete) {
      run.retry_in(kFirstLists);
      return {};
    }
  }
  if (ends) {
    if (target.ok()) TRY(terminate(sync_context(run, *run.rendered, run.observation), state));
    finish_operation(run, state, "Failed", "Operation terminated");
  } else if (!target.ok()) {
    finish_operation(run, state, "Error", "ComparisonError: " + target.error().message);
  } else {
    foresee(run);
    put(run.status(), "operationState", std::move(state));
    return run_operation(run, run.status().edit("operationState"));
  }
  put(run.status(), "operationState", std::move(state));
  return {};
}

// The field `operation` is a request: it moves into status.operationState.
void Controller::begin_operation(Run& run) {
  Value operation = run.after["operation"];
  if (!operation.is_map()) return;
  if (run.after["status"]["operationState"]["phase"].as_string() == "Running" &&
      !automated(run.after["status"]["operationState"]))
    return;
  if (!run.windows.manual) {
    run.conditions.push_back({"SyncError", run.windows.reason});
    return;  // it waits for the window
  }
  run.after.erase("operation");
  set_operation_id(operation, run.before);
  put(run.status(), "operationState", begun_state(operation, run.before.spec(), "", run.now));
}

// A request that can't be begun is answered all the same: whoever waits for it would wait for ever.
void Controller::refuse_operation(Run& run, std::string_view phase, const std::string& why) {
  const Value operation = run.after["operation"];
  if (!operation.is_map()) return;
  run.after.erase("operation");
  Value state = begun_state(operation, run.before.spec(), "", run.now);
  finish_operation(run, state, phase, why);
  put(run.status(), "operationState", std::move(state));
}

// Whether sync windows let an operation begin now (run.windows); one that has begun goes on.
void Controller::look_at_windows(Run& run) {
  auto windows = check_windows(run.application, run.project_or_null(), run.now);
  if (!windows.ok()) {
    run.conditions.push_back({"SyncError", windows.error().message});
    run.windows.automated = run.windows.manual = false;
    run.windows.reason = windows.error().message;
    return;
  }
  run.windows = std::move(windows).value();
  if (run.windows.next_look)
    run.retry_in(std::max<Duration>(std::chrono::seconds(1), *run.windows.next_look - run.now));
}

SyncContext Controller::sync_context(const Run& run, const Rendered& rendered, const Observation& target) {
  const TraceContext trace = run.memory->traced_commit == rendered.commit ? run.memory->trace : TraceContext();
  return SyncContext{
      *run.world,
      run.application,
      rendered,
      target,
      trace.empty() ? trace : trace.child("apply " + run.application.key.str()),
      run.before.metadata()["annotations"],
      run.project_or_null(),
      run.now,
      operation_id(run.before.status()["operationState"]) == operation_id(run.after["status"]["operationState"]),
      run.world->client().atomic() ? &shared_->options.schema : nullptr};
}

// The operation's own retry; of an operation that has none, the policy's.
Retry Controller::retry_of(const Run& run, const Value& state) {
  auto own = parse_retry(state["operation"]["retry"], "operation.retry");
  if (own.ok() && *own && !state["operation"]["retry"]["backoff"].is_null()) return **own;
  Retry retry = run.application.policy.retry.value_or(Retry{});
  retry.limit = state["operation"]["retry"]["limit"].as_int();
  return retry;
}

void Controller::consider_auto_sync(Run& run) {
  if (run.status()["operationState"]["phase"].as_string() == "Running") return;
  // An attempt with other parameters is none.
  const bool same = same_sources(run.status()["operationState"]["syncResult"], run.before.spec());
  const AutoSync decision =
      decide_auto_sync(run.application, same ? run.status() : Value(), run.observation, run.rendered->commit);
  if (!decision.error.empty()) run.conditions.push_back({"SyncError", decision.error});
  if (!decision.wanted) return;
  if (!run.windows.automated || !run.refused.empty()) return;
  if (decision.heal) {
    const Duration wait = run.memory->heals.next(runtime_.clock().monotonic());
    if (wait.count() > 0) {
      run.conditions.push_back(
          {"SelfHealBackoff",
           "somebody else keeps changing what this Application owns; healing waits " + format_duration(wait)});
      return run.retry_in(wait);
    }
  }
  Value operation = auto_operation(run.application, run.rendered->commit);
  set_operation_id(operation, run.before);
  put(run.status(), "operationState", begun_state(operation, run.before.spec(), run.rendered->commit, run.now));
}

// What an operation deploys; null while a worker renders it. The commit with which it began stays its own, unless it
// follows what the spec names. Errors: what resolving and rendering give.
Result<RenderedPtr> Controller::target_of(Run& run, const Value& state) {
  const Source source = TRY(source_of(run.application, state["operation"]));
  std::string revision = commits_of(state["operation"]["sync"]);
  const std::string begun = commits_of(state["syncResult"]);
  if (!begun.empty() && (!revision.empty() || !run.rendered)) revision = begun;
  const bool own = source.key() == run.application.source.key();
  if (own && run.rendered &&
      (revision.empty() || revision == run.rendered->commit || revision == run.application.source.target_revision))
    return run.rendered;
  auto found = other(run.application, source, run.memory, revision.empty() ? source.target_revision : revision);
  return found ? std::move(*found) : Result<RenderedPtr>(RenderedPtr());
}

Result<void> Controller::run_operation(Run& run, Value& state) {
  if (!state["finishedAt"].is_null()) {  // between two tries
    const auto ended = parse_time(state["finishedAt"].as_string());
    const Retry retry = retry_of(run, state);
    const Duration wait = ended ? *ended + retry.delay(state["retryCount"].as_int()) - run.now : Duration(0);
    if (wait.count() > 0) {
      run.retry_in(wait);
      return {};
    }
    state.erase("finishedAt");
    state.edit("syncResult").set("resources", Value::list());
    if (retry.refresh) take_newest(run, state);
  }
  const auto found = target_of(run, state);
  if (!found.ok()) {
    finish_operation(run, state, "Error", "ComparisonError: " + found.error().message);
    return {};
  }
  const RenderedPtr& rendered = *found;
  if (!rendered) return {};  // the worker brings us back
  const bool own = rendered == run.rendered;
  set_commits(state.edit("syncResult"), rendered->commit, !state["syncResult"]["sources"].empty());
  Observation target = run.observation;
  const auto look_again = [&] {
    return observe(*run.world, shared_->options.schema, run.application, *rendered, run.after["status"]["resources"],
                   run.project_or_null());
  };
  if (!own) target = look_again();
  // Not of a dry run, nor of chosen resources, with which a person may repair it; what has begun goes on.
  const Value& asked = state["operation"]["sync"];
  const bool whole = !asked["dryRun"].as_bool() && asked["resources"].empty();
  const std::string refused = own ? run.refused : whole ? refusal_of(target) : "";
  if (!refused.empty() && whole && state["syncResult"]["resources"].empty()) {
    finish_operation(run, state, "Failed", refused);
    return {};
  }
  auto outcome = advance(sync_context(run, *rendered, target), state);
  if (!outcome.ok()) return std::move(outcome).error().in("sync " + run.application.key.str());
  if (outcome->wrote) {
    run.observation =
        observe(*run.world, shared_->options.schema, run.application, *run.rendered, run.after["status"]["resources"],
                run.project_or_null(), &run.memory->observed, run.before.spec());
  }
  state.set("message", outcome->message);
  if (outcome->phase == SyncOutcome::Phase::running) {
    run.retry_in(std::chrono::seconds(2));
    return {};
  }
  if (outcome->phase == SyncOutcome::Phase::failed) {
    fail_or_retry(run, state, outcome->message);
    return {};
  }
  finish_operation(run, state, "Succeeded", outcome->message);
  // A dry run and a sync of chosen resources deploy no revision.
  const Value& sync = state["operation"]["sync"];
  if (sync["dryRun"].as_bool() || !sync["resources"].empty()) return {};
  write_history(run.status(), run.status()["operationState"], run.application.history_max, run.now);
  return {};
}

// retry.refresh: the next try deploys what the spec names by now.
void Controller::take_newest(Run& run, Value& state) {
  const bool several = !state["syncResult"]["sources"].empty();
  set_commits(state.edit("syncResult"), "", several);
  if (several) state.edit("syncResult").set("revision", "");
  if (automated(state)) set_commits(state.edit({"operation", "sync"}), run.rendered->commit, several);
  forget_others(*run.memory);
}

void Controller::fail_or_retry(Run& run, Value& state, const std::string& message) {
  const Retry retry = retry_of(run, state);
  const std::int64_t limit = retry.limit;
  const std::int64_t count = state["retryCount"].as_int();
  if (limit >= 0 && count >= limit) {
    const std::string tries = count > 0 ? " (retried " + std::to_string(count) + " times)." : "";
    return finish_operation(run, state, "Failed", message + tries);
  }
  const Duration wait = retry.delay(count + 1);
  state.set("retryCount", count + 1);
  state.set("finishedAt", format_time(run.now));
  state.set("message",
            message + ". Retrying attempt #" + std::to_string(count + 1) + " at " + format_time(run.now + wait) + ".");
  run.retry_in(wait);
}

void Controller::finish_operation(Run& run, Value& state, std::string_view phase, const std::string& message) {
  const Time end = runtime_.clock().now();
  state.set("phase", phase);
  state.set("message", message);
  state.set("finishedAt", format_time(end));
  forget_others(*run.memory);
  const std::string commit = commits_of(state["syncResult"]);
  const TraceContext trace = run.memory->traced_commit == commit ? run.memory->trace : TraceContext();
  if (trace.empty()) return;
  record(trace, "apply", run.application.key, run.now, end, phase == "Succeeded" ? "" : message);
  run.after.edit({"metadata", "annotations"}).set(kTraceparentAnnotation, trace.traceparent());
  if (phase == "Succeeded") {
    Span span;
    span.context = trace.child("healthy " + run.application.key.str());
    span.parent_span_id = trace.span_id;
    span.name = "healthy";
    span.component = "gitops";
    span.start = end;
    span.attributes = {{"application", run.application.key.str()}, {"revision", commit}};
    run.memory->until_healthy = std::move(span);
  }
  run.memory->trace = {};  // healing later is not this push
}

}  // namespace caisson::gitops
