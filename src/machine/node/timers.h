// SPDX-License-Identifier: Apache-2.0
// Calls in the future: one sleeping thread for all back-offs, probes and deadlines of the node. A call must be short:
// it hands work to a pool or a queue. Any thread.
#pragma once
#include <functional>
#include <memory>

#include "core/base/clock.h"

namespace caisson::node {

class Timers {
 public:
  Timers();
  ~Timers();    // pending calls are dropped
  void stop();  // ends the thread; later calls of after() do nothing
  void after(Duration delay, std::function<void()> call);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::node
