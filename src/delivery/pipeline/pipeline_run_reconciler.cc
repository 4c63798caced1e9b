// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/pipeline_run_reconciler.h"

#include "core/base/log.h"
#include "delivery/pipeline/resolution.h"
#include "delivery/pipeline/run_defaults.h"
#include "delivery/pipeline/spans.h"
#include "delivery/pipeline/task_run_status.h"

namespace caisson::pipeline {
namespace {
using Event = kube::EventRecorder::Type;
}

PipelineRunReconciler::PipelineRunReconciler(kube::Runtime& runtime, const PipelineOptions& options)
    : client_(runtime.client()),
      clock_(runtime.clock()),
      config_maps_(runtime.informer(schema::kConfigMaps)),
      options_(options),
      events_(runtime.client(), runtime.clock(), "PipelineRun") {}

Result<PipelineRunReconciler::Pipeline> PipelineRunReconciler::find_pipeline(const kube::Object& run) const {
  if (const Value& known = run.status()["pipelineSpec"];
      !known.is_null())  // an edit of the Pipeline does not change runs under way
    return Pipeline{
        run.spec()["pipelineRef"]["name"].as_string().empty() ? run.name() : run.spec()["pipelineRef"]["name"].str(),
        known};
  const Value& reference = run.spec()["pipelineRef"];
  const Value& embedded = run.spec()["pipelineSpec"];
  if (reference.is_null() == embedded.is_null())
    return Error{ErrorCode::invalid, "expected exactly one of pipelineRef and pipelineSpec"};
  if (!embedded.is_null()) return Pipeline{run.name(), embedded};
  if (reference.contains("resolver")) {
    Value found = TRY(resolve_reference(client_, run, reference, "Pipeline").in("pipelineRef"));
    return Pipeline{run.name(), std::move(found)};
  }
  const std::string name = reference["name"].str();
  const auto pipeline = client_.get(schema::kPipelines, {run.ns(), name});
  if (pipeline.ok()) return Pipeline{name, pipeline->spec()};
  if (pipeline.error().code == ErrorCode::not_found)
    return Error{ErrorCode::invalid, "pipelines.tekton.dev \"" + name + "\" not found"};
  return pipeline.error();
}

Result<Children> PipelineRunReconciler::children_of(const kube::Object& run) const {
  kube::ListOptions options;
  options.ns = run.ns();
  options.label_selector = "tekton.dev/pipelineRunUID=" + run.uid();
  Children out;
  for (const schema::Resource* resource : {&schema::kTaskRuns, &schema::kPipelineRuns}) {
    kube::ObjectList list = TRY(client_.list(*resource, options));
    for (kube::Object& child : list.items) {
      std::string task(child.label("tekton.dev/pipelineTask"));
      if (child.is_controlled_by(run.uid())) out.emplace(std::move(task), std::move(child));
    }
  }
  return out;
}

Result<void> PipelineRunReconciler::cancel(const schema::Resource& resource, const kube::ObjectKey& key,
                                           const Value& spec) {
  const auto patched = client_.patch(resource, key, kube::PatchType::merge, Value{{"spec", spec}});
  if (!patched.ok() && patched.error().code != ErrorCode::not_found) return patched.error();
  return {};
}

Result<void> PipelineRunReconciler::claim_workspaces(const kube::Object& run) {
  for (const Value& workspace : run.spec()["workspaces"].items()) {
    if (workspace["volumeClaimTemplate"].is_null()) continue;
    const auto created = client_.create(workspace_claim(run, workspace));
    if (!created.ok() && created.error().code != ErrorCode::already_exists) return created.error();
  }
  return {};
}

Result<PipelinePlan> PipelineRunReconciler::plan(const kube::Object& run) {
  const Pipeline pipeline = TRY(find_pipeline(run));
  const Children children = TRY(children_of(run));
  return plan_pipeline(run, pipeline.spec, pipeline.name, children, clock_.now());
}

Result<void> PipelineRunReconciler::act(const kube::Object& run, const PipelinePlan& plan) {
  if (!plan.create.empty()) TRY(claim_workspaces(run));
  for (const kube::Object& child : plan.create) {
    const auto created = client_.create(child);
    if (!created.ok() && created.error().code != ErrorCode::already_exists)
      return Error(created.error()).in("create " + child.kind() + " " + child.name());
  }
  const Value stop_task{
      {"status", "TaskRunCancelled"},
      {"statusMessage", "TaskRun cancelled as the PipelineRun it belongs to has been cancelled or timed out."}};
  for (const std::string& name : plan.cancel) TRY(cancel(schema::kTaskRuns, {run.ns(), name}, stop_task));
  for (const std::string& name : plan.cancel_pipeline_runs)
    TRY(cancel(schema::kPipelineRuns, {run.ns(), name}, Value{{"status", "Cancelled"}}));
  return {};
}

Result<kube::Requeue> PipelineRunReconciler::reconcile(const kube::ObjectKey& key) {
  auto found = client_.get(schema::kPipelineRuns, key);  // not from the cache: see TaskRunReconciler
  if (!found.ok()) {
    if (found.error().code == ErrorCode::not_found) return kube::Requeue::never();
    return std::move(found).error();
  }
  kube::Object run = std::move(found).value();
  if (run.deleting() || is_done(run)) return kube::Requeue::never();
  const Value before = run.status();
  if (before["startTime"].is_null()) {
    run.edit({"status"}).set("startTime", format_time(clock_.now()));
    set_succeeded(run, "Unknown", "Started", "", clock_.now());
    events_.record(run, Event::normal, "Started", "");
    record_pipeline_span(*options_.spans, run, clock_.now());
  }
  // Only in our hands: what is written is the status.
  const auto map = config_maps_.find({std::string(kConfigNamespace), std::string(kConfigDefaults)});
  const auto defaults = parse_run_defaults(map ? (*map)["data"] : Value());
  if (defaults.ok()) give_defaults_to_pipeline_run(run, *defaults);
  const auto planned = defaults.ok() ? plan(run) : Result<PipelinePlan>(Error(defaults.error()).in("config-defaults"));
  kube::Requeue again = kube::Requeue::never();
  if (planned.ok()) {
    TRY(act(run, *planned));
    run.edit().set("status", planned->status);
    if (planned->again_after && !planned->done) again = kube::Requeue::after(*planned->again_after);
  } else if (is_unresolved(planned.error())) {  // the answered request wakes the run
    set_succeeded(run, "Unknown", "ResolvingPipelineRef", planned.error().message, clock_.now());
  } else {
    const ErrorCode code = planned.error().code;
    if (code != ErrorCode::invalid && code != ErrorCode::bad_request) return planned.error();
    run.edit({"status"}).set("completionTime", format_time(clock_.now()));
    set_succeeded(run, "False", "PipelineValidationFailed", planned.error().message, clock_.now());
  }
  if (!(before == run.status())) TRY(client_.update_status(run));
  if (!is_done(run)) return again;
  const Value& condition = kube::condition(run, "Succeeded");
  events_.record(run, condition["status"].as_string() == "True" ? Event::normal : Event::warning,
                 condition["reason"].as_string(), condition["message"].as_string());
  log::info("pipeline run ended", {{"pipeline_run", run.key().str()}, {"reason", condition["reason"].as_string()}});
  record_pipeline_span(*options_.spans, run, clock_.now());
  return kube::Requeue::never();
}

}  // namespace caisson::pipeline
