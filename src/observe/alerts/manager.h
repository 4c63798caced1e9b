// SPDX-License-Identifier: Apache-2.0
// Manager: which alerts are told to whom and when. Groups with their timers, silences, inhibition, muted times, and the
// log of what was sent, by which a notice is neither repeated nor lost across restarts. Decides only: notices due are
// taken by the caller, who sends them and says how it went. Follows Alertmanager 0.29 (dispatch, notify, silence,
// nflog). Times are milliseconds and come from outside. Any thread.
#pragma once
#include <mutex>
#include <set>

#include "observe/alerts/notify.h"

namespace caisson::alerts {

struct Silence {
  std::string id, created_by, comment;
  std::vector<Matcher> matchers;
  std::int64_t starts_at = 0, ends_at = 0, updated_at = 0;
  std::string_view state(std::int64_t now) const {
    return now < starts_at ? "pending" : now < ends_at ? "active" : "expired";
  }
};

// What keeps an alert from being told.
struct Muting {
  std::vector<std::string> silenced_by, inhibited_by;  // silence ids; fingerprints
};

struct AlertView {
  Alert alert;
  Muting muting;
  std::vector<std::string> receivers;
};

struct GroupView {
  Labels labels;
  std::string receiver, route;
  std::vector<AlertView> alerts;
};

// One notice that is due.
struct Due {
  std::string group;  // key, for done()
  Integration integration;
  Notification notification;
  std::vector<std::string> templates;
};

class Manager {
 public:
  static constexpr std::size_t kAlertsMax = 50'000, kSilencesMax = 10'000;

  explicit Manager(Config config);
  void set_config(Config config);
  const std::string config_text() const;

  void receive(const std::vector<Alert>& alerts, std::int64_t now);
  // Notices of groups whose time has come; those groups wait until done() was called for each.
  std::vector<Due> take_due(std::int64_t now);
  void done(const Due& due, bool sent, bool retry, std::int64_t now);
  std::int64_t next_due() const;  // INT64_MAX when nothing is

  // Gives the id. An active silence that is edited goes on under its id unless its matchers change. Errors:
  // bad_request, not_found.
  Result<std::string> set_silence(Silence silence, std::int64_t now);
  Result<void> expire_silence(const std::string& id, std::int64_t now);
  std::vector<Silence> silences() const;

  std::vector<AlertView> alerts(std::int64_t now) const;
  std::vector<GroupView> groups(std::int64_t now) const;
  std::vector<std::string> receivers() const;
  // Every route, timer, silence and inhibition that decides about an alert with these labels, in words.
  Value explain(const Labels& labels, std::int64_t now) const;

  // Silences and the log of notices, for the file that outlives the process.
  Value state() const;
  void restore(const Value& state, std::int64_t now);
  std::uint64_t version() const;

 private:
  struct Group {
    Route route;  // without its children
    Labels labels;
    std::set<std::string> alerts;  // fingerprints
    std::int64_t due = 0;
    bool flushed = false;
    int under_way = 0;
    bool failed = false;
    std::int64_t retry_ms = 0;
    std::map<std::string, std::int64_t> taken;  // fingerprint → updated_at when the notices under way were made
  };
  struct Sent {
    std::set<std::string> firing, resolved;
    std::int64_t at = 0;
  };
  Muting muting_of(const Alert& alert, std::int64_t now) const;
  bool is_inhibiting(const Alert& source, const Alert& target, const InhibitRule& rule, std::int64_t now) const;
  bool is_muted(const Route& route, std::int64_t now) const;
  void flush(const std::string& key, Group& group, std::int64_t now, std::vector<Due>& out);
  bool needs_notice(const Sent* last, const std::set<std::string>& firing, const std::set<std::string>& resolved,
                    const Integration& integration, const Route& route, std::int64_t now) const;
  static std::string key_of(const Route& route, const Labels& labels);
  static Labels group_labels(const Route& route, const Labels& labels);
  void collect_garbage(std::int64_t now);

  mutable std::mutex mutex_;
  Config config_;
  std::map<std::string, Alert> alerts_;      // by fingerprint
  std::map<std::string, Group> groups_;      // by key
  std::map<std::string, Silence> silences_;  // by id
  std::map<std::string, Sent> log_;          // by group key and integration
  std::uint64_t version_ = 0;
};

}  // namespace caisson::alerts
