// SPDX-License-Identifier: Apache-2.0
// The part of the HTTP API that tells of the server rather than of samples: targets, rules, alerts, metadata,
// exemplars, status pages. Answers as upstream's "HTTP API" page says. Any thread.
#pragma once
#include <optional>

#include "core/http/message.h"
#include "observe/metrics/rules/manager.h"
#include "observe/metrics/scrape/scraper.h"

namespace caisson::metrics {

struct ServerState {
  std::vector<TargetStatus> targets;
  std::vector<GroupView> groups;
  const SideData* side = nullptr;
  std::int64_t started_ms = 0, now_ms = 0;
  std::string config;  // as YAML
  std::int64_t retention_ms = 0;
  std::size_t series = 0;
};

// Nothing when `path` ("/api/v1/rules") is not one of these.
std::optional<http::Response> answer_state_api(const ServerState& state, std::string_view path,
                                               const http::Query& parameters);

}  // namespace caisson::metrics
