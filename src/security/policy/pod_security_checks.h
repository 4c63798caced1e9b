// SPDX-License-Identifier: Apache-2.0
// The checks one by one. Internal to this room.
#pragma once
#include <span>

#include "security/policy/pod_security.h"

namespace caisson::policy {

struct PodView {
  const Value& metadata;
  const Value& spec;
  int minor;  // of the version asked for: 25 for v1.25; latest is very large
};

struct PodSecurityCheck {
  std::string_view id, control, reason;
  bool baseline;
  int since;  // first minor version with this check
  void (*run)(const PodView& pod, std::vector<PodSecurityError>& errors);
};

std::span<const PodSecurityCheck> pod_security_checks();

}  // namespace caisson::policy
