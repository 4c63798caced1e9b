// SPDX-License-Identifier: Apache-2.0
// `caisson preflight`: what of this machine would keep the platform from running, each with what to do about it.
#pragma once
#include <string>
#include <vector>

#include "main/platform/instance.h"

namespace caisson::platform {

struct Check {
  enum class State { ok, warning, failed } state;
  std::string name;      // "kernel"
  std::string found;     // "6.1.0-18-amd64"
  std::string advice;    // what to do; empty when ok
};

// Changes nothing. Takes some 20 ms.
std::vector<Check> preflight(const Settings& settings);

}  // namespace caisson::platform
