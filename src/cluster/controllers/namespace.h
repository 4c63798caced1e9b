// SPDX-License-Identifier: Apache-2.0
// Namespace: empties a namespace that is being deleted, pods first, and lets it go. Source:
// pkg/controller/namespace/deletion (v1.33, with OrderedNamespaceDeletion).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "cluster/kube/reconciler.h"

namespace caisson::controllers {

// What was still there after everything was told to go.
struct NamespaceRemains {
  std::map<std::string, std::int64_t> counts;      // by group resource: "configmaps", "deployments.apps"
  std::map<std::string, std::int64_t> finalizers;  // by name
  std::string failure;                             // what could not be listed or deleted; empty: nothing
  bool empty() const { return counts.empty() && failure.empty(); }
};
// The five conditions of a namespace that is being deleted. Gives whether one changed.
bool note_remains(kube::Object& ns, const NamespaceRemains& remains, Time now);

void add_namespace(kube::Runtime& runtime);

}  // namespace caisson::controllers
