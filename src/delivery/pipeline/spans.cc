// SPDX-License-Identifier: Apache-2.0
#include "delivery/pipeline/spans.h"

#include "core/base/hash.h"
#include "core/document/json.h"
#include "delivery/pipeline/task_run_status.h"
#include "delivery/pipeline/task_spec.h"

namespace caisson::pipeline {
namespace {

Time time_or(std::string_view text, Time otherwise) {
  return parse_time(text).value_or(otherwise);
}

std::string pipeline_name(const kube::Object& run) {
  const std::string name = run.spec()["pipelineRef"]["name"].str();
  return name.empty() ? run.name() : name;
}

std::string task_label(const kube::Object& run) {
  const std::string_view task = run.label("tekton.dev/pipelineTask");
  return task.empty() ? run.name() : std::string(task);
}

// By container: [start, end]. Empty when the node told none.
Value exact_times(const kube::Object* pod) {
  if (pod == nullptr) return {};
  auto times = json::parse(pod->annotation(kStepTimesAnnotation));
  return times.ok() ? std::move(times).value() : Value();
}

// While the run goes on: since `now`. At its end: until `now`, from the start that the recorder knows exactly.
void set_times(Span& span, const kube::Object& run, Time now) {
  const bool ended = !run.status()["completionTime"].is_null();
  span.start = ended ? time_or(run.status()["startTime"].as_string(), now) : now;
  if (ended) span.end = now;
}

}  // namespace

TraceContext pipeline_trace(const kube::Object& run) {
  const TraceContext parent = run.trace();
  return parent.empty() ? parent : parent.child("pipeline " + run.name());
}

void record_pipeline_span(SpanSink& sink, const kube::Object& run, Time now) {
  Span span;
  span.context = pipeline_trace(run);
  if (span.context.empty()) return;
  span.parent_span_id = run.trace().span_id;
  span.name = "pipeline " + pipeline_name(run);
  span.component = "pipeline";
  set_times(span, run, now);
  const Value& condition = kube::condition(run, "Succeeded");
  if (condition["status"].as_string() == "False") span.error = condition["message"].str();
  span.attributes = {{"pipelineRun", run.key().str()}, {"reason", condition["reason"].str()}};
  sink.record(std::move(span));
}

void record_task_spans(SpanSink& sink, const kube::Object& run, const kube::Object* pod, Time now) {
  const TraceContext parent = run.trace();
  if (parent.empty()) return;
  Span task;
  task.context = parent.child("task " + run.name());
  task.parent_span_id = parent.span_id;
  task.name = "task " + task_label(run);
  task.component = "pipeline";
  set_times(task, run, now);
  const Value& condition = kube::condition(run, "Succeeded");
  if (condition["status"].as_string() == "False") task.error = condition["message"].str();
  task.attributes = {{"taskRun", run.key().str()}, {"pod", run.status()["podName"].str()}};
  if (pod != nullptr) task.attributes.emplace_back("node", pod->spec()["nodeName"].str());
  const Span& owner = task;
  const Value times = exact_times(pod);
  for (const Value& step : run.status()["steps"].items()) {
    const Value& terminated = step["terminated"];
    if (terminated.is_null() || terminated["reason"].as_string() == "Skipped") continue;
    Span span;
    span.context = owner.context.child("step " + step["name"].str());
    span.parent_span_id = owner.context.span_id;
    span.name = "step " + step["name"].str();
    span.component = "pipeline";
    const Value& exact = times[step["container"].as_string()];
    span.start = time_or(exact[0].as_string(), time_or(terminated["startedAt"].as_string(), owner.start));
    span.end = time_or(exact[1].as_string(), time_or(terminated["finishedAt"].as_string(), owner.end));
    if (terminated["exitCode"].as_int() != 0)
      span.error = "exited with code " + std::to_string(terminated["exitCode"].as_int());
    span.attributes = {{"exitCode", std::to_string(terminated["exitCode"].as_int())}};
    sink.record(std::move(span));
  }
  sink.record(std::move(task));
}

kube::Object workspace_claim(const kube::Object& run, const Value& workspace) {
  const Value& claim_template = workspace["volumeClaimTemplate"];
  const std::string base =
      claim_template["metadata"]["name"].as_string().empty() ? "pvc" : claim_template["metadata"]["name"].str();
  const std::string hash = sha256_hex(run.uid() + "/" + workspace["name"].str()).substr(0, 10);
  kube::Object claim = kube::Object::make(schema::kPersistentVolumeClaims, run.ns(), base + "-" + hash);
  for (const auto& label : claim_template["metadata"]["labels"].entries())
    claim.set_label(label.key, label.value.as_string());
  claim.set_controller(run);
  claim.edit().set("spec", claim_template["spec"]);
  return claim;
}

}  // namespace caisson::pipeline
