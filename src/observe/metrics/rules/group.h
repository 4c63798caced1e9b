// SPDX-License-Identifier: Apache-2.0
// GroupState: the rules of one group with their alerts, evaluated at given times. Follows rules/alerting.go and
// recording.go of Prometheus 3. What is firing is kept by the caller across restarts (alerts(), restore()), so `for`,
// keep_firing_for and the notice that an alert is resolved survive one. One thread at a time.
#pragma once
#include <functional>
#include <map>

#include "observe/metrics/promql/engine.h"
#include "observe/metrics/rules/rule.h"
#include "observe/metrics/rules/template.h"
#include "observe/metrics/storage/tsdb.h"

namespace caisson::metrics {

struct Alert {
  enum class State : std::uint8_t { inactive, pending, firing };
  Labels labels;  // with alertname
  Pairs annotations;
  double value = 0;
  State state = State::pending;
  // Milliseconds; 0: not yet.
  std::int64_t active_at = 0, fired_at = 0, resolved_at = 0, keep_firing_since = 0;
  std::int64_t last_sent = INT64_MIN / 2;
  bool operator==(const Alert&) const = default;
};
std::string_view state_name(Alert::State state);

struct RuleHealth {
  std::string health = "unknown";  // ok, err
  std::string error;
  std::int64_t evaluated_at = 0;
  double took_s = 0;
};

struct RuleContext {
  const Queryable* storage = nullptr;
  // Keeps what rules give; the next rule of the group sees it.
  std::function<Result<void>(std::span<const NewSample>)> append;
  promql::EngineOptions engine;
  std::map<std::string, RuleQuery> languages;  // of groups that are not in PromQL, by name
  Labels external_labels;
  std::string external_url;
};

class GroupState {
 public:
  static constexpr std::int64_t kResolvedKeptMs = 15LL * 60'000;

  explicit GroupState(RuleGroup group);
  const RuleGroup& group() const { return group_; }
  // Another version of the same group: alerts of rules that are still there go on.
  void replace(RuleGroup group);

  void evaluate(const RuleContext& context, std::int64_t t);
  // Every series of the group ends.
  void end(const RuleContext& context, std::int64_t t);

  std::vector<Alert> alerts(std::size_t rule) const;
  RuleHealth health(std::size_t rule) const { return rules_[rule].health; }
  // Puts back an alert of rule `alert`, as it was. Unknown rules are ignored.
  void restore(const std::string& alert, Alert state);
  // What the alert manager is to be told at `t`, at most every `resend_ms` for each; counts as told.
  std::vector<Alert> take_to_send(std::int64_t t, std::int64_t resend_ms);
  // Changes whenever an alert begins, fires, or ends: what is kept must be written again.
  std::uint64_t version() const { return version_; }

 private:
  struct RuleState {
    std::map<Labels, Alert> active;
    std::map<Labels, bool> written;  // series of the last evaluation
    RuleHealth health;
  };
  RuleQuery query_of(const RuleContext& context) const;
  Result<std::vector<NewSample>> run(const Rule& rule, RuleState& state, const RuleContext& context, std::int64_t t);
  Result<std::vector<NewSample>> record(const Rule& rule, const promql::QueryResult& result, std::int64_t t) const;
  Result<std::vector<NewSample>> alert(const Rule& rule, RuleState& state, const promql::QueryResult& result,
                                       const RuleContext& context, std::int64_t t);
  void advance(const Rule& rule, RuleState& state, const std::map<Labels, Alert>& now, std::int64_t t);

  RuleGroup group_;
  std::vector<RuleState> rules_;
  std::uint64_t version_ = 0;
};

}  // namespace caisson::metrics
