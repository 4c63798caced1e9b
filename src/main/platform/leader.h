// SPDX-License-Identifier: Apache-2.0
// Who reconciles, when several processes are attached to one Kubernetes: the holder of a Lease
// (coordination.k8s.io/v1). As client-go's tools/leaderelection: what another one holds is taken when its record has
// not changed for the lease's time by our own clock, so that clocks need not agree. Threads: one.
#pragma once
#include <string>

#include "cluster/kube/client.h"
#include "core/base/clock.h"

namespace caisson::platform {

struct LeaderOptions {
  kube::ObjectKey lease;
  std::string identity;                            // of this process; unlike any other's
  Duration lease_time = std::chrono::seconds(15);  // after which others may take it
  Duration renew_time = std::chrono::seconds(10);  // without a renewal for so long we are no leader any more
};

class Leader {
 public:
  Leader(kube::Client& client, Clock& clock, LeaderOptions options)
      : client_(client), clock_(clock), options_(std::move(options)) {}

  // Takes or renews the lease; call it every two seconds. False: another one holds it. Errors: what the API gives; a
  // leader remains one while `is_leader` says so.
  Result<bool> try_once();
  bool is_leader() const;
  std::string holder() const { return seen_holder_; }
  // Gives the lease back, so that the next one need not wait.
  Result<void> release();

 private:
  Value spec_of(const Value& before, bool taken_over) const;

  kube::Client& client_;
  Clock& clock_;
  const LeaderOptions options_;
  std::string seen_holder_, seen_version_;  // the record as it last changed
  Duration seen_at_{0};
  Duration renewed_at_{-1};  // below 0: never, or lost
};

}  // namespace caisson::platform
