// SPDX-License-Identifier: Apache-2.0
// The scheduler: gives every pod without a node one, by the sub-resource `binding`. Source: pkg/scheduler (v1.33),
// profile default-scheduler. Choosing is scheduling.h.
#pragma once
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

// `spans` may be null; else it gets the span "schedule" of a pod that has a trace.
void add_scheduler(kube::Runtime& runtime, SpanSink* spans);

}  // namespace caisson::controllers
