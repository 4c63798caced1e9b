// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/pipeline_plan.h"

#include "core/base/text.h"
#include "delivery/pipeline/matrix.h"
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
  std::vector<const kube::Object*> runs;  // one, or those of the matrix in its order
  std::string skip_reason;
  Value when;  // with variables replaced: for status
  bool ended() const { return state != State::waiting && state != State::running; }
  bool passed_over() const { return node.spec["onError"].as_string() == "continue"; }
  bool has_matrix() const { return !node.spec["matrix"].is_null(); }
};

constexpr std::string_view kMatrixIndex = "caisson.dev/matrix-index";

std::size_t matrix_index(const kube::Object& run) {
  return static_cast<std::size_t>(parse_int(run.annotation(kMatrixIndex)).value_or(0));
}

State state_of(const kube::Object& run) {
  const std::string_view status = succeeded(run);
  const std::string_view reason = kube::condition(run, "Succeeded")["reason"].as_string();
  if (status == "True") return State::succeeded;
  if (status != "False") return State::running;
  return reason == "TaskRunCancelled" || reason == "Cancelled" ? State::cancelled : State::failed;
}

constexpr std::string_view kWhenFalse = "When Expressions evaluated to false",
                           kParentSkipped = "Parent Tasks were skipped", kStopping = "PipelineRun was stopping",
                           kMissing = "Results were missing", kGraceful = "PipelineRun was gracefully cancelled",
                           kEmptyMatrix = "Matrix Parameters have an empty array",
                           kTasksTimeout = "PipelineRun Tasks timeout has been reached",
                           kFinallyTimeout = "PipelineRun Finally timeout has been reached",
                           kCancelled = "PipelineRun was cancelled";

