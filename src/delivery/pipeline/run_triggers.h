// SPDX-License-Identifier: Apache-2.0
// An event goes through the triggers of one EventListener: those written in it, those it refers to, those its selectors
// find, and its groups. Internal to the room. Any thread; blocks for the API and for interceptors' servers.
// Source: tektoncd/triggers v0.30, docs/eventlisteners.md.
#pragma once
#include <string>
#include <vector>

#include "cluster/kube/client.h"
#include "core/base/trace.h"
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

// The ServiceAccount that a listener acts as: of spec, of the pod template it would have upstream, or "default".
std::string account_of(const kube::Object& listener);

}  // namespace caisson::pipeline
