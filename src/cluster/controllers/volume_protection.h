// SPDX-License-Identifier: Apache-2.0
// Claims and volumes in use are not deleted: the API server gives each a finalizer, which goes when the object is being
// deleted and nobody uses it any more. A claim is used by every pod of its namespace that names it and has a node, also
// one that has ended; a volume by the claim that it is bound to. Source: pkg/controller/volume/{pvcprotection,
// pvprotection} (v1.33).
#pragma once
#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

void add_volume_protection(kube::Runtime& runtime);

}  // namespace caisson::controllers
