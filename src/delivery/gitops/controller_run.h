// SPDX-License-Identifier: Apache-2.0
// What one reconciliation carries along. Internal to controller.cc and operation.cc. Threads: one.
#pragma once
#include <algorithm>

#include "delivery/gitops/controller.h"

namespace caisson::gitops {

// One reconciliation: the Application as it was read, and as it will be written.
struct Controller::Run {
  kube::Object before;
  Value after;
  Application application;
  std::shared_ptr<AppMemory> memory;
  World* world = nullptr;  // of the destination
  RenderedPtr rendered;
  std::optional<kube::Object> project;
  Observation observation;
  WindowVerdict windows;
  std::vector<Condition> conditions;
  std::string unrendered;  // why there is no rendering, when no worker is at one; empty: there is
  std::string refused;     // an enforced violation of what a sync would apply; empty: none
  std::optional<Duration> again;
  Time now{};

  void retry_in(Duration delay) { again = again ? std::min(*again, delay) : delay; }
  Value& status() { return after.edit("status"); }
  const kube::Object* project_or_null() const { return project ? &*project : nullptr; }
};

}  // namespace caisson::gitops
