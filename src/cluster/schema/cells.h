// SPDX-License-Identifier: Apache-2.0
// Computed cells of tables, by the names that kinds/columns.yaml uses. Internal to the room. Pure; any thread.
#pragma once
#include <string_view>

#include "core/base/clock.h"
#include "core/document/value.h"

namespace caisson::schema {

// `printer` is "pod-status", or with an argument "int:status.replicas". Null when there is no such printer (a test
// looks for that).
Value cell(std::string_view printer, const Value& object, Time now);
bool has_cell(std::string_view printer);

Value pod_cell(std::string_view printer, const Value& pod, Time now);  // cells_pod.cc; null: not one of its own
// Of PodMetrics the sum over the containers, of NodeMetrics the node's: "250m", "12Mi". cells_usage.cc
Value usage_cell(const Value& metrics, std::string_view resource);
std::string age_cell(const Value& time, Time now);         // "3m20s", "<unknown>"
Value dotted(const Value& object, std::string_view path);  // "status.phase"

}  // namespace caisson::schema
