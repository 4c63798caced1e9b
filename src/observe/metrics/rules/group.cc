// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/rules/group.h"

#include <chrono>

namespace caisson::metrics {
namespace {

Labels rule_labels(const promql::Series& series, const Rule& rule) {
  LabelsBuilder labels(series.labels);
  labels.set(kMetricName, rule.record);
  for (const auto& [name, value] : rule.labels) labels.set(name, value);
  return labels.labels();
}

NewSample sample_of(const promql::Series& series, Labels labels, std::int64_t t) {
  if (!series.histograms.empty()) return {std::move(labels), t, 0, series.histograms[0].h};
  return {std::move(labels), t, series.floats.empty() ? 0 : series.floats[0].v, nullptr};
}

// A template that fails shows its fault in its place, as upstream's does: one bad annotation must not hide an alert.
std::string expand(std::string_view text, const AlertTemplateData& data) {
  auto out = expand_alert_template(text, data);
  return out.ok() ? std::move(out).value() : "<error expanding template: " + out.error().message + ">";
}

// The series ALERTS or ALERTS_FOR_STATE of an alert.
Labels series_of(const Alert& alert, const char* name, bool with_state) {
  LabelsBuilder labels(alert.labels);
  labels.set(kMetricName, name);
  if (with_state) labels.set("alertstate", state_name(alert.state));
  return labels.labels();
}

}  // namespace

std::string_view state_name(Alert::State state) {
  return state == Alert::State::firing ? "firing" : state == Alert::State::pending ? "pending" : "inactive";
}

GroupState::GroupState(RuleGroup group) : group_(std::move(group)), rules_(group_.rules.size()) {}

void GroupState::replace(RuleGroup group) {
  std::vector<RuleState> rules(group.rules.size());
  for (std::size_t i = 0; i < group.rules.size(); ++i)
    for (std::size_t k = 0; k < group_.rules.size(); ++k) {
      if (group_.rules[k].alert != group.rules[i].alert || group_.rules[k].record != group.rules[i].record) continue;
      rules[i] = std::move(rules_[k]);
      rules_[k] = {};
      break;
    }
  group_ = std::move(group);
  rules_ = std::move(rules);
  ++version_;
}

void GroupState::evaluate(const RuleContext& context, std::int64_t t) {
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    RuleState& state = rules_[i];
    const auto began = std::chrono::steady_clock::now();
    auto samples = run(group_.rules[i], state, context, t);
    Result<void> stored;
    if (samples.ok()) stored = context.append(*samples);
    state.health.evaluated_at = t;
    state.health.took_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    state.health.health = samples.ok() && stored.ok() ? "ok" : "err";
    state.health.error = !samples.ok() ? samples.error().message : !stored.ok() ? stored.error().message : "";
  }
}

void GroupState::end(const RuleContext& context, std::int64_t t) {
  std::vector<NewSample> samples;
  for (RuleState& state : rules_)
    for (const auto& [labels, there] : state.written) samples.push_back({labels, t, stale_nan(), nullptr});
  if (const auto stored = context.append(samples); !stored.ok()) return;  // they end by the lookback then
  rules_.assign(rules_.size(), {});
}

RuleQuery GroupState::query_of(const RuleContext& context) const {
  if (group_.language.empty())
    return [&context](const std::string& query, std::int64_t t) {
      return promql::query_instant(*context.storage, context.engine, query, t);
    };
  const auto language = context.languages.find(group_.language);
  if (language != context.languages.end()) return language->second;
  return [name = group_.language](const std::string&, std::int64_t) -> Result<promql::QueryResult> {
    return Error{ErrorCode::invalid, "nobody answers " + name + " here"};
  };
}

Result<std::vector<NewSample>> GroupState::run(const Rule& rule, RuleState& state, const RuleContext& context,
                                               std::int64_t t) {
  const auto result = TRY(query_of(context)(rule.expr, t - group_.query_offset_ms));
  if (result.type == promql::ValueType::string)
    return Error{ErrorCode::bad_request, "rule result is not a vector or scalar"};
  auto samples = TRY(rule.alert.empty() ? record(rule, result, t) : alert(rule, state, result, context, t));
  std::map<Labels, bool> written;
  for (const NewSample& sample : samples)
    if (!written.emplace(sample.labels, true).second)
      return Error{ErrorCode::bad_request, "vector contains metrics with the same labelset after applying rule labels"};
  for (const auto& [labels, there] : state.written)
    if (!written.contains(labels)) samples.push_back({labels, t, stale_nan(), nullptr});
  state.written = std::move(written);
  return samples;
}

