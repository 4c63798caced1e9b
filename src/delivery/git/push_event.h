// SPDX-License-Identifier: Apache-2.0
// PushEvent objects: what a moved ref means, in the words of GitHub's push webhook. Pure but for reading the
// repository. Internal.
#pragma once
#include <string>

#include "cluster/kube/object.h"
#include "delivery/git/pkt_line.h"
#include "delivery/git/repositories.h"

namespace caisson::git {

struct PushContext {
  std::string pusher;
  std::string clone_url, html_url;
  std::string default_branch;  // its name, "main"
  TraceContext trace;
  Time now{};
};

// Recording one move twice gives one object: the name is a hash of repository, ref, before and after.
std::string push_event_name(std::string_view repository, const RefUpdate& update);
Result<kube::Object> make_push_event(const Repository& repository, const RefUpdate& update, const PushContext& context);

}  // namespace caisson::git
