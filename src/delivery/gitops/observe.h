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
  std::vector<std::string> warnings;  // SharedResourceWarning
  std::vector<std::string> repeated;  // RepeatedResourceWarning: git says one object twice
  std::size_t orphans = 0;            // in the destination, of watched kinds, that no Application tracks
  bool complete = true;               // false: a kind's first list is not in yet
  bool refused = false;               // a kind may not be listed; an error says which
  bool in_sync() const;
};

// What the observations of one Application before said, for what has not changed since: an Application is looked at
// with every change of one of its objects. It can be lost. Threads: one.
struct ObservationCache {
  struct Entry {
    Value source, prepared;          // as rendered, as it is applied
    std::optional<bool> namespaced;  // with which it was prepared
    Value compared;                  // the desired object that was compared …
    std::string live_version;        // … with this one; empty: with none yet
    Drift drift;
    std::optional<Health> health;
  };
  SettingsPtr settings;  // and with what all entries were made
  Value spec;
  std::uint64_t schema_generation = 0;
  std::vector<Entry> entries;  // as the rendered objects
};

// `previous` is status.resources: kinds of the past are looked at, too. `project` and `cache` may be null; `spec` is
// the Application's, for the cache.
Observation observe(World& world, const schema::Schema& schema, const Application& application,
                    const Rendered& rendered, const Value& previous, const kube::Object* project,
                    ObservationCache* cache = nullptr, const Value& spec = Value());

}  // namespace caisson::gitops
