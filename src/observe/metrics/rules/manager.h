// SPDX-License-Identifier: Apache-2.0
// RuleManager: evaluates groups on their intervals, keeps the state of alerts in a file, and hands alerts on. One
// thread; every method may be called from any thread.
#pragma once
#include <memory>

#include "core/base/clock.h"
#include "observe/metrics/rules/group.h"

namespace caisson::metrics {

// What the alert manager is told: an alert that fires until `ends_at`, or one that ended then.
struct AlertNotice {
  Labels labels;
  Pairs annotations;
  std::int64_t starts_at = 0, ends_at = 0;  // ends_at in the past: resolved
  std::string generator_url;
};
using AlertSink = std::function<void(std::vector<AlertNotice>)>;

struct RuleView {
  Rule rule;
  RuleHealth health;
  std::vector<Alert> alerts;  // pending and firing
};
struct GroupView {
  RuleGroup group;
  std::int64_t evaluated_at = 0;
  double took_s = 0;
  std::vector<RuleView> rules;
};

class RuleManager {
 public:
  struct Options {
    std::string state_file;  // empty: nothing is kept
    Labels external_labels;
    std::string external_url;
    promql::EngineOptions engine;
    std::map<std::string, RuleQuery> languages;  // of groups that are not in PromQL
    std::int64_t resend_ms = 60'000;
    std::int64_t outage_max_ms = 3'600'000;  // after a longer outage a pending alert begins anew
  };
  RuleManager(Tsdb& storage, Clock& clock, Options options, AlertSink sink);
  ~RuleManager();
  void set_groups(std::vector<RuleGroup> groups);
  std::vector<GroupView> groups() const;
  void start();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::metrics
