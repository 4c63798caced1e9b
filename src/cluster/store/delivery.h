// SPDX-License-Identifier: Apache-2.0
// Delivery: takes published events to the watches, on one thread of its own, so that a commit never waits for a reader.
// Invariant: a watch gets every event of its resource after its start, once, in order of revision. Threads: any.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "cluster/store/store.h"

namespace caisson::store {

class Delivery {
 public:
  explicit Delivery(Clock& clock);
  ~Delivery();  // ends every watch with a closed event

  // `missed`: events after options.after that were published before; `revision`: up to where. Call under the lock that
  // orders publish.
  std::unique_ptr<Watch> add(const WatchOptions& options, std::function<void(const Event&)> call,
                             std::vector<Event> missed, Revision revision);
  // Call in order of revision.
  void publish(std::vector<Event> events);
  std::size_t watches() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace caisson::store
