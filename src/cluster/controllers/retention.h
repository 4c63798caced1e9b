// SPDX-License-Identifier: Apache-2.0
// Retention: Events live for an hour (kube-apiserver's --event-ttl), Spans while their trace is one of the newest.
#pragma once
#include <vector>

#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

// The spans of all but the `traces_max` traces that were active last.
std::vector<kube::Object> plan_span_retention(const std::vector<kube::Object>& spans, std::size_t traces_max);

void add_retention(kube::Runtime& runtime, Duration event_ttl, std::size_t traces_max);

}  // namespace caisson::controllers
