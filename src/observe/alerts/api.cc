// SPDX-License-Identifier: Apache-2.0
#include "observe/alerts/api.h"

#include <algorithm>

#include "core/base/encoding.h"
#include "core/document/json.h"

namespace caisson::alerts {
namespace {

http::Response answer(int status, const Value& body) {
  return {status, {{"Content-Type", "application/json"}}, json::write(body) + "\n"};
}

http::Response refusal(const Error& error) {
  const int status = error.code == ErrorCode::not_found ? 404 : error.code == ErrorCode::too_many_requests ? 429 : 400;
  return answer(status, Value(error.message));
}

// Absent and year 1 are 0. Errors: bad_request.
Result<std::int64_t> time_of(const Value& text) {
  if (text.is_null() || text.as_string().empty() || text.as_string().starts_with("0001-")) return std::int64_t{0};
  const auto time = parse_time(text.as_string());
  if (!time) return Error{ErrorCode::bad_request, "not a time: " + text.str()};
  return static_cast<std::int64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(time->time_since_epoch()).count());
}

Value matcher_value(const Matcher& m) {
  using metrics::MatchType;
  return Value{{"name", m.name},
               {"value", m.value},
               {"isRegex", m.type == MatchType::regex || m.type == MatchType::not_regex},
               {"isEqual", m.type == MatchType::equal || m.type == MatchType::regex}};
}

Value silence_value(const Silence& s, std::int64_t now) {
  std::vector<Value> matchers;
  for (const Matcher& m : s.matchers) matchers.push_back(matcher_value(m));
  return Value{{"id", s.id},
               {"status", Value{{"state", s.state(now)}}},
               {"updatedAt", time_text(s.updated_at)},
               {"comment", s.comment},
               {"createdBy", s.created_by},
               {"startsAt", time_text(s.starts_at)},
               {"endsAt", time_text(s.ends_at)},
               {"matchers", Value(std::move(matchers))}};
}

Value alert_value(const AlertView& view) {
  const Muting& m = view.muting;
  std::vector<Value> receivers;
  for (const std::string& name : view.receivers) receivers.push_back(Value{{"name", name}});
  const bool active = m.silenced_by.empty() && m.inhibited_by.empty();
  return Value{{"annotations", value_of(view.alert.annotations)},
               {"endsAt", time_text(view.alert.ends_at)},
               {"fingerprint", view.alert.fingerprint()},
               {"receivers", Value(std::move(receivers))},
               {"startsAt", time_text(view.alert.starts_at)},
               {"status", Value{{"inhibitedBy", Value::list_of(m.inhibited_by)},
                                {"mutedBy", Value::list()},
                                {"silencedBy", Value::list_of(m.silenced_by)},
                                {"state", active ? "active" : "suppressed"}}},
               {"updatedAt", time_text(view.alert.updated_at)},
               {"generatorURL", view.alert.generator_url},
               {"labels", value_of(view.alert.labels)}};
}

// filter=…, active, silenced, inhibited, receiver of the query.
class Filter {
 public:
  static Result<Filter> parse(const http::Query& query) {
    Filter out;
    for (const auto& [key, value] : query) {
      if (key == "filter") {
        const auto parsed = TRY(parse_matchers(value));
        out.matchers_.insert(out.matchers_.end(), parsed.begin(), parsed.end());
      }
      if (key == "active") out.active_ = value != "false";
      if (key == "silenced") out.silenced_ = value != "false";
      if (key == "inhibited") out.inhibited_ = value != "false";
      if (key == "receiver") out.receiver_ = TRY(metrics::Regex::compile(value));
    }
    return out;
  }
  bool takes(const AlertView& view) const {
    const bool silenced = !view.muting.silenced_by.empty(), inhibited = !view.muting.inhibited_by.empty();
    if (!matches(matchers_, view.alert.labels) || (silenced && !silenced_) || (inhibited && !inhibited_) ||
        (!silenced && !inhibited && !active_))
      return false;
    return !receiver_ || std::any_of(view.receivers.begin(), view.receivers.end(),
                                     [this](const std::string& r) { return receiver_->matches(r); });
  }
  bool takes(const Silence& silence) const {
    return std::all_of(matchers_.begin(), matchers_.end(), [&](const Matcher& wanted) {
      return std::any_of(silence.matchers.begin(), silence.matchers.end(),
                         [&](const Matcher& m) { return m.name == wanted.name && wanted.matches(m.value); });
    });
  }

