// SPDX-License-Identifier: Apache-2.0
#include "observe/alerts/manager.h"

#include <algorithm>

#include "core/base/random.h"
#include "observe/metrics/model/format.h"

namespace caisson::alerts {
namespace {

constexpr std::int64_t kSilenceKeptMs = 120LL * 3'600'000;  // expired ones can still be looked at
constexpr std::int64_t kRetryFirstMs = 1'000, kRetryMostMs = 60'000;

std::string log_key(const std::string& group, const std::string& integration) {
  return group + " " + integration;
}

bool contains_all(const std::set<std::string>& all, const std::set<std::string>& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

std::set<std::string> texts(const Value& list) {
  std::set<std::string> out;
  for (const Value& item : list.items()) out.insert(item.str());
  return out;
}

Value list_of(const std::set<std::string>& items) {
  return Value::list_of({items.begin(), items.end()});
}

Route without_children(const Route& route) {
  Route copy = route;
  copy.routes.clear();
  return copy;
}

}  // namespace

Manager::Manager(Config config) : config_(std::move(config)) {}

// Groups are made anew from the alerts: routes may have changed. What was sent stays known by its group's key.
void Manager::set_config(Config config) {
  const std::lock_guard lock(mutex_);
  if (config.text == config_.text && config.templates == config_.templates) return;
  config_ = std::move(config);
  groups_.clear();
  for (const auto& [fingerprint, alert] : alerts_)
    for (const Route* route : matching_routes(config_.root, alert.labels)) {
      const Labels labels = group_labels(*route, alert.labels);
      Group& group = groups_[key_of(*route, labels)];
      group.route = without_children(*route);
      group.labels = labels;
      group.alerts.insert(fingerprint);
      group.due = std::max(group.due, alert.updated_at + route->group_wait_ms);
    }
}

const std::string Manager::config_text() const {
  const std::lock_guard lock(mutex_);
  return config_.text;
}

Labels Manager::group_labels(const Route& route, const Labels& labels) {
  return route.group_by_all ? labels : labels.keep(route.group_by);
}

std::string Manager::key_of(const Route& route, const Labels& labels) {
  return route.id + ":" + labels.str();
}

void Manager::receive(const std::vector<Alert>& alerts, std::int64_t now) {
  const std::lock_guard lock(mutex_);
  for (Alert alert : alerts) {
    const std::string fingerprint = alert.fingerprint();
    if (alert.starts_at == 0) alert.starts_at = alert.ends_at != 0 ? std::min(alert.ends_at, now) : now;
    if (alert.ends_at == 0) alert.ends_at = now + config_.resolve_timeout_ms;
    alert.updated_at = now;
    const auto there = alerts_.find(fingerprint);
    if (there == alerts_.end() && alerts_.size() >= kAlertsMax) continue;
    if (there != alerts_.end() && !there->second.resolved(now))
      alert.starts_at = std::min(alert.starts_at, there->second.starts_at);
    const auto routes = matching_routes(config_.root, alert.labels);
    for (const Route* route : routes) {
      const Labels labels = group_labels(*route, alert.labels);
      const auto [at, fresh] = groups_.try_emplace(key_of(*route, labels));
      Group& group = at->second;
      group.alerts.insert(fingerprint);
      if (!fresh) continue;
      group.route = without_children(*route);
      group.labels = labels;
      // An alert that began before the wait (this program was away meanwhile) has waited enough.
      group.due = alert.starts_at + route->group_wait_ms < now ? now : now + route->group_wait_ms;
    }
    alerts_[fingerprint] = std::move(alert);
  }
}

bool Manager::is_inhibiting(const Alert& source, const Alert& target, const InhibitRule& rule, std::int64_t now) const {
  if (source.resolved(now) || !matches(rule.source, source.labels) || !matches(rule.target, target.labels))
    return false;
  // An alert that is source and target of a rule does not mute itself or its like.
  if (matches(rule.target, source.labels) && matches(rule.source, target.labels)) return false;
  return std::all_of(rule.equal.begin(), rule.equal.end(),
                     [&](const std::string& name) { return source.labels.get(name) == target.labels.get(name); });
}

Muting Manager::muting_of(const Alert& alert, std::int64_t now) const {
  Muting out;
  for (const auto& [id, silence] : silences_)
    if (silence.state(now) == "active" && matches(silence.matchers, alert.labels)) out.silenced_by.push_back(id);
  for (const InhibitRule& rule : config_.inhibit_rules) {
    if (!matches(rule.target, alert.labels)) continue;
    for (const auto& [fingerprint, source] : alerts_)
      if (is_inhibiting(source, alert, rule, now)) out.inhibited_by.push_back(fingerprint);
  }
  return out;
}

bool Manager::is_muted(const Route& route, std::int64_t now) const {
  const Time time{std::chrono::milliseconds(now)};
  const auto any = [&](const std::vector<std::string>& names) {
    for (const std::string& name : names)
      if (const auto at = config_.time_intervals.find(name); at != config_.time_intervals.end())
        for (const TimeInterval& interval : at->second)
          if (contains(interval, time)) return true;
    return false;
  };
  return any(route.mute_time_intervals) || (!route.active_time_intervals.empty() && !any(route.active_time_intervals));
}

bool Manager::needs_notice(const Sent* last, const std::set<std::string>& firing, const std::set<std::string>& resolved,
                           const Integration& integration, const Route& route, std::int64_t now) const {
  if (!last) return !firing.empty();
  if (!contains_all(last->firing, firing)) return true;
  // Everything ended: told once, and only to who heard that it began.
  if (firing.empty()) return !last->firing.empty() && integration.send_resolved;
  if (integration.send_resolved && !contains_all(last->resolved, resolved)) return true;
  return now - last->at >= route.repeat_interval_ms;
}

void Manager::flush(const std::string& key, Group& group, std::int64_t now, std::vector<Due>& out) {
  Notification n;
  n.receiver = group.route.receiver;
  n.group_key = key;
  n.group_labels = group.labels;
  n.now = now;
  std::set<std::string> firing, resolved;
  group.taken.clear();
  for (const std::string& fingerprint : group.alerts) {
    const Alert& alert = alerts_.at(fingerprint);
    group.taken[fingerprint] = alert.updated_at;
    const Muting muting = muting_of(alert, now);
    if (!muting.silenced_by.empty() || !muting.inhibited_by.empty()) continue;
    (alert.resolved(now) ? resolved : firing).insert(fingerprint);
    n.alerts.push_back(alert);
  }
  std::sort(n.alerts.begin(), n.alerts.end(), [](const Alert& a, const Alert& b) { return a.labels < b.labels; });
  group.flushed = true;
  group.failed = false;
  group.due = now + group.route.group_interval_ms;
  const auto receiver = config_.receivers.find(group.route.receiver);
  if (receiver == config_.receivers.end() || n.alerts.empty() || is_muted(group.route, now)) return;
  for (const Integration& integration : receiver->second.integrations) {
    const auto last = log_.find(log_key(key, integration.id));
    if (!needs_notice(last == log_.end() ? nullptr : &last->second, firing, resolved, integration, group.route, now))
      continue;
    Notification own = n;
    if (!integration.send_resolved) std::erase_if(own.alerts, [now](const Alert& a) { return a.resolved(now); });
    if (own.alerts.empty()) continue;
    ++group.under_way;
    out.push_back({key, integration, std::move(own), config_.templates});
  }
}

std::vector<Due> Manager::take_due(std::int64_t now) {
  const std::lock_guard lock(mutex_);
  std::vector<Due> out;
  for (auto& [key, group] : groups_)
    if (group.under_way == 0 && group.due <= now) {
      flush(key, group, now, out);
      if (group.under_way == 0)
        std::erase_if(group.alerts, [&](const std::string& f) { return alerts_.at(f).resolved(now); });
    }
  collect_garbage(now);
  return out;
}

void Manager::done(const Due& due, bool sent, bool retry, std::int64_t now) {
  const std::lock_guard lock(mutex_);
  if (sent) {
    Sent& entry = log_[log_key(due.group, due.integration.id)];
    entry = {};
    entry.at = due.notification.now;
    for (const Alert& alert : due.notification.alerts)
      (alert.resolved(due.notification.now) ? entry.resolved : entry.firing).insert(alert.fingerprint());
    ++version_;
  }
  const auto at = groups_.find(due.group);
  if (at == groups_.end()) return;
  Group& group = at->second;
  group.failed |= !sent && retry;
  if (group.under_way == 0 || --group.under_way > 0) return;
  if (group.failed) {
    group.retry_ms = std::clamp(group.retry_ms * 2, kRetryFirstMs, kRetryMostMs);
    group.due = now + group.retry_ms;
    return;
  }
  group.retry_ms = 0;
  // What ended is told; it leaves the group, unless it came back meanwhile.
  std::erase_if(group.alerts, [&](const std::string& f) {
    const Alert& alert = alerts_.at(f);
    const auto taken = group.taken.find(f);
    return alert.resolved(due.notification.now) && taken != group.taken.end() && taken->second == alert.updated_at;
  });
}

std::int64_t Manager::next_due() const {
  const std::lock_guard lock(mutex_);
  std::int64_t next = INT64_MAX;
  for (const auto& [key, group] : groups_)
    if (group.under_way == 0) next = std::min(next, group.due);
  return next;
}

void Manager::collect_garbage(std::int64_t now) {
  std::erase_if(groups_, [](const auto& entry) { return entry.second.alerts.empty() && entry.second.under_way == 0; });
  std::set<std::string> held;
  for (const auto& [key, group] : groups_) held.insert(group.alerts.begin(), group.alerts.end());
  std::erase_if(alerts_, [&](const auto& entry) { return entry.second.resolved(now) && !held.contains(entry.first); });
  const auto before = silences_.size();
  std::erase_if(silences_, [now](const auto& entry) { return entry.second.ends_at + kSilenceKeptMs < now; });
  // A group that is gone and all of whose alerts were told as ended has nothing left to compare with; others stay twice
  // the repeat interval.
  const auto logs = log_.size();
  std::erase_if(log_, [&](const auto& entry) {
    const std::int64_t kept = entry.second.firing.empty() ? 3'600'000 : 10LL * 24 * 3'600'000;
    return entry.second.at + kept < now && !groups_.contains(entry.first.substr(0, entry.first.rfind(' ')));
  });
  if (before != silences_.size() || logs != log_.size()) ++version_;
}

Result<std::string> Manager::set_silence(Silence silence, std::int64_t now) {
  if (silence.matchers.empty()) return Error{ErrorCode::bad_request, "silence invalid: at least one matcher required"};
  if (std::all_of(silence.matchers.begin(), silence.matchers.end(), [](const Matcher& m) { return m.matches(""); }))
    return Error{ErrorCode::bad_request, "silence invalid: at least one matcher must not match the empty string"};
  if (silence.ends_at <= silence.starts_at || silence.ends_at <= now)
    return Error{ErrorCode::bad_request, silence.ends_at <= now
                                             ? "silence invalid: end time can't be in the past"
                                             : "silence invalid: start time must be before end time"};
  const std::lock_guard lock(mutex_);
  const auto same_matchers = [&](const Silence& other) {
    return std::equal(silence.matchers.begin(), silence.matchers.end(), other.matchers.begin(), other.matchers.end(),
                      [](const Matcher& a, const Matcher& b) { return a.str() == b.str(); });
  };
  if (!silence.id.empty()) {
    const auto there = silences_.find(silence.id);
    if (there == silences_.end()) return Error{ErrorCode::not_found, "silence " + silence.id + " not found"};
    if (there->second.state(now) != "expired" && same_matchers(there->second)) {
      silence.starts_at = std::min(silence.starts_at, there->second.starts_at);
    } else {
      there->second.ends_at = std::min(there->second.ends_at, now);
      silence.id.clear();
    }
  }
  if (silence.id.empty()) {
    if (silences_.size() >= kSilencesMax)
      return Error{ErrorCode::too_many_requests, "more than " + std::to_string(kSilencesMax) + " silences"};
    silence.id = random_uuid();
    silence.starts_at = std::max(silence.starts_at, now);
  }
  silence.updated_at = now;
  const std::string id = silence.id;
  silences_[id] = std::move(silence);
  ++version_;
  return id;
}

Result<void> Manager::expire_silence(const std::string& id, std::int64_t now) {
  const std::lock_guard lock(mutex_);
  const auto at = silences_.find(id);
  if (at == silences_.end()) return Error{ErrorCode::not_found, "silence " + id + " not found"};
  at->second.starts_at = std::min(at->second.starts_at, now);
  at->second.ends_at = std::min(at->second.ends_at, now);
  at->second.updated_at = now;
  ++version_;
  return {};
}

std::vector<Silence> Manager::silences() const {
  const std::lock_guard lock(mutex_);
  std::vector<Silence> all;
  for (const auto& [id, silence] : silences_) all.push_back(silence);
  return all;
}

std::vector<AlertView> Manager::alerts(std::int64_t now) const {
  const std::lock_guard lock(mutex_);
  std::vector<AlertView> all;
  for (const auto& [fingerprint, alert] : alerts_) {
    if (alert.resolved(now)) continue;
    AlertView view{alert, muting_of(alert, now), {}};
    for (const Route* route : matching_routes(config_.root, alert.labels)) view.receivers.push_back(route->receiver);
    all.push_back(std::move(view));
  }
  return all;
}

std::vector<GroupView> Manager::groups(std::int64_t now) const {
  const std::lock_guard lock(mutex_);
  std::vector<GroupView> all;
  for (const auto& [key, group] : groups_) {
    GroupView view{group.labels, group.route.receiver, group.route.id, {}};
    for (const std::string& fingerprint : group.alerts) {
      const Alert& alert = alerts_.at(fingerprint);
      if (!alert.resolved(now)) view.alerts.push_back({alert, muting_of(alert, now), {group.route.receiver}});
    }
    if (!view.alerts.empty()) all.push_back(std::move(view));
  }
  return all;
}

std::vector<std::string> Manager::receivers() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, receiver] : config_.receivers) names.push_back(name);
  return names;
}

