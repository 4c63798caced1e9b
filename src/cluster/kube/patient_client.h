// SPDX-License-Identifier: Apache-2.0
// A Client to a Kubernetes that is not ours: it may be away, overloaded, or change its mind about who we are.
//
// - Answers 429 and 5xx, and no answer at all, make a pause for every caller of this client, which doubles from 100 ms
// to
//   10 s with some jitter and ends with the first good answer: many reconcilers do not storm a server that comes back.
// - The connection is asked for again when the server refuses the credentials (at most once each second), and when
//   `connection` gives another one: tokens and certificates are rotated under a running process.
//
// Threads: any; calls block.
#pragma once
#include <functional>
#include <memory>

#include "cluster/kube/http_client.h"
#include "core/base/clock.h"

namespace caisson::kube {

struct PatientOptions {
  // How to reach the server now. Read again after a refusal, and every `reread_every`.
  std::function<Result<Connection>()> connection;
  // Makes the client of one connection; a test has its own.
  std::function<std::unique_ptr<Client>(Connection)> make = make_http_client;
  Duration reread_every = std::chrono::seconds(30);
  // During a pause: wait until it is over (true), or give the last error at once, so that what belongs to other
  // servers goes on (false).
  bool waits = true;
};

// Errors: what `connection` gives the first time.
Result<std::unique_ptr<Client>> make_patient_client(PatientOptions options, Clock& clock = system_clock());

}  // namespace caisson::kube
