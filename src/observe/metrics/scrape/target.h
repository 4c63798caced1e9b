// SPDX-License-Identifier: Apache-2.0
// Jobs and targets: from the labels that discovery gives to what is asked for, and under which labels it is stored.
// Follows scrape/target.go of Prometheus 3 (PopulateLabels). Pure functions; any thread.
#pragma once
#include <memory>
#include <optional>

#include "core/document/value.h"
#include "observe/metrics/scrape/relabel.h"

namespace caisson::metrics {

struct ScrapeJob {
  std::string pool;  // "serviceMonitor/shop/web/0": names the job in the API's answers
  std::string job;   // the job label, unless relabelling says otherwise
  std::int64_t interval_ms = 30'000, timeout_ms = 10'000;
  std::string path = "/metrics", scheme = "http";
  std::vector<std::pair<std::string, std::string>> params;
  bool honor_labels = false, honor_timestamps = true;
  std::vector<RelabelRule> relabeling, metric_relabeling;
  std::size_t sample_limit = 0;  // 0: only the general limits
  std::string authorization;     // the header's value; empty: none
  std::string ca_pem;
  bool insecure_skip_verify = false;
  bool native_histograms = false;       // asks for protobuf first, the only format that has them
  bool classic_histograms_too = false;  // of a histogram that has both forms
  bool operator==(const ScrapeJob&) const = default;
};

struct Target {
  std::shared_ptr<const ScrapeJob> job;
  Labels discovered, labels;
  std::string url;
  std::int64_t interval_ms = 0, timeout_ms = 0;
};

// Nothing when relabelling dropped it. Errors: bad_request when it has no address, or a rule can't be compiled.
Result<std::optional<Target>> make_target(const std::shared_ptr<const ScrapeJob>& job, const Labels& discovered);

// Rules as Prometheus' own configuration writes them (source_labels) or as the operator's kinds do (sourceLabels).
Result<std::vector<RelabelRule>> parse_relabel_rules(const Value& list);

}  // namespace caisson::metrics
