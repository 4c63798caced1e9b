// SPDX-License-Identifier: Apache-2.0
// Desired and live side by side: what status.resources shows and what a sync plans from. Threads: any (the World's
// rules).
#pragma once
#include <string>
#include <vector>

#include "delivery/gitops/plan.h"
#include "delivery/gitops/source.h"
#include "delivery/gitops/world.h"

namespace caisson::gitops {

struct Observation {
  std::vector<Resource> resources;    // in kubectl's order of kinds
  std::vector<Value> hooks;           // prepared
  std::vector<std::string> errors;    // the comparison is not to be trusted: ComparisonError
  std::vector<std::string> warnings;  // SharedResourceWarning, RepeatedResourceWarning
  std::size_t orphans = 0;            // in the destination, of watched kinds, that no Application tracks
  bool complete = true;               // false: a kind's first list is not in yet
  bool in_sync() const;
};

// `previous` is status.resources: kinds of the past are looked at, too. `project` may be null.
Observation observe(World& world, const schema::Schema& schema, const Application& application,
                    const Rendered& rendered, const Value& previous, const kube::Object* project);

}  // namespace caisson::gitops
