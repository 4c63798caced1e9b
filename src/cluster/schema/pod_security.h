// SPDX-License-Identifier: Apache-2.0
// The Pod Security Standards: what the levels baseline and restricted forbid in a Pod, check by check and by version of
// Kubernetes. Follows pod-security-admission 1.34 (policy/check_*.go). What is said about it is the business of who
// asks: apiserver speaks as the admission plug-in PodSecurity, security/policy as Kyverno's podSecurity rules. Pure;
// any thread.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/document/value.h"

namespace caisson::schema {

// One place of a Pod that a check refuses.
struct PodSecurityFault {
  enum class Of { pod, container, init_container, ephemeral_container, volume, annotation } of = Of::pod;
  std::size_t index = 0;            // of the container or volume in its list
  std::string field;                // "spec.containers[0].securityContext.privileged", "metadata.annotations[KEY]"
  std::vector<std::string> values;  // that may not stand there; empty: something required is not there
};
// "initContainers", "volumes"; empty for what is in no list.
std::string_view list_of(PodSecurityFault::Of of);

// `metadata` and `spec` are those of a Pod.
struct PodView {
  const Value& metadata;
  const Value& spec;
  int minor;  // of the version asked for: 25 for v1.25; latest is very large
};

struct PodSecurityCheck {
  std::string_view id, control, reason;
  bool baseline;
  int since;  // first minor version with this check
  void (*run)(const PodView& pod, std::vector<PodSecurityFault>& faults);
};

std::span<const PodSecurityCheck> pod_security_checks();

}  // namespace caisson::schema
