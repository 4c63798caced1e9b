// SPDX-License-Identifier: Apache-2.0
// What is to go: CleanupPolicy and ClusterCleanupPolicy (kyverno.io/v2) and the time-to-live label. Follows Kyverno
// 1.19, api/kyverno/v2 and pkg/controllers/ttl. Pure; any thread.
#pragma once
#include <optional>
#include <string>

#include "cluster/controllers/cron.h"
#include "cluster/kube/client.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "core/document/value.h"
#include "security/policy/match.h"

namespace caisson::policy {

inline constexpr std::string_view kTtlLabel = "cleanup.kyverno.io/ttl";
inline constexpr std::string_view kPropagationAnnotation = "cleanup.kyverno.io/propagation-policy";

struct CleanupPolicy {
  std::string name, ns;  // ns: of a CleanupPolicy, which reaches no further
  MatchBlock match, exclude;
  Value context, conditions;
  controllers::CronSchedule schedule;
  kube::Propagation propagation = kube::Propagation::background;
};

bool is_cleanup_policy(const Value& object);
bool is_deleting_policy(const Value& object);  // policies.kyverno.io, in CEL
// Errors: invalid, which names the field: a schedule, an operator, a propagation; conditions on users, who are nobody
// here.
Result<CleanupPolicy> compile_cleanup_policy(const Value& object);
// "Foreground", "Background", "Orphan"; empty is background. Errors: invalid.
Result<kube::Propagation> parse_propagation(std::string_view text);

// When an object with the label is to go: at a time ("2026-01-31", "2026-01-31T103000Z", RFC 3339), or so long after it
// was made ("90s", "4h", "1d12h", "2w"). Nothing: there is no label. Errors: bad_request.
Result<std::optional<Time>> time_to_go(const Value& object);

}  // namespace caisson::policy
