// SPDX-License-Identifier: Apache-2.0
// Health of one object, by kind. Follows Argo CD 3.0's gitops-engine/pkg/health for Kubernetes' own kinds; those of
// other projects are in health_rules.h. Kinds nobody knows have no health. Pure; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "core/document/value.h"

namespace caisson::gitops {

// From best to worst, as upstream orders them when several are combined.
enum class HealthCode { healthy, suspended, progressing, missing, degraded, unknown };
std::string_view health_name(HealthCode code);  // "Healthy"
std::optional<HealthCode> parse_health(std::string_view name);
HealthCode worse(HealthCode a, HealthCode b);

struct Health {
  HealthCode code = HealthCode::healthy;
  std::string message;
  bool operator==(const Health&) const = default;
};
// What its kind says. Not of one that is being deleted:
std::optional<Health> health_by_kind(const Value& object);
std::optional<Health> health_of(const Value& object);

}  // namespace caisson::gitops
