// SPDX-License-Identifier: Apache-2.0
// One step (or sidecar) of a task as a container. Pure; any thread. Internal to the room.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::pipeline {

struct ContainerParts {
  std::string name;
  std::string script_name;  // the file of its script, when it has one
  const Value& mounts;      // of every container
  const Value& workspace_mounts;
  std::vector<std::pair<std::string, std::string>> environment;  // unless the step sets the same
};

// stepTemplate's fields under the step's own; env merges by name.
Value merge_step_template(const Value& step, const Value& step_template);
// A script goes into `scripts` and becomes the command. Errors: invalid.
Result<Value> make_step_container(const Value& step, const ContainerParts& parts, Value& scripts);

}  // namespace caisson::pipeline