class Planner {
 public:
  Planner(const kube::Object& run, const Value& spec, const std::string& name, const Children& children, Time now)
      : run_(run),
        spec_(spec),
        name_(name),
        children_(children),
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
      // An embedded task's own params are its own business; names for people may hold those of the matrix.
      Value outside = node.spec, includes = node.spec["matrix"]["include"];
      for (const char* key : {"taskSpec", "pipelineSpec", "displayName", "description"}) outside.erase(key);
      for (std::size_t i = 0; i < includes.size(); ++i) includes.edit(i).erase("name");
      if (!includes.is_null()) outside.edit("matrix").set("include", includes);
      TRY(check_references(outside, scope_, "params.", "pipeline task " + node.name));
      steps_.push_back(Step{std::move(node), State::waiting, {}, "", {}});
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
    const auto [begin, end] = children_.equal_range(step.node.name);
    for (auto child = begin; child != end; ++child) step.runs.push_back(&child->second);
    if (step.runs.empty()) return;
    std::sort(step.runs.begin(), step.runs.end(),
              [](const kube::Object* a, const kube::Object* b) { return matrix_index(*a) < matrix_index(*b); });
    // The worst of those that have ended, once all have: a matrix lets the others go on when one fails.
    step.state = State::succeeded;
    const kube::Object* told = step.runs.front();
    for (const kube::Object* run : step.runs) {
      const State state = state_of(*run);
      if (state == State::succeeded || step.state == State::running) continue;
      if (state == State::running || step.state != State::failed) {
        step.state = state;
        told = run;
      }
    }
    observe_results(step);
    if (step.node.final) return;
    const std::string prefix = "tasks." + step.node.name;
    scope_.set(prefix + ".status", step.state == State::succeeded ? "Succeeded" : step.ended() ? "Failed" : "None");
    scope_.set(prefix + ".reason", kube::condition(*told, "Succeeded")["reason"].as_string());
  }

  // A matrix gives each result as the list of those that its runs have.
  void observe_results(const Step& step) {
    const std::string prefix = (step.node.final ? "finally." : "tasks.") + step.node.name + ".";
    Value lists = Value::map();
    for (const kube::Object* run : step.runs) {
      for (const Value& result : run->status()["results"].items()) {
        const std::string name = result["name"].str();
        if (!step.has_matrix()) {
          scope_.set(prefix + "results." + name, result["value"]);
          continue;
        }
        Value list = lists[name].is_null() ? Value::list() : lists[name];
        list.push_back(result["value"]);
        lists.set(name, list);
      }
    }
    if (!step.has_matrix()) return;
    scope_.set(prefix + "matrix.length", std::to_string(step.runs.size()));
    for (const auto& entry : lists.entries()) {
      scope_.set(prefix + "results." + std::string(entry.key), entry.value);
      scope_.set(prefix + "matrix." + std::string(entry.key) + ".length", std::to_string(entry.value.size()));
    }
  }

  void cancel_runs(const Step& step) {
    if (step.state != State::running) return;
    for (const kube::Object* run : step.runs) {
      if (state_of(*run) != State::running || !run->spec()["status"].as_string().empty()) continue;
      (run->kind() == "PipelineRun" ? plan_.cancel_pipeline_runs : plan_.cancel).push_back(run->name());
    }
  }

  const Step& step_named(std::string_view name) const {
    return *std::find_if(steps_.begin(), steps_.end(), [&](const Step& step) { return step.node.name == name; });
  }

  // Cancels what runs; what has not begun will not.
  void cancel(bool tasks, bool finals) {
    for (Step& step : steps_) {
      if (step.node.final ? !finals : !tasks) continue;
      cancel_runs(step);
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
      for (const Step& step : steps_) {
        if (!step.node.final) cancel_runs(step);
      }
    }
    const bool graceful = order_ == "CancelledRunFinally" || order_ == "StoppedRunFinally";
    for (Step& step : steps_) {
      if (step.node.final) continue;
      if (step.has_matrix() && !step.runs.empty() && !graceful && !tasks_timed_out_) TRY(start_matrix(step));
      if (step.state != State::waiting) continue;
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
    if (step.has_matrix()) return start_matrix(step);
    TRY(add_child(step, step.node.spec, task_run_name(run_, step.node.name)));
    step.state = State::running;
    return {};
  }

  // Those that are not there: all of them, or what a process that was killed left out.
  Result<void> start_matrix(Step& step) {
    const Value matrix = TRY(substitute(step.node.spec["matrix"], scope_));
    const auto combinations = TRY(matrix_combinations(matrix).in("pipeline task " + step.node.name));
    if (combinations.empty()) return skip(step, kEmptyMatrix), Result<void>();
    for (std::size_t i = 0; i < combinations.size(); ++i) {
      if (std::any_of(step.runs.begin(), step.runs.end(), [&](const auto* run) { return matrix_index(*run) == i; }))
        continue;
      Value task = step.node.spec, params = task["params"].is_null() ? Value::list() : task["params"];
      for (const Value& param : combinations[i].items()) params.push_back(param);
      task.set("params", params);
      TRY(add_child(step, task, task_run_name(run_, step.node.name, i)));
      plan_.create.back().set_annotation(kMatrixIndex, std::to_string(i));
      step.state = State::running;
    }
    return {};
  }

  Result<void> add_child(const Step& step, const Value& task, const std::string& name) {
    // The whole limit, not what is left of it: it begins later than the pipeline's, so that the pipeline's ends first
    // and is told.
    const Duration limit = step.node.final || tasks_limit_.count() == 0 ? pipeline_limit_ : tasks_limit_;
    const ChildOf place{run_, name_, step.node.name, name, step.node.spec["onError"].as_string(), step.node.final};
    plan_.create.push_back(TRY(make_child(place, task, scope_, limit).in("pipeline task " + step.node.name)));
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
      if (step.node.final || !step.runs.empty()) continue;
      scope_.set("tasks." + step.node.name + ".status", "None");
      scope_.set("tasks." + step.node.name + ".reason", step.skip_reason);
    }
    scope_.set("tasks.status", tasks_status());
    const Duration ended = last_end() - started_;
    const bool late = finally_limit_.count() > 0 && now_ - started_ - ended >= finally_limit_;
    for (Step& step : steps_) {
      if (!step.node.final) continue;
      if (late) cancel_runs(step);
      if (!late && step.has_matrix() && !step.runs.empty()) TRY(start_matrix(step));
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
      if (step.node.final) continue;
      for (const kube::Object* run : step.runs)
        last = std::max(last, parse_time(run->status()["completionTime"].as_string()).value_or(started_));
    }
    return last;
  }

  void write_status() {
    kube::Object out = run_;
    Value& status = out.edit({"status"});
    status.set("pipelineSpec", spec_);
    Value children = Value::list(), skipped = Value::list();
    for (const Step& step : steps_) {
      for (const kube::Object* run : step.runs) children.push_back(child_reference(step, *run));
      for (const kube::Object& run : plan_.create) {
        if (run.label("tekton.dev/pipelineTask") == step.node.name) children.push_back(child_reference(step, run));
      }
      if (step.state == State::skipped && step.runs.empty()) {
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

  Value child_reference(const Step& step, const kube::Object& run) const {
    Value out{{"apiVersion", "tekton.dev/v1"},
              {"kind", run.kind()},
              {"name", run.name()},
              {"pipelineTaskName", step.node.name}};
    if (!step.node.spec["when"].empty())
      out.set("whenExpressions", step.when.is_null() ? old_when(step.node.name) : step.when);
    return out;
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
      if (step.state != State::failed || step.passed_over()) continue;
      for (const kube::Object* run : step.runs) {
        if (state_of(*run) == State::failed)
          return ". Task " + step.node.name + " failed: " + kube::condition(*run, "Succeeded")["message"].str();
      }
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
  const Children& children_;
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

std::string task_run_name(const kube::Object& run, std::string_view pipeline_task, std::size_t index) {
  return child_name(run.name(), "-" + std::string(pipeline_task) + "-" + std::to_string(index));
}

Result<PipelinePlan> plan_pipeline(const kube::Object& run, const Value& pipeline_spec,
                                   const std::string& pipeline_name, const Children& children, Time now) {
  return Planner(run, pipeline_spec, pipeline_name, children, now).plan();
}

}  // namespace caisson::pipeline
