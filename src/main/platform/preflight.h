// SPDX-License-Identifier: Apache-2.0
// `caisson preflight`: what of this machine would keep the platform from running, each with what to do about it. What
// was found
// (`preflight_machine.h`) and what it means (`judge`, a pure function) are apart.
#pragma once
#include <string>
#include <vector>

#include "main/platform/instance.h"

namespace caisson::platform {

struct Machine;

struct Check {
  enum class State { ok, warning, failed } state;
  std::string name;    // "kernel"
  std::string found;   // "6.1.0-18-amd64"
  std::string advice;  // what to do next; empty exactly when ok
  bool operator==(const Check&) const = default;
};

// What `machine` means for a platform with these settings, in the order in which a person reads it.
std::vector<Check> judge(const Machine& machine, const Settings& settings);

// Changes nothing. Takes some 50 ms.
std::vector<Check> preflight(const Settings& settings);

}  // namespace caisson::platform
