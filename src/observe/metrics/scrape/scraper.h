// SPDX-License-Identifier: Apache-2.0
// Scraper: asks targets and sources on their intervals and appends what they expose. Writes up, scrape_duration_seconds
// and their kin beside it, and stale markers for series that are gone, as Prometheus does. One timer thread and a few
// workers; a target is never asked twice at once. Any thread.
#pragma once
#include "core/base/clock.h"
#include "observe/metrics/exposition/text.h"
#include "observe/metrics/scrape/side_data.h"
#include "observe/metrics/scrape/target.h"
#include "observe/metrics/storage/tsdb.h"

namespace caisson::metrics {

// A part of this program that is asked like a target, without a network.
struct Source {
  std::string name;  // "kube-state-metrics": the pool
  std::string url;   // what the API shows
  Labels labels;     // job and instance among them; labels of the samples win (honor_labels)
  std::int64_t interval_ms = 15'000;
  std::function<Result<Exposition>()> read;
};

struct TargetStatus {
  std::string pool, url;
  Labels discovered, labels;
  std::int64_t interval_ms = 0, timeout_ms = 0;
  std::string health = "unknown";  // up, down
  std::string error;
  std::int64_t last_scrape_ms = 0;
  double last_duration_s = 0;
};

class Scraper {
 public:
  Scraper(Tsdb& storage, SideData& side, Clock& clock);
  ~Scraper();
  void add(Source source);
  // How often sources are asked; 0: each in its own rhythm.
  void set_source_interval(std::int64_t interval_ms);
  // From now on these are the targets; those that stay keep their state, those that go leave stale markers.
  void set_targets(std::vector<Target> targets);
  std::vector<TargetStatus> targets() const;
  void start();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::metrics