Result<std::vector<NewSample>> GroupState::record(const Rule& rule, const promql::QueryResult& result,
                                                  std::int64_t t) const {
  if (group_.limit > 0 && result.matrix.size() > group_.limit)
    return Error{ErrorCode::too_large, "exceeded limit of " + std::to_string(group_.limit) + " with " +
                                           std::to_string(result.matrix.size()) + " series"};
  std::vector<NewSample> samples;
  for (const promql::Series& series : result.matrix) samples.push_back(sample_of(series, rule_labels(series, rule), t));
  return samples;
}

Result<std::vector<NewSample>> GroupState::alert(const Rule& rule, RuleState& state, const promql::QueryResult& result,
                                                 const RuleContext& context, std::int64_t t) {
  std::map<Labels, Alert> now;
  for (const promql::Series& series : result.matrix) {
    AlertTemplateData data{
        series.labels, context.external_labels, context.external_url, sample_of(series, {}, t).v, t, query_of(context)};
    LabelsBuilder labels(series.labels);
    labels.remove(kMetricName);
    for (const auto& [name, text] : rule.labels) labels.set(name, expand(text, data));
    labels.set("alertname", rule.alert);
    Alert one;
    one.labels = labels.labels();
    one.value = data.value;
    one.active_at = t;
    for (const auto& [name, text] : rule.annotations) one.annotations.emplace_back(name, expand(text, data));
    if (!now.emplace(one.labels, one).second)
      return Error{ErrorCode::bad_request,
                   "vector contains metrics with the same labelset after applying alert labels"};
  }
  if (group_.limit > 0 && now.size() > group_.limit) {
    state.active.clear();
    ++version_;
    return Error{ErrorCode::too_large, "exceeded limit of " + std::to_string(group_.limit) + " with " +
                                           std::to_string(now.size()) + " alerts"};
  }
  advance(rule, state, now, t);
  std::vector<NewSample> samples;
  for (const auto& [labels, one] : state.active) {
    if (one.state == Alert::State::inactive) continue;
    samples.push_back({series_of(one, "ALERTS", true), t, 1, nullptr});
    samples.push_back(
        {series_of(one, "ALERTS_FOR_STATE", false), t, static_cast<double>(one.active_at / 1000), nullptr});
  }
  return samples;
}

void GroupState::advance(const Rule& rule, RuleState& state, const std::map<Labels, Alert>& now, std::int64_t t) {
  using State = Alert::State;
  for (const auto& [labels, fresh] : now) {
    const auto [at, is_new] = state.active.try_emplace(labels, fresh);
    Alert& alert = at->second;
    if (is_new || alert.state == State::inactive) {
      alert = fresh;
      ++version_;
      continue;
    }
    alert.value = fresh.value;
    alert.annotations = fresh.annotations;
  }
  for (auto at = state.active.begin(); at != state.active.end();) {
    Alert& alert = at->second;
    const bool is_true = now.contains(at->first);
    bool keeps = false;
    if (is_true) {
      alert.keep_firing_since = 0;
    } else if (alert.state == State::firing && rule.keep_firing_for_ms > 0) {
      if (alert.keep_firing_since == 0) {
        alert.keep_firing_since = t;
        ++version_;
      }
      keeps = t - alert.keep_firing_since < rule.keep_firing_for_ms;
    }
    if (!is_true && !keeps) {
      if (alert.state == State::pending || (alert.resolved_at != 0 && t - alert.resolved_at > kResolvedKeptMs)) {
        at = state.active.erase(at);
        ++version_;
        continue;
      }
      if (alert.state == State::firing) {
        alert.state = State::inactive;
        alert.resolved_at = t;
        ++version_;
      }
    } else if (alert.state == State::pending && t - alert.active_at >= rule.for_ms) {
      alert.state = State::firing;
      alert.fired_at = t;
      ++version_;
    }
    ++at;
  }
}

std::vector<Alert> GroupState::alerts(std::size_t rule) const {
  std::vector<Alert> all;
  for (const auto& [labels, alert] : rules_[rule].active) all.push_back(alert);
  return all;
}

void GroupState::restore(const std::string& alert, Alert state) {
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    if (group_.rules[i].alert != alert) continue;
    rules_[i].active.emplace(state.labels, std::move(state));
    return;
  }
}

std::vector<Alert> GroupState::take_to_send(std::int64_t t, std::int64_t resend_ms) {
  std::vector<Alert> out;
  for (RuleState& state : rules_)
    for (auto& [labels, alert] : state.active) {
      if (alert.state == Alert::State::pending) continue;
      const bool just_resolved = alert.state == Alert::State::inactive && alert.resolved_at > alert.last_sent;
      const bool again = alert.last_sent + resend_ms <= t;
      if (!just_resolved && !again) continue;
      alert.last_sent = t;
      out.push_back(alert);
    }
  return out;
}

}  // namespace caisson::metrics