Value Manager::explain(const Labels& labels, std::int64_t now) const {
  const std::lock_guard lock(mutex_);
  Alert alert;
  alert.labels = labels;
  const auto there = alerts_.find(alert.fingerprint());
  if (there != alerts_.end()) alert = there->second;
  std::vector<Value> routes;
  for (const Route* route : matching_routes(config_.root, labels)) {
    const Labels grouped = group_labels(*route, labels);
    const std::string key = key_of(*route, grouped);
    Value one{{"route", route->id},
              {"receiver", route->receiver},
              {"groupLabels", value_of(grouped)},
              {"mutedByTime", is_muted(*route, now)},
              {"groupWait", metrics::format_duration(route->group_wait_ms)},
              {"groupInterval", metrics::format_duration(route->group_interval_ms)},
              {"repeatInterval", metrics::format_duration(route->repeat_interval_ms)}};
    if (const auto group = groups_.find(key); group != groups_.end()) one.set("nextLook", time_text(group->second.due));
    std::vector<Value> channels;
    for (const Integration& integration : config_.receivers.at(route->receiver).integrations) {
      Value channel{{"channel", integration.id}, {"sendResolved", integration.send_resolved}};
      if (const auto sent = log_.find(log_key(key, integration.id)); sent != log_.end()) {
        channel.set("lastSent", time_text(sent->second.at));
        channel.set("toldAsFiring", sent->second.firing.contains(alert.fingerprint()));
      }
      channels.push_back(std::move(channel));
    }
    one.set("channels", Value(std::move(channels)));
    routes.push_back(std::move(one));
  }
  const Muting muting = muting_of(alert, now);
  std::vector<Value> silenced, inhibited;
  for (const std::string& id : muting.silenced_by)
    silenced.push_back(
        Value{{"id", id}, {"comment", silences_.at(id).comment}, {"until", time_text(silences_.at(id).ends_at)}});
  for (const std::string& f : muting.inhibited_by) inhibited.push_back(value_of(alerts_.at(f).labels));
  return Value{{"labels", value_of(labels)},
               {"known", there != alerts_.end()},
               {"firing", there != alerts_.end() && !alert.resolved(now)},
               {"routes", Value(std::move(routes))},
               {"silences", Value(std::move(silenced))},
               {"inhibitedBy", Value(std::move(inhibited))}};
}

