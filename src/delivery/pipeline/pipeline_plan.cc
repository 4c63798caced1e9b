// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/pipeline_plan.h"

#include "core/base/text.h"
#include "delivery/pipeline/params.h"
#include "delivery/pipeline/pipeline_graph.h"
#include "delivery/pipeline/spans.h"
#include "delivery/pipeline/task_run_builder.h"
#include "delivery/pipeline/task_run_status.h"
#include "delivery/pipeline/task_spec.h"

namespace caisson::pipeline {
namespace {

Error invalid(std::string message) {
  return Error{ErrorCode::invalid, std::move(message)};
}

enum class State { waiting, running, succeeded, failed, cancelled, skipped };

struct Step {
  TaskNode node;
  State state = State::waiting;
  const kube::Object* run = nullptr;
  std::string skip_reason;
  Value when;  // with variables replaced: for status
  bool ended() const { return state != State::waiting && state != State::running; }
  bool passed_over() const { return node.spec["onError"].as_string() == "continue"; }
};

constexpr std::string_view kWhenFalse = "When Expressions evaluated to false",
                           kParentSkipped = "Parent Tasks were skipped", kStopping = "PipelineRun was stopping",
                           kMissing = "Results were missing", kGraceful = "PipelineRun was gracefully cancelled",
                           kTasksTimeout = "PipelineRun Tasks timeout has been reached",
                           kFinallyTimeout = "PipelineRun Finally timeout has been reached",
                           kCancelled = "PipelineRun was cancelled";

class Planner {
 public:
  Planner(const kube::Object& run, const Value& spec, const std::string& name,
          const std::map<std::string, kube::Object>& task_runs, Time now)
      : run_(run),
        spec_(spec),
        name_(name),
        task_runs_(task_runs),
        now_(now),
        started_(parse_time(run.status()["startTime"].as_string()).value_or(now)) {}

  Result<PipelinePlan> plan() {
    TRY(prepare());
    TRY(read_limits());
    for (Step& step : steps_) observe(step);
    order_ = run_.spec()["status"].str();
    if (order_ == "Cancelled" || order_ == "PipelineRunCancelled" || pipeline_timed_out_) {
      cancel(true, true);
    } else {
      TRY(plan_tasks());
      if (tasks_ended()) TRY(plan_finally());
    }
    write_status();
    return std::move(plan_);
  }

 private:
  Result<void> prepare() {
    TRY(add_params(scope_, spec_["params"], run_.spec()["params"]));
    scope_.set("context.pipelineRun.name", run_.name());
    scope_.set("context.pipelineRun.namespace", run_.ns());
    scope_.set("context.pipelineRun.uid", run_.uid());
    scope_.set("context.pipeline.name", name_);
    for (const Value& workspace : spec_["workspaces"].items()) {
      const std::string name = workspace["name"].str();
      const bool bound = find_binding(run_, name) != nullptr;
      if (!bound && !workspace["optional"].as_bool())
        return invalid("pipeline requires workspace with name \"" + name + "\" be provided by pipelinerun");
      scope_.set("workspaces." + name + ".bound", bound ? "true" : "false");
    }
    for (TaskNode& node : TRY(pipeline_graph(spec_))) {
      Value outside = node.spec;  // an embedded task's own params are its own business
      outside.erase("taskSpec");
      TRY(check_references(outside, scope_, "params.", "pipeline task " + node.name));
      steps_.push_back(Step{std::move(node), State::waiting, nullptr, "", {}});
    }
    return {};
  }

  Result<Duration> limit(const char* which, Duration otherwise) const {
    const Value& text = run_.spec()["timeouts"][which];
    if (text.is_null()) return otherwise;
    return parse_duration(text.scalar_text()).in(std::string("timeouts.") + which);
  }

  Result<void> read_limits() {
    pipeline_limit_ = TRY(limit("pipeline", std::chrono::hours(1)));
    finally_limit_ = TRY(limit("finally", Duration(0)));
    const Duration rest =
        pipeline_limit_.count() > 0 && finally_limit_.count() > 0 ? pipeline_limit_ - finally_limit_ : Duration(0);
    tasks_limit_ = TRY(limit("tasks", rest));
    const Duration age = now_ - started_;
    pipeline_timed_out_ = pipeline_limit_.count() > 0 && age >= pipeline_limit_;
    tasks_timed_out_ = tasks_limit_.count() > 0 && age >= tasks_limit_;
    for (const Duration limit : {pipeline_limit_, tasks_limit_}) {
      if (limit.count() > 0 && age < limit)
        plan_.again_after = std::min(plan_.again_after.value_or(limit - age), limit - age);
    }
    return {};
  }

