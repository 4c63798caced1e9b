// SPDX-License-Identifier: Apache-2.0
// This program about itself: process_… as client libraries name them, workqueue_… and caisson_… of its reconcilers,
// prometheus_tsdb_… of the storage. Any thread.
#pragma once
#include "core/document/value.h"
#include "observe/metrics/exposition/families.h"
#include "observe/metrics/storage/tsdb.h"

namespace caisson::metrics {

// `reconcilers` is kube::Runtime::metrics().
Exposition own_state(const Value& reconcilers, const TsdbStats& storage, std::string_view version);
void process_state(Families& out);

}  // namespace caisson::metrics
