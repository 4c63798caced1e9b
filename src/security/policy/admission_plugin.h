// SPDX-License-Identifier: Apache-2.0
// Policies in the API server's admission chain, in process: mutate, then validate. What an enforced rule refuses is
// answered in Kyverno's words; what only audits becomes a warning. A policy that can't be compiled is refused itself.
// Threads: as apiserver::Admission; any.
#pragma once
#include <functional>
#include <memory>

#include "cluster/apiserver/admission.h"
#include "cluster/kube/client.h"
#include "core/base/clock.h"
#include "security/policy/deadlines.h"
#include "security/policy/notices.h"
#include "security/policy/policies.h"

namespace caisson::policy {

struct AdmissionOptions {
  std::shared_ptr<Policies> policies;
  // The server's own client, for context entries and roles; asked for when it is needed, since the server that it leads
  // to is made after its admission. May give null: then nothing is looked up.
  std::function<kube::Client*()> client;
  // Where signatures are read; asked for like the client, may be unset or give null.
  std::function<const ImageSource*()> images;
  std::shared_ptr<Notices> notices;      // told of refusals and of policies that go; may be null
  std::shared_ptr<Deadlines> deadlines;  // told when what is written is to go; may be null
  Clock* clock = &system_clock();
};

std::shared_ptr<apiserver::Admission> make_policy_admission(AdmissionOptions options);

}  // namespace caisson::policy