  void observe(Step& step) {
    const auto found = task_runs_.find(step.node.name);
    if (found == task_runs_.end()) return;
    step.run = &found->second;
    const std::string_view status = succeeded(found->second);
    const std::string_view reason = kube::condition(found->second, "Succeeded")["reason"].as_string();
    step.state = status == "True"               ? State::succeeded
                 : status != "False"            ? State::running
                 : reason == "TaskRunCancelled" ? State::cancelled
                                                : State::failed;
    for (const Value& result : found->second.status()["results"].items()) {
      const std::string suffix = "." + step.node.name + ".results." + result["name"].str();
      scope_.set((step.node.final ? "finally" : "tasks") + suffix, result["value"]);
    }
    if (step.node.final) return;
    scope_.set("tasks." + step.node.name + ".status", status == "True"    ? "Succeeded"
                                                      : status == "False" ? "Failed"
                                                                          : "None");
    scope_.set("tasks." + step.node.name + ".reason", reason);
  }

  const Step& step_named(std::string_view name) const {
    return *std::find_if(steps_.begin(), steps_.end(), [&](const Step& step) { return step.node.name == name; });
  }

  // Cancels what runs; what has not begun will not.
  void cancel(bool tasks, bool finals) {
    for (Step& step : steps_) {
      if (step.node.final ? !finals : !tasks) continue;
      if (step.state == State::running && step.run->spec()["status"].as_string().empty())
        plan_.cancel.push_back(step.run->name());
      if (step.state == State::waiting)
        skip(step, pipeline_timed_out_ ? "PipelineRun timeout has been reached" : kCancelled);
    }
  }

  static void skip(Step& step, std::string_view reason) {
    step.state = State::skipped;
    step.skip_reason = reason;
  }

  bool failed_somewhere() const {
    return std::any_of(steps_.begin(), steps_.end(), [](const Step& step) {
      return !step.node.final && !step.passed_over() && (step.state == State::failed || step.state == State::cancelled);
    });
  }
  bool tasks_ended() const {
    return std::all_of(steps_.begin(), steps_.end(), [](const Step& step) { return step.node.final || step.ended(); });
  }

  Result<void> plan_tasks() {
    if (order_ == "PipelineRunPending") return {};
    if (order_ == "CancelledRunFinally" || tasks_timed_out_) {
      for (Step& step : steps_) {
        if (!step.node.final && step.state == State::running && step.run->spec()["status"].as_string().empty())
          plan_.cancel.push_back(step.run->name());
      }
    }
    const bool graceful = order_ == "CancelledRunFinally" || order_ == "StoppedRunFinally";
    for (Step& step : steps_) {
      if (step.node.final || step.state != State::waiting) continue;
      if (graceful)
        skip(step, kGraceful);
      else if (tasks_timed_out_)
        skip(step, kTasksTimeout);
      else if (failed_somewhere())
        skip(step, kStopping);
      else
        TRY(consider(step));
    }
    return {};
  }

  // Starts the task, skips it, or leaves it waiting.
  Result<void> consider(Step& step) {
    for (const std::string& name : step.node.after) {
      const Step& before = step_named(name);
      if (!before.ended()) return {};
      if (before.state != State::skipped) continue;
      // One that was skipped by its own when expressions lets those go on that only wait for it.
      if (before.skip_reason != kWhenFalse) return skip(step, kParentSkipped), Result<void>();
      if (step.node.uses.contains(name)) return skip(step, kMissing), Result<void>();
    }
    for (const ResultReference& reference : result_references(step.node.spec)) {
      if (scope_.find("tasks." + reference.task + ".results." + reference.result) != nullptr) continue;
      if (step_named(reference.task).state == State::failed)
        return skip(step, kMissing), Result<void>();  // onError: continue
      return invalid("invalid result reference in pipeline task \"" + step.node.name + "\": task \"" + reference.task +
                     "\" has no result \"" + reference.result + "\"");
    }
    const bool holds = TRY(evaluate_when(step));
    if (!holds) return skip(step, kWhenFalse), Result<void>();
    return start(step);
  }

  Result<bool> evaluate_when(Step& step) {
    step.when = TRY(substitute(step.node.spec["when"], scope_));
    for (const Value& when : step.when.items()) {
      const bool holds = TRY(when_holds(when).in("pipeline task " + step.node.name));
      if (!holds) return false;
    }
    return true;
  }

