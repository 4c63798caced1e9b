// SPDX-License-Identifier: Apache-2.0
// The reconciler that feeds our own PushEvents to EventListeners. Internal to the room. Any thread.
#pragma once
#include "cluster/kube/reconciler.h"

namespace caisson::pipeline {

// PushEvent → the listeners of its organisation whose annotation caisson.dev/repository names its repository. Each
// handles it once: status.handledBy says who has.
class PushEventReconciler final : public kube::Reconciler {
 public:
  explicit PushEventReconciler(kube::Runtime& runtime);
  std::string_view name() const override { return "event-listener"; }
  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override;

 private:
  Result<void> hand_over(const kube::Object& event, const kube::Object& listener);
  bool is_newest_of_its_ref(const kube::Object& event) const;

  kube::Client& client_;
  Clock& clock_;
  kube::EventRecorder events_;
  kube::Informer& listeners_;
  kube::Informer& push_events_;
};

// Whether `listener` is to handle `event`: pure.
bool listens_to(const kube::Object& listener, const kube::Object& event, bool newest_of_its_ref);

}  // namespace caisson::pipeline
