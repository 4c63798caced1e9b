// SPDX-License-Identifier: Apache-2.0
// PipelineRun → TaskRuns, and back. Internal to the room.
#pragma once
#include <map>

#include "cluster/kube/reconciler.h"
#include "delivery/pipeline/pipeline.h"
#include "delivery/pipeline/pipeline_plan.h"

namespace caisson::pipeline {

class PipelineRunReconciler final : public kube::Reconciler {
 public:
  PipelineRunReconciler(kube::Runtime& runtime, const PipelineOptions& options);
  std::string_view name() const override { return "pipeline-run"; }
  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override;

 private:
  struct Pipeline {
    std::string name;
    Value spec;
  };
  Result<Pipeline> find_pipeline(const kube::Object& run) const;
  Result<Children> children_of(const kube::Object& run) const;
  Result<void> cancel(const schema::Resource& resource, const kube::ObjectKey& key, const Value& spec);
  Result<void> claim_workspaces(const kube::Object& run);
  Result<PipelinePlan> plan(const kube::Object& run);
  Result<void> act(const kube::Object& run, const PipelinePlan& plan);

  kube::Client& client_;
  Clock& clock_;
  kube::Informer& config_maps_;
  const PipelineOptions options_;
  kube::EventRecorder events_;
};

}  // namespace caisson::pipeline