  Result<void> start(Step& step) {
    // The whole limit, not what is left of it: it begins later than the pipeline's, so that the pipeline's ends first and is told.
    const Duration limit = step.node.final || tasks_limit_.count() == 0 ? pipeline_limit_ : tasks_limit_;
    kube::Object task_run =
        TRY(make_task_run(run_, name_, step.node.name, step.node.spec, step.node.final, scope_, limit)
                .in("pipeline task " + step.node.name));
    plan_.create.push_back(std::move(task_run));
    step.state = State::running;
    return {};
  }

  std::string tasks_status() const {
    if (failed_somewhere()) return "Failed";
    int done = 0, skipped = 0;
    for (const Step& step : steps_) {
      if (step.node.final) continue;
      done += step.state == State::succeeded;
      skipped += step.state == State::skipped;
    }
    return skipped > 0 ? "Completed" : done > 0 ? "Succeeded" : "None";
  }

  Result<void> plan_finally() {
    for (const Step& step : steps_) {
      if (step.node.final || step.run != nullptr) continue;
      scope_.set("tasks." + step.node.name + ".status", "None");
      scope_.set("tasks." + step.node.name + ".reason", step.skip_reason);
    }
    scope_.set("tasks.status", tasks_status());
    const Duration ended = last_end() - started_;
    const bool late = finally_limit_.count() > 0 && now_ - started_ - ended >= finally_limit_;
    for (Step& step : steps_) {
      if (!step.node.final) continue;
      if (late && step.state == State::running && step.run->spec()["status"].as_string().empty())
        plan_.cancel.push_back(step.run->name());
      if (step.state != State::waiting) continue;
      if (late) {
        skip(step, kFinallyTimeout);
        continue;
      }
      bool missing = false;
      for (const ResultReference& reference : result_references(step.node.spec))
        missing = missing || scope_.find("tasks." + reference.task + ".results." + reference.result) == nullptr;
      if (missing) {
        skip(step, kMissing);
        continue;
      }
      const bool holds = TRY(evaluate_when(step));
      if (holds)
        TRY(start(step));
      else
        skip(step, kWhenFalse);
    }
    if (finally_limit_.count() > 0 && !late)
      plan_.again_after = std::min(plan_.again_after.value_or(finally_limit_), finally_limit_);
    return {};
  }

  Time last_end() const {
    Time last = started_;
    for (const Step& step : steps_) {
      if (step.node.final || step.run == nullptr) continue;
      last = std::max(last, parse_time(step.run->status()["completionTime"].as_string()).value_or(started_));
    }
    return last;
  }

  void write_status() {
    kube::Object out = run_;
    Value& status = out.edit({"status"});
    status.set("pipelineSpec", spec_);
    Value children = Value::list(), skipped = Value::list();
    for (const Step& step : steps_) {
      const bool made = step.run != nullptr || step.state == State::running;
      if (made) {
        Value child{{"apiVersion", "tekton.dev/v1"},
                    {"kind", "TaskRun"},
                    {"name", step.run != nullptr ? step.run->name() : task_run_name(run_, step.node.name)},
                    {"pipelineTaskName", step.node.name}};
        if (!step.node.spec["when"].empty())
          child.set("whenExpressions", step.when.is_null() ? old_when(step.node.name) : step.when);
        children.push_back(child);
      } else if (step.state == State::skipped) {
        Value entry{{"name", step.node.name}, {"reason", step.skip_reason}};
        if (!step.when.empty()) entry.set("whenExpressions", step.when);
        skipped.push_back(entry);
      }
    }
    status.set("childReferences", children);
    if (!skipped.empty())
      status.set("skippedTasks", skipped);
    else
      status.erase("skippedTasks");
    conclude(out);
    plan_.status = out.status();
  }

  Value old_when(const std::string& name) const {
    for (const Value& child : run_.status()["childReferences"].items()) {
      if (child["pipelineTaskName"].as_string() == name) return child["whenExpressions"];
    }
    return {};
  }

  struct Counts {
    int succeeded = 0, failed = 0, cancelled = 0, skipped = 0, open = 0;
  };
  Counts count() const {
    Counts out;
    for (const Step& step : steps_) {
      switch (step.state) {
        case State::succeeded:
          ++out.succeeded;
          break;
        case State::failed:
          ++out.failed;
          break;
        case State::cancelled:
          ++out.cancelled;
          break;
        case State::skipped:
          ++out.skipped;
          break;
        default:
          ++out.open;
      }
    }
    return out;
  }

