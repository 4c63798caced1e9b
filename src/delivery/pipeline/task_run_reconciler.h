// SPDX-License-Identifier: Apache-2.0
// TaskRun → Pod, and back. Internal to the room.
#pragma once
#include <memory>

#include "cluster/kube/reconciler.h"
#include "delivery/pipeline/pipeline.h"
#include "delivery/pipeline/run_defaults.h"
#include "delivery/pipeline/task_spec.h"

namespace caisson::pipeline {

class TaskRunReconciler final : public kube::Reconciler {
 public:
  TaskRunReconciler(kube::Runtime& runtime, const PipelineOptions& options);
  std::string_view name() const override { return "task-run"; }
  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override;

 private:
  struct Task {
    std::string name;
    Value spec;
  };
  Result<Task> find_task(const kube::Object& run) const;
  Result<Value> find_step_action(const kube::Object& run, const Value& reference) const;
  Result<Credentials> credentials_of(const kube::Object& run) const;
  Result<void> begin(kube::Object& run, const RunDefaults& defaults);
  Result<void> claim_workspaces(kube::Object& run);
  Result<kube::Requeue> follow(kube::Object& run);
  Result<kube::Requeue> begin_anew(kube::Object& run, const kube::Object& pod);
  Result<void> make_pod(kube::Object& run, const Task& task);
  Result<void> stop(kube::Object& run, std::string_view reason, const std::string& message);
  bool retry(kube::Object& run) const;
  Result<void> save(const kube::Object& before, const kube::Object& run);
  void finished(const kube::Object& run, const kube::Object* pod);

  kube::Client& client_;
  Clock& clock_;
  kube::Informer& pods_;
  kube::Informer& config_maps_;
  const PipelineOptions options_;
  const PodSettings settings_;
  kube::EventRecorder events_;
};

}  // namespace caisson::pipeline
