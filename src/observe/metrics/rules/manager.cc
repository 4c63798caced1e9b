// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/rules/manager.h"

#include <condition_variable>
#include <thread>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/document/json.h"

namespace caisson::metrics {
namespace {

std::int64_t to_ms(Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

Value value_of(const Labels& labels) {
  Value out = Value::map();
  for (const LabelView label : labels.items()) out.set(label.name, label.value);
  return out;
}

Labels labels_of(const Value& map) {
  std::vector<Label> list;
  for (const auto& entry : map.entries()) list.push_back({std::string(entry.key), entry.value.str()});
  return Labels::from(std::move(list));
}

Value kept(const Alert& alert) {
  Value annotations = Value::map();
  for (const auto& [name, text] : alert.annotations) annotations.set(name, text);
  return Value{{"labels", value_of(alert.labels)},
               {"annotations", annotations},
               {"state", state_name(alert.state)},
               {"activeAt", alert.active_at},
               {"firedAt", alert.fired_at},
               {"resolvedAt", alert.resolved_at},
               {"keepFiringSince", alert.keep_firing_since}};
}

Alert alert_of(const Value& from) {
  Alert alert;
  alert.labels = labels_of(from["labels"]);
  for (const auto& entry : from["annotations"].entries()) alert.annotations.emplace_back(entry.key, entry.value.str());
  const std::string_view state = from["state"].as_string();
  alert.state = state == "firing"    ? Alert::State::firing
                : state == "pending" ? Alert::State::pending
                                     : Alert::State::inactive;
  alert.active_at = from["activeAt"].as_int();
  alert.fired_at = from["firedAt"].as_int();
  alert.resolved_at = from["resolvedAt"].as_int();
  alert.keep_firing_since = from["keepFiringSince"].as_int();
  // Told again at once: who is told may have lost it, and leaves out what it has told itself.
  return alert;
}

}  // namespace

struct RuleManager::Impl {
  struct Slot {
    GroupState state;
    std::int64_t due = 0, evaluated_at = 0;
    double took_s = 0;
  };

  Tsdb& storage;
  Clock& clock;
  Options options;
  AlertSink sink;
  RuleContext context;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::map<std::pair<std::string, std::string>, Slot> slots;  // by file and name; GUARDED_BY(mutex), as all below
  Value restored;                                             // of the file: what no group has claimed yet; kept in it
  std::int64_t saved_at = 0;
  std::uint64_t saved_version = 0;
  bool stopping = false;
  std::thread thread;

  void load() {
    if (options.state_file.empty() || !exists(options.state_file)) return;
    const auto text = read_file(options.state_file);
    const auto parsed = text.ok() ? json::parse(*text) : Result<Value>(text.error());
    if (!parsed.ok()) {
      log::warning("alert state not read; alerts begin anew",
                   {{"file", options.state_file}, {"error", parsed.error()}});
      return;
    }
    saved_at = (*parsed)["savedAt"].as_int();
    restored = (*parsed)["alerts"];
  }

  void claim(Slot& slot) {
    const std::int64_t outage = to_ms(clock.now()) - saved_at;
    std::vector<Value> left;
    for (const Value& entry : restored.items()) {
      if (entry["file"].as_string() != slot.state.group().file ||
          entry["group"].as_string() != slot.state.group().name) {
        left.push_back(entry);
        continue;
      }
      Alert alert = alert_of(entry["alert"]);
      if (alert.state == Alert::State::pending && outage > options.outage_max_ms) continue;
      slot.state.restore(entry["rule"].str(), std::move(alert));
    }
    restored = Value(std::move(left));
  }

  // REQUIRES: mutex.
  void save() {
    std::uint64_t version = slots.size();
    for (const auto& [key, slot] : slots) version += slot.state.version();
    if (options.state_file.empty() || version == saved_version) return;
    std::vector<Value> alerts(restored.items().begin(), restored.items().end());
    for (const auto& [key, slot] : slots)
      for (std::size_t i = 0; i < slot.state.group().rules.size(); ++i)
        for (const Alert& alert : slot.state.alerts(i))
          alerts.push_back(Value{{"file", key.first},
                                 {"group", key.second},
                                 {"rule", slot.state.group().rules[i].alert},
                                 {"alert", kept(alert)}});
    const Value document{{"savedAt", to_ms(clock.now())}, {"alerts", Value(std::move(alerts))}};
    const auto written = write_file(options.state_file, json::write(document), 0640);
    if (!written.ok()) {
      log::warning("alert state not written", {{"error", written.error()}});
      return;
    }
    saved_version = version;
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      const std::int64_t now = to_ms(clock.now());
      std::int64_t next = now + 60'000;
      std::vector<AlertNotice> notices;
      for (auto& [key, slot] : slots) {
        if (slot.due <= now) evaluate(slot, now, notices);
        next = std::min(next, slot.due);
      }
      save();
      if (!notices.empty()) {
        lock.unlock();
        sink(std::move(notices));
        lock.lock();
        continue;
      }
      const std::int64_t wait = next - to_ms(clock.now());
      if (wait > 0 && !stopping) changed.wait_for(lock, std::chrono::milliseconds(wait));
    }
  }

