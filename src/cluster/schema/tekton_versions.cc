// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/tekton_versions.h"

#include <string>
#include <vector>

namespace caisson::schema {
namespace {

// Two names of one field; `out` has the other when `in` has one of them.
struct Names {
  std::string_view v1beta1, v1;
};
constexpr Names kComputeResources{"resources", "computeResources"};
constexpr Names kStepSpecs{"stepOverrides", "stepSpecs"};
constexpr Names kSidecarSpecs{"sidecarOverrides", "sidecarSpecs"};

// One walk over an object, in one direction.
class Walk {
 public:
  explicit Walk(bool to_v1) : to_v1_(to_v1) {}

  void task_spec(Value& spec) const {
    if (!spec.is_map()) return;
    each(spec, "steps", [this](Value& step) {
      rename(step, kComputeResources);
      reference(step, "ref");
    });
    each(spec, "sidecars", [this](Value& sidecar) { rename(sidecar, kComputeResources); });
    within(spec, "stepTemplate", [this](Value& step) { rename(step, kComputeResources); });
    if (to_v1_) spec.erase("resources");  // PipelineResources
  }

  void task_run(Value& object) const {
    within(object, "spec", [this](Value& spec) {
      overrides(spec);
      reference(spec, "taskRef");
      within(spec, "taskSpec", [this](Value& task) { task_spec(task); });
      if (to_v1_) spec.erase("resources");
    });
    within(object, "status", [this](Value& status) { task_run_status(status); });
  }

  void pipeline_spec(Value& spec) const {
    if (!spec.is_map()) return;
    for (const char* list : {"tasks", "finally"}) {
      each(spec, list, [this](Value& task) {
        reference(task, "taskRef");
        reference(task, "pipelineRef");
        within(task, "taskSpec", [this](Value& inner) { task_spec(inner); });
        within(task, "pipelineSpec", [this](Value& inner) { pipeline_spec(inner); });
        if (to_v1_) task.erase("resources");
      });
    }
    if (to_v1_) spec.erase("resources");
  }

  void pipeline_run(Value& object) const {
    within(object, "spec", [this](Value& spec) { pipeline_run_spec(spec); });
    within(object, "status", [this](Value& status) {
      rename(status, {"pipelineResults", "results"});
      within(status, "pipelineSpec", [this](Value& spec) { pipeline_spec(spec); });
    });
  }

 private:
  template <typename Call>
  static void within(Value& of, std::string_view member, const Call& call) {
    if (of[member].is_map()) call(of.edit(member));
  }
  template <typename Call>
  static void each(Value& of, std::string_view member, const Call& call) {
    for (std::size_t i = 0; i < of[member].size(); ++i)
      if (of[member][i].is_map()) call(of.edit(member).edit(i));
  }

  void rename(Value& of, const Names& names) const {
    const std::string_view from = to_v1_ ? names.v1beta1 : names.v1, to = to_v1_ ? names.v1 : names.v1beta1;
    if (!of.contains(from)) return;
    Value value = of[from];
    of.erase(from);
    of.set(to, std::move(value));
  }

  // The bundle of a reference became a resolver's parameters; v1beta1 knows resolvers too, so nothing goes back.
  void reference(Value& of, std::string_view member) const {
    if (!to_v1_ || of[member]["bundle"].as_string().empty()) return;
    Value& ref = of.edit(member);
    const Value bundle = ref["bundle"], name = ref["name"];
    ref.erase("bundle");
    ref.erase("name");
    const std::string_view kind = ref["kind"].as_string();
    const Value params(std::vector<Value>{
        Value{{"name", "bundle"}, {"value", bundle}}, Value{{"name", "name"}, {"value", name}},
        Value{{"name", "kind"}, {"value", kind.empty() ? (member == "pipelineRef" ? "Pipeline" : "Task") : kind}}});
    ref.set("resolver", "bundles").set("params", params);
    ref.erase("kind");
  }

  void overrides(Value& of) const {
    for (const Names& list : {kStepSpecs, kSidecarSpecs}) {
      each(of, to_v1_ ? list.v1beta1 : list.v1, [this](Value& one) { rename(one, kComputeResources); });
      rename(of, list);
    }
  }

  void task_run_status(Value& status) const {
    rename(status, {"taskResults", "results"});
    within(status, "taskSpec", [this](Value& spec) { task_spec(spec); });
    each(status, "retriesStatus", [this](Value& earlier) { task_run_status(earlier); });
    if (to_v1_) status.erase("resourcesResult");
  }

  void pipeline_run_spec(Value& spec) const {
    reference(spec, "pipelineRef");
    within(spec, "pipelineSpec", [this](Value& inner) { pipeline_spec(inner); });
    static constexpr std::string_view kMoved[] = {"serviceAccountName", "podTemplate"};
    for (const std::string_view member : kMoved) {
      Value value = to_v1_ ? spec[member] : spec["taskRunTemplate"][member];
      if (value.is_null()) continue;
      if (to_v1_) {
        spec.erase(member);
        spec.edit("taskRunTemplate").set(member, std::move(value));
      } else {
        spec.set(member, std::move(value));
      }
    }
    if (!to_v1_) spec.erase("taskRunTemplate");
    if (to_v1_) {
      if (Value timeout = spec["timeout"]; !timeout.is_null()) spec.edit("timeouts").set("pipeline", std::move(timeout));
      spec.erase("timeout");
      spec.erase("resources");
    }
    each(spec, "taskRunSpecs", [this](Value& one) {
      rename(one, {"taskServiceAccountName", "serviceAccountName"});
      rename(one, {"taskPodTemplate", "podTemplate"});
      overrides(one);
    });
  }

  const bool to_v1_;
};

}  // namespace

Value tekton_in_version(Value object, std::string_view kind, bool to_v1) {
  const Walk walk(to_v1);
  if (kind == "Task" && object["spec"].is_map()) walk.task_spec(object.edit("spec"));
  if (kind == "Pipeline" && object["spec"].is_map()) walk.pipeline_spec(object.edit("spec"));
  if (kind == "TaskRun") walk.task_run(object);
  if (kind == "PipelineRun") walk.pipeline_run(object);
  return object;
}

}  // namespace caisson::schema
