// SPDX-License-Identifier: Apache-2.0
// The Pod Security Standards: what baseline and restricted forbid, by version (pod-security-admission 0.33, policy/).
// Pure; any thread.
#pragma once
#include <string>
#include <vector>

#include "core/document/value.h"

namespace caisson::apiserver {

enum class PodSecurityLevel { privileged, baseline, restricted };

struct PodSecurityPolicy {
  static constexpr int kLatest = 1'000'000;
  PodSecurityLevel level = PodSecurityLevel::privileged;
  int minor = kLatest;      // of Kubernetes 1.x
  std::string str() const;  // "restricted:v1.30"
  bool operator==(const PodSecurityPolicy&) const = default;
};
std::string_view level_name(PodSecurityLevel level);

struct PodSecurityViolation {
  std::string reason, detail;
};
// In the order of the reference: baseline's checks by name, then restricted's.
std::vector<PodSecurityViolation> pod_security_violations(const PodSecurityPolicy& policy, const Value& metadata,
                                                          const Value& spec);
// "reason (detail), reason"; "reason, reason".
std::string details_text(const std::vector<PodSecurityViolation>& violations);
std::string reasons_text(const std::vector<PodSecurityViolation>& violations);

}  // namespace caisson::apiserver
