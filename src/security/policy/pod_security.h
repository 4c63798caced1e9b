// SPDX-License-Identifier: Apache-2.0
// The Pod Security Standards: levels privileged, baseline and restricted, by version. Follows Kubernetes'
// pod-security-admission 1.34 (cluster/schema/pod_security.h has its checks) and Kyverno 1.19's exclusions. Pure; any
// thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cluster/schema/pod_security.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::policy {

using PodSecurityError = schema::PodSecurityFault;
struct PodSecurityFinding {
  std::string_view id;       // "capabilities_baseline"
  std::string_view control;  // "Capabilities"
  std::string reason;        // "non-default capabilities"
  std::vector<PodSecurityError> errors;
};

struct PodSecurityOptions {
  std::string level = "baseline", version = "latest";
  Value exclude;  // list of {controlName, images, restrictedField, values}
};

// `metadata` and `spec` are those of a Pod. Errors: bad_request for a level or version that is none.
Result<std::vector<PodSecurityFinding>> check_pod(const Value& metadata, const Value& spec,
                                                  const PodSecurityOptions& options);
std::string describe(const std::vector<PodSecurityFinding>& findings);

}  // namespace caisson::policy