 private:
  std::vector<Matcher> matchers_;
  bool active_ = true, silenced_ = true, inhibited_ = true;
  std::optional<metrics::Regex> receiver_;
};

Result<Labels> labels_of(const Value& map) {
  std::vector<metrics::Label> list;
  for (const auto& entry : map.entries()) {
    if (!entry.value.is_string())
      return Error{ErrorCode::bad_request, "label " + std::string(entry.key) + " is not a text"};
    list.push_back({std::string(entry.key), entry.value.str()});
  }
  const Labels labels = Labels::from(std::move(list));
  if (labels.empty()) return Error{ErrorCode::bad_request, "at least one label pair required"};
  return labels;
}

Result<Value> post_alerts(Manager& manager, const std::string& body, std::int64_t now) {
  const Value document = TRY(json::parse(body));
  if (!document.is_list()) return Error{ErrorCode::bad_request, "a list of alerts is wanted"};
  std::vector<Alert> alerts;
  for (const Value& from : document.items()) {
    Alert alert;
    alert.labels = TRY(labels_of(from["labels"]));
    for (const auto& entry : from["annotations"].entries())
      alert.annotations.emplace_back(entry.key, entry.value.str());
    std::sort(alert.annotations.begin(), alert.annotations.end());
    alert.starts_at = TRY(time_of(from["startsAt"]));
    alert.ends_at = TRY(time_of(from["endsAt"]));
    if (alert.ends_at != 0 && alert.starts_at > alert.ends_at)
      return Error{ErrorCode::bad_request, "start time must be before end time"};
    alert.generator_url = from["generatorURL"].str();
    alerts.push_back(std::move(alert));
  }
  manager.receive(alerts, now);
  return Value();
}

Result<Value> get_alerts(Manager& manager, const http::Query& query, std::int64_t now) {
  const Filter filter = TRY(Filter::parse(query));
  std::vector<Value> out;
  for (const AlertView& view : manager.alerts(now))
    if (filter.takes(view)) out.push_back(alert_value(view));
  return Value(std::move(out));
}

Result<Value> get_groups(Manager& manager, const http::Query& query, std::int64_t now) {
  const Filter filter = TRY(Filter::parse(query));
  std::vector<Value> out;
  for (const GroupView& group : manager.groups(now)) {
    std::vector<Value> alerts;
    for (const AlertView& view : group.alerts)
      if (filter.takes(view)) alerts.push_back(alert_value(view));
    if (!alerts.empty())
      out.push_back(Value{{"alerts", Value(std::move(alerts))},
                          {"labels", value_of(group.labels)},
                          {"receiver", Value{{"name", group.receiver}}}});
  }
  return Value(std::move(out));
}

Result<Value> post_silence(Manager& manager, const std::string& body, std::int64_t now) {
  const Value from = TRY(json::parse(body));
  Silence s;
  s.id = from["id"].str();
  s.created_by = from["createdBy"].str();
  s.comment = from["comment"].str();
  s.starts_at = TRY(time_of(from["startsAt"]));
  s.ends_at = TRY(time_of(from["endsAt"]));
  for (const Value& m : from["matchers"].items()) {
    const bool regex = m["isRegex"].as_bool(), equal = m["isEqual"].as_bool(true);
    const auto type = regex ? (equal ? metrics::MatchType::regex : metrics::MatchType::not_regex)
                            : (equal ? metrics::MatchType::equal : metrics::MatchType::not_equal);
    s.matchers.push_back(TRY(Matcher::make(type, m["name"].str(), m["value"].str())));
  }
  const auto id = TRY(manager.set_silence(std::move(s), now));
  return Value{{"silenceID", id}};
}

Result<Value> silences(Manager& manager, const http::Query& query, std::int64_t now) {
  const Filter filter = TRY(Filter::parse(query));
  std::vector<Value> out;
  for (const Silence& s : manager.silences())
    if (filter.takes(s)) out.push_back(silence_value(s, now));
  return Value(std::move(out));
}

Result<Value> one_silence(Manager& manager, std::string_view method, const std::string& id, std::int64_t now) {
  if (method == "DELETE") {
    TRY(manager.expire_silence(id, now));
    return Value();
  }
  for (const Silence& s : manager.silences())
    if (s.id == id) return silence_value(s, now);
  return Error{ErrorCode::not_found, "silence " + id + " not found"};
}

Value status(Manager& manager, std::int64_t started) {
  return Value{{"cluster", Value{{"name", ""}, {"peers", Value::list()}, {"status", "disabled"}}},
               {"config", Value{{"original", manager.config_text()}}},
               {"uptime", time_text(started)},
               {"versionInfo", Value{{"version", "0.29.0"},
                                     {"revision", ""},
                                     {"branch", ""},
                                     {"buildUser", "caisson"},
                                     {"buildDate", ""},
                                     {"goVersion", ""}}}};
}

Result<Value> route(Manager& manager, std::string_view method, std::string_view path, const http::Query& query,
                    const std::string& body, std::int64_t now, std::int64_t started) {
  const bool post = method == "POST";
  if (path == "alerts") return post ? post_alerts(manager, body, now) : get_alerts(manager, query, now);
  if (path == "alerts/groups") return get_groups(manager, query, now);
  if (path == "silences") return post ? post_silence(manager, body, now) : silences(manager, query, now);
  if (path.starts_with("silence/")) return one_silence(manager, method, std::string(path.substr(8)), now);
  if (path == "status") return status(manager, started);
  if (path == "receivers") {
    std::vector<Value> names;
    for (const std::string& name : manager.receivers()) names.push_back(Value{{"name", name}});
    return Value(std::move(names));
  }
  if (path == "why") {
    std::vector<metrics::Label> labels;
    for (const auto& [name, value] : query) labels.push_back({name, value});
    return manager.explain(Labels::from(std::move(labels)), now);
  }
  return Error{ErrorCode::not_found, "path /api/v2/" + std::string(path) + " was not found"};
}

}  // namespace

http::Response answer_api(Manager& manager, std::string_view method, std::string_view path, const http::Query& query,
                          const std::string& body, std::int64_t now, std::int64_t started) {
  constexpr std::string_view kPrefix = "/api/v2/";
  if (path == "/-/healthy" || path == "/-/ready") return {200, {{"Content-Type", "text/plain"}}, "OK"};
  if (!path.starts_with(kPrefix))
    return refusal({ErrorCode::not_found, "path " + std::string(path) + " was not found"});
  const auto result = route(manager, method, path.substr(kPrefix.size()), query, body, now, started);
  if (!result.ok()) return refusal(result.error());
  if (result->is_null()) return {200, {}, ""};
  return answer(200, *result);
}

}  // namespace caisson::alerts
