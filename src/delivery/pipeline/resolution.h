// SPDX-License-Identifier: Apache-2.0
// Remote resolution: a reference with a resolver becomes a ResolutionRequest (resolution.tekton.dev/v1beta1) of its
// run, which ResolutionReconciler answers: cluster (an object of another namespace) and git (a file of a commit).
// Internal to the room. Any thread.
// Source: tektoncd/pipeline v1.0, docs/resolution.md, cluster-resolver.md, git-resolver.md.
#pragma once
#include <string>

#include "cluster/kube/reconciler.h"
#include "delivery/git/repositories.h"
#include "delivery/pipeline/pipeline.h"

namespace caisson::pipeline {

// The spec of the Task, Pipeline or StepAction (`kind`) that `reference` of `run` stands for, in its newest version.
// Errors: invalid when it can't be had; unresolved (below) while the request is not answered: the run is woken by it.
Result<Value> resolve_reference(kube::Client& client, const kube::Object& run, const Value& reference,
                                const std::string& kind);
bool is_unresolved(const Error& error);

const schema::Resource& resolution_requests();

class ResolutionReconciler final : public kube::Reconciler {
 public:
  ResolutionReconciler(kube::Runtime& runtime, const git::Repositories* repositories)
      : client_(runtime.client()), clock_(runtime.clock()), repositories_(repositories) {}
  std::string_view name() const override { return "resolution-request"; }
  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override;

 private:
  struct Answer {
    std::string data;  // YAML or JSON
    Value source;      // refSource: uri, digest, entryPoint
  };
  Result<Answer> answer(const kube::Object& request);
  Result<Answer> from_cluster(const kube::Object& request);
  Result<Answer> from_git(const kube::Object& request);

  kube::Client& client_;
  Clock& clock_;
  const git::Repositories* const repositories_;
};

}  // namespace caisson::pipeline
