// SPDX-License-Identifier: Apache-2.0
// Interceptors: what an event has to pass before a trigger acts, and what they add to it. Those that Tekton Triggers
// ships (cel, github, gitlab, bitbucket, slack) are here; others are servers that a ClusterInterceptor, an Interceptor
// or a webhook names. Any thread; a server blocks the caller, at most five seconds each.
// Source: tektoncd/triggers v0.30, docs/interceptors.md, clusterinterceptors.md.
#pragma once
#include "delivery/pipeline/triggers.h"

namespace caisson::pipeline {

// Whether the interceptors of `trigger` let the event pass, in their order. Overlays and extensions go into
// event.input.extensions; a webhook's answer replaces body and headers. `trigger_id` is "namespaces/NS/triggers/NAME".
// Errors: forbidden (a wrong signature), bad_request (what can't be evaluated, or a server's refusal), invalid or
// not_found (an interceptor that can't be used), internal (a server that does not answer).
Result<bool> intercept(const Value& trigger, const std::string& trigger_id, TriggerEvent& event,
                       const TriggerParts& parts);

}  // namespace caisson::pipeline
