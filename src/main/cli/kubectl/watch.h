// SPDX-License-Identifier: Apache-2.0
// Waiting for something about one object, by list and watch.
#pragma once
#include <functional>

#include "main/cli/kubectl/kubectl.h"

namespace caisson::cli::kubectl {

// Gives the object to `is_done` as it is now and at each change, nullptr while it is not there, until that answers
// true. Watches that end or expire are opened anew. Errors: those of `is_done` and of requests; timeout at `end`.
using Decide = std::function<Result<bool>(const Value* object)>;
Result<void> follow(const Call& call, const kube::Resource& resource, const std::string& ns, const std::string& name,
                    Time end, const Decide& is_done);

// When --timeout is over; `otherwise` without the flag. Zero: never, as for `rollout status`; below zero: in a week.
Result<Time> end_of_wait(const Call& call, std::string_view otherwise);

}  // namespace caisson::cli::kubectl
