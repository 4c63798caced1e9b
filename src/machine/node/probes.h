// SPDX-License-Identifier: Apache-2.0
// Startup, liveness and readiness probes of one container. Runs on the node's timers and a small pool, so that a
// thousand waiting probes cost nothing; a probe runs once at a time. Follows Kubernetes 1.33 pkg/kubelet/prober.
//
// One thing more than the kubelet: after the start, startup and readiness probes that fail are repeated quickly (50 ms,
// doubling up to the period) without counting, so that a server that needs 200 ms is ready after 200 ms and not after
// periodSeconds.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/base/worker_pool.h"
#include "machine/node/action.h"
#include "machine/node/timers.h"

namespace caisson::node {

struct ProbeSpec {
  Value handler;
  Duration initial_delay{}, period = std::chrono::seconds(10), timeout = std::chrono::seconds(1);
  int success_threshold = 1, failure_threshold = 3;
  static ProbeSpec from(const Value& probe);
};

// Counts results up to the thresholds. Pure.
class ProbeCounter {
 public:
  // `first`: what holds before any result; nothing when that is open (startup).
  ProbeCounter(int success_threshold, int failure_threshold, std::optional<bool> first)
      : success_(success_threshold), failure_(failure_threshold), verdict_(first) {}
  // Gives whether the verdict changed.
  bool add(bool success);

 private:
  int success_, failure_;
  std::optional<bool> verdict_;
  bool last_ = false;
  int run_ = 0;
};

struct ProbeEvents {
  std::function<void()> started;              // the startup probe succeeded
  std::function<void(bool ready)> readiness;  // it changed
  std::function<void(std::string_view probe, std::string message)>
      must_restart;                                                         // "Liveness" or "Startup" failed for good
  std::function<void(std::string_view probe, std::string message)> failed;  // one counted failure
};

// The probes of one container from its start to its end. Destroying it ends them; an event may still be on its way.
class ContainerProbes {
 public:
  // `container`: its spec. `already_started`: taken up after the agent's own restart.
  static std::unique_ptr<ContainerProbes> start(Timers& timers, WorkerPool& pool, ActionTarget target,
                                                bool already_started, ProbeEvents events);
  ~ContainerProbes();

 private:
  struct Impl;
  explicit ContainerProbes(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace caisson::node
