// SPDX-License-Identifier: Apache-2.0
// EventListeners at work: an event goes through the triggers of one listener. And the reconciler that feeds them our
// own PushEvents. Internal to the room. Any thread.
#pragma once
#include <string>
#include <vector>

#include "cluster/kube/reconciler.h"
#include "delivery/pipeline/triggers.h"

namespace caisson::pipeline {

struct TriggerOutcome {
  std::vector<std::string> created;  // "pipelineruns/build-x7f3"
  std::vector<std::string> errors;   // "trigger build: …"
  bool forbidden = false;            // every error was a failed signature
};

// Runs every trigger; one that fails does not stop the others. Errors: only those of the API that are worth another
// try.
Result<TriggerOutcome> run_triggers(kube::Client& client, const kube::Object& listener, const TriggerEvent& event,
                                    const TraceContext& trace);

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