Value Manager::state() const {
  const std::lock_guard lock(mutex_);
  std::vector<Value> silences, log;
  for (const auto& [id, s] : silences_) {
    std::vector<std::string> matchers;
    for (const Matcher& m : s.matchers) matchers.push_back(m.str());
    silences.push_back(Value{{"id", id},
                             {"createdBy", s.created_by},
                             {"comment", s.comment},
                             {"matchers", Value::list_of(matchers)},
                             {"startsAt", s.starts_at},
                             {"endsAt", s.ends_at},
                             {"updatedAt", s.updated_at}});
  }
  for (const auto& [key, sent] : log_)
    log.push_back(
        Value{{"key", key}, {"firing", list_of(sent.firing)}, {"resolved", list_of(sent.resolved)}, {"at", sent.at}});
  return Value{{"silences", Value(std::move(silences))}, {"sent", Value(std::move(log))}};
}

void Manager::restore(const Value& state, std::int64_t) {
  const std::lock_guard lock(mutex_);
  for (const Value& from : state["silences"].items()) {
    Silence s{from["id"].str(),          from["createdBy"].str(), from["comment"].str(),     {},
              from["startsAt"].as_int(), from["endsAt"].as_int(), from["updatedAt"].as_int()};
    for (const Value& text : from["matchers"].items())
      if (const auto parsed = parse_matchers(text.as_string()); parsed.ok())
        s.matchers.insert(s.matchers.end(), parsed->begin(), parsed->end());
    if (!s.matchers.empty()) silences_[s.id] = std::move(s);
  }
  for (const Value& from : state["sent"].items())
    log_[from["key"].str()] = {texts(from["firing"]), texts(from["resolved"]), from["at"].as_int()};
}

std::uint64_t Manager::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

}  // namespace caisson::alerts
