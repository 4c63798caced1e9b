// SPDX-License-Identifier: Apache-2.0
// Who changed what differs: from metadata.managedFields (FieldsV1 of Kubernetes' server-side apply). Pure; any thread.
#pragma once
#include <string>
#include <vector>

#include "core/document/value.h"

namespace caisson::gitops {

struct Edit {
  std::string path;           // of a Drift: "spec.replicas"
  std::string manager, time;  // "kubectl-edit", RFC 3339; empty: nobody says that it is theirs
  bool operator==(const Edit&) const = default;
};

// In the order of `paths`. The newest entry of a manager other than ours that holds the field, one above it or one
// below it. `desired` tells where an item of a list stands, as in a Drift's paths.
std::vector<Edit> editors_of(const Value& desired, const Value& live, const std::vector<std::string>& paths);
std::string describe(const std::vector<Edit>& edits);  // "spec.replicas (kubectl-scale, 2026-01-02T03:04:05Z), data.a"

}  // namespace caisson::gitops