  void evaluate(Slot& slot, std::int64_t now, std::vector<AlertNotice>& notices) {
    const std::int64_t interval = slot.state.group().interval_ms;
    const std::int64_t t = slot.due > 0 && now - slot.due < interval ? slot.due : now;
    const auto began = std::chrono::steady_clock::now();
    slot.state.evaluate(context, t);
    slot.took_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    slot.evaluated_at = t;
    slot.due = (now / interval + 1) * interval;
    for (const Alert& alert : slot.state.take_to_send(t, options.resend_ms)) {
      // Ends by itself when this program is gone for so long that nobody says it again.
      const std::int64_t holds = 4 * std::max(interval, options.resend_ms);
      LabelsBuilder labels(alert.labels);
      for (const LabelView label : options.external_labels.items())
        if (labels.get(label.name).empty()) labels.set(label.name, label.value);
      const auto rule = std::find_if(slot.state.group().rules.begin(), slot.state.group().rules.end(),
                                     [&](const Rule& r) { return r.alert == alert.labels.get("alertname"); });
      const std::string expr = rule == slot.state.group().rules.end() ? "" : rule->expr;
      notices.push_back({labels.labels(), alert.annotations, alert.fired_at,
                         alert.state == Alert::State::inactive ? alert.resolved_at : t + holds,
                         options.external_url + "/graph?g0.expr=" + percent_encode(expr) + "&g0.tab=1"});
    }
  }
};

RuleManager::RuleManager(Tsdb& storage, Clock& clock, Options options, AlertSink sink)
    : impl_(new Impl{storage, clock, std::move(options), std::move(sink)}) {
  impl_->context.storage = &storage;
  impl_->context.engine = impl_->options.engine;
  impl_->context.languages = impl_->options.languages;
  impl_->context.external_labels = impl_->options.external_labels;
  impl_->context.external_url = impl_->options.external_url;
  impl_->context.append = [&storage](std::span<const NewSample> samples) -> Result<void> {
    TRY(storage.append(samples));
    return {};
  };
  impl_->load();
}

RuleManager::~RuleManager() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void RuleManager::start() {
  impl_->thread = std::thread([this] { impl_->run(); });
}

void RuleManager::set_groups(std::vector<RuleGroup> groups) {
  const std::lock_guard lock(impl_->mutex);
  std::map<std::pair<std::string, std::string>, RuleGroup> wanted;
  for (RuleGroup& group : groups) wanted.emplace(std::pair(group.file, group.name), std::move(group));
  for (auto at = impl_->slots.begin(); at != impl_->slots.end();) {
    if (wanted.contains(at->first)) {
      ++at;
      continue;
    }
    at->second.state.end(impl_->context, to_ms(impl_->clock.now()));
    at = impl_->slots.erase(at);
  }
  for (auto& [key, group] : wanted) {
    const auto there = impl_->slots.find(key);
    if (there == impl_->slots.end()) {
      auto& slot = impl_->slots.emplace(key, Impl::Slot{GroupState(std::move(group))}).first->second;
      impl_->claim(slot);
    } else if (there->second.state.group() != group) {
      there->second.state.replace(std::move(group));
      there->second.due = 0;
    }
  }
  impl_->changed.notify_all();
}

std::vector<GroupView> RuleManager::groups() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<GroupView> all;
  for (const auto& [key, slot] : impl_->slots) {
    GroupView view{slot.state.group(), slot.evaluated_at, slot.took_s, {}};
    for (std::size_t i = 0; i < view.group.rules.size(); ++i) {
      RuleView rule{view.group.rules[i], slot.state.health(i), {}};
      for (Alert& alert : slot.state.alerts(i))
        if (alert.state != Alert::State::inactive) rule.alerts.push_back(std::move(alert));
      view.rules.push_back(std::move(rule));
    }
    all.push_back(std::move(view));
  }
  return all;
}

}  // namespace caisson::metrics
