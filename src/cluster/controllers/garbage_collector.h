// SPDX-License-Identifier: Apache-2.0
// Garbage collection by owner references: an object all of whose owners are gone goes too; foreground deletion waits
// for dependents, orphaning lets them live. It watches every kind that the server has, CRDs included. Source:
// pkg/controller/garbagecollector (v1.33).
#pragma once
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

void add_garbage_collector(kube::Runtime& runtime);

}  // namespace caisson::controllers