  // What the first failed task says, for whoever reads only the pipeline's condition.
  std::string first_failure() const {
    for (const Step& step : steps_) {
      if (step.state == State::failed && !step.passed_over())
        return ". Task " + step.node.name + " failed: " + kube::condition(*step.run, "Succeeded")["message"].str();
    }
    return {};
  }

  void conclude(kube::Object& out) {
    const Counts n = count();
    const std::string done = "Tasks Completed: " + std::to_string(n.succeeded + n.failed + n.cancelled) +
                             " (Failed: " + std::to_string(n.failed) + ", Cancelled " + std::to_string(n.cancelled) +
                             ")";
    if (pipeline_timed_out_) {
      const std::string message =
          "PipelineRun \"" + run_.name() + "\" failed to finish within \"" + format_duration(pipeline_limit_) + "\"";
      return end(out, "False", "PipelineRunTimeout", message);
    }
    if (order_ == "PipelineRunPending") {
      set_succeeded(out, "Unknown", "PipelineRunPending", "PipelineRun \"" + run_.name() + "\" is pending", now_);
      return;
    }
    if (n.open > 0) {
      std::string reason = failed_somewhere() ? "Stopping" : "Running";
      if (order_ == "CancelledRunFinally") reason = "CancelledRunningFinally";
      if (order_ == "StoppedRunFinally") reason = "StoppedRunningFinally";
      set_succeeded(out, "Unknown", reason,
                    done + ", Incomplete: " + std::to_string(n.open) + ", Skipped: " + std::to_string(n.skipped), now_);
      return;
    }
    const std::string message = done + ", Skipped: " + std::to_string(n.skipped);
    if (!order_.empty()) return end(out, "False", "Cancelled", "PipelineRun \"" + run_.name() + "\" was cancelled");
    const bool failed = std::any_of(steps_.begin(), steps_.end(), [](const Step& step) {
      return !step.passed_over() && (step.state == State::failed || step.state == State::cancelled);
    });
    if (tasks_timed_out_ && failed)
      return end(out, "False", "PipelineRunTimeout",
                 message + ". The tasks did not finish within \"" + format_duration(tasks_limit_) + "\"");
    if (failed) return end(out, "False", "Failed", message + first_failure());
    write_results(out);
    end(out, "True", n.skipped > 0 ? "Completed" : "Succeeded", message);
  }

  void end(kube::Object& out, std::string_view status, std::string_view reason, const std::string& message) {
    out.edit({"status"}).set("completionTime", format_time(now_));
    set_succeeded(out, status, reason, message, now_);
    plan_.done = true;
  }

  void write_results(kube::Object& out) const {
    Value results = Value::list();
    for (const Value& declared : spec_["results"].items()) {
      bool missing = false;  // of a task that was skipped: the result is left out
      for (const ResultReference& reference : result_references(declared["value"])) {
        const std::string name =
            std::string(reference.of_final ? "finally." : "tasks.") + reference.task + ".results." + reference.result;
        missing = missing || scope_.find(name) == nullptr;
      }
      if (missing) continue;
      auto value = substitute(declared["value"], scope_);
      if (value.ok()) results.push_back(Value{{"name", declared["name"]}, {"value", *value}});
    }
    if (!results.empty()) out.edit({"status"}).set("results", results);
  }

  const kube::Object& run_;
  const Value& spec_;
  const std::string& name_;
  const std::map<std::string, kube::Object>& task_runs_;
  const Time now_, started_;
  Scope scope_;
  std::vector<Step> steps_;
  std::string order_;
  Duration pipeline_limit_{}, tasks_limit_{}, finally_limit_{};
  bool pipeline_timed_out_ = false, tasks_timed_out_ = false;
  PipelinePlan plan_;
};

}  // namespace

std::string task_run_name(const kube::Object& run, std::string_view pipeline_task) {
  return child_name(run.name(), "-" + std::string(pipeline_task));
}

Result<PipelinePlan> plan_pipeline(const kube::Object& run, const Value& pipeline_spec,
                                   const std::string& pipeline_name,
                                   const std::map<std::string, kube::Object>& task_runs, Time now) {
  return Planner(run, pipeline_spec, pipeline_name, task_runs, now).plan();
}

}  // namespace caisson::pipeline
