// SPDX-License-Identifier: Apache-2.0
#include "observe/alerts/config.h"

#include <algorithm>
#include <set>

#include "core/base/text.h"
#include "core/document/yaml.h"
#include "observe/metrics/model/format.h"

namespace caisson::alerts {
namespace {

constexpr int kRouteDepthMax = 30;

struct Kind {
  const char *name, *field;  // "slack", "slack_configs"
  bool send_resolved;        // the default
};
constexpr Kind kKinds[] = {{"slack", "slack_configs", false},        {"discord", "discord_configs", true},
                           {"webhook", "webhook_configs", true},     {"msteams", "msteams_configs", true},
                           {"msteamsv2", "msteamsv2_configs", true}, {"pagerduty", "pagerduty_configs", true},
                           {"telegram", "telegram_configs", true},   {"email", "email_configs", false}};

// Settings of the global section that a channel takes when it has none of its own.
struct Inherited {
  const char *kind, *global, *own;
};
constexpr Inherited kInherited[] = {{"slack", "slack_api_url", "api_url"},
                                    {"pagerduty", "pagerduty_url", "url"},
                                    {"telegram", "telegram_api_url", "api_url"},
                                    {"email", "smtp_from", "from"},
                                    {"email", "smtp_smarthost", "smarthost"},
                                    {"email", "smtp_hello", "hello"},
                                    {"email", "smtp_auth_username", "auth_username"},
                                    {"email", "smtp_auth_password", "auth_password"},
                                    {"email", "smtp_auth_password_file", "auth_password_file"},
                                    {"email", "smtp_require_tls", "require_tls"},
                                    {"email", "smtp_tls_config", "tls_config"}};

Result<std::int64_t> duration_of(const Value& from, const char* key, std::int64_t otherwise) {
  if (from[key].as_string().empty()) return otherwise;
  const auto ms = metrics::parse_duration(from[key].as_string());
  if (!ms.ok()) return Error{ErrorCode::bad_request, std::string(key) + ": " + ms.error().message};
  return *ms;
}

std::vector<std::string> texts(const Value& list) {
  std::vector<std::string> out;
  for (const Value& item : list.items()) out.push_back(item.str());
  return out;
}

Result<std::vector<Matcher>> matchers_of(const Value& from, const char* list, const char* equal, const char* regex) {
  std::vector<Matcher> out;
  for (const Value& item : from[list].items()) {
    const auto parsed = TRY(parse_matchers(item.as_string()));
    out.insert(out.end(), parsed.begin(), parsed.end());
  }
  for (const auto& [key, type] :
       {std::pair(equal, metrics::MatchType::equal), std::pair(regex, metrics::MatchType::regex)})
    for (const auto& entry : from[key].entries())
      out.push_back(TRY(Matcher::make(type, std::string(entry.key), entry.value.scalar_text())));
  std::sort(out.begin(), out.end(), [](const Matcher& a, const Matcher& b) { return a.str() < b.str(); });
  return out;
}

std::string id_of(const std::vector<Matcher>& matchers) {
  std::string out = "{";
  for (const Matcher& m : matchers) out += (out.size() > 1 ? "," : "") + m.str();
  return out + "}";
}

Result<Route> parse_route(const Value& from, const Route* parent, int depth) {
  if (depth > kRouteDepthMax)
    return Error{ErrorCode::too_large, "routes within routes: more than " + std::to_string(kRouteDepthMax)};
  Route route;
  if (parent) {
    route = *parent;
    route.routes.clear();
    route.mute_time_intervals.clear();
    route.active_time_intervals.clear();
  }
  if (!from["receiver"].as_string().empty()) route.receiver = from["receiver"].str();
  if (route.receiver.empty()) return Error{ErrorCode::bad_request, "root route must specify a default receiver"};
  if (from.contains("group_by")) {
    route.group_by = texts(from["group_by"]);
    route.group_by_all = std::find(route.group_by.begin(), route.group_by.end(), "...") != route.group_by.end();
    std::sort(route.group_by.begin(), route.group_by.end());
  }
  route.group_wait_ms = TRY(duration_of(from, "group_wait", route.group_wait_ms));
  route.group_interval_ms = TRY(duration_of(from, "group_interval", route.group_interval_ms));
  route.repeat_interval_ms = TRY(duration_of(from, "repeat_interval", route.repeat_interval_ms));
  if (route.group_interval_ms == 0 || route.repeat_interval_ms == 0)
    return Error{ErrorCode::bad_request, "group_interval and repeat_interval cannot be zero"};
  route.matchers = TRY(matchers_of(from, "matchers", "match", "match_re"));
  if (!parent && !route.matchers.empty()) return Error{ErrorCode::bad_request, "root route must not have any matchers"};
  route.mute_time_intervals = texts(from["mute_time_intervals"]);
  route.active_time_intervals = texts(from["active_time_intervals"]);
  route.continues = from["continue"].as_bool();
  route.id = (parent ? parent->id + "/" : "") + id_of(route.matchers);
  for (const Value& child : from["routes"].items()) route.routes.push_back(TRY(parse_route(child, &route, depth + 1)));
  return route;
}

Result<Receiver> parse_receiver(const Value& from, const Value& global) {
  Receiver receiver{from["name"].str(), {}};
  for (const auto& entry : from.entries()) {
    const bool known =
        std::any_of(std::begin(kKinds), std::end(kKinds), [&](const Kind& kind) { return entry.key == kind.field; });
    if (!known && entry.key != "name")
      return Error{ErrorCode::bad_request, "receiver " + receiver.name + ": " + std::string(entry.key) +
                                               " is not a channel that is served here"};
  }
  for (const Kind& kind : kKinds) {
    int index = 0;
    for (const Value& item : from[kind.field].items()) {
      Value settings = item;
      for (const Inherited& i : kInherited)
        if (std::string_view(kind.name) == i.kind && !settings.contains(i.own) && global.contains(i.global))
          settings.set(i.own, global[i.global]);
      receiver.integrations.push_back({kind.name, settings, settings["send_resolved"].as_bool(kind.send_resolved),
                                       receiver.name + "/" + kind.name + "[" + std::to_string(index++) + "]"});
    }
  }
  return receiver;
}

Result<void> check_route(const Route& route, const Config& config) {
  if (!config.receivers.contains(route.receiver))
    return Error{ErrorCode::bad_request, "undefined receiver " + metrics::quote(route.receiver) + " used in route"};
  for (const auto* list : {&route.mute_time_intervals, &route.active_time_intervals})
    for (const std::string& name : *list)
      if (!config.time_intervals.contains(name))
        return Error{ErrorCode::bad_request, "undefined time interval " + metrics::quote(name) + " used in route"};
  for (const Route& child : route.routes) TRY(check_route(child, config));
  return {};
}

Result<void> read_intervals(const Value& list, const std::string& prefix, Config& config) {
  for (const Value& item : list.items()) {
    auto& intervals = config.time_intervals[prefix + item["name"].str()];
    const Value& parts = item.contains("time_intervals") ? item["time_intervals"] : item["timeIntervals"];
    for (const Value& part : parts.items())
      intervals.push_back(TRY(parse_time_interval(part).in("time interval " + item["name"].str())));
  }
  return {};
}

Result<Matcher> parse_matcher(std::string_view text) {
  using metrics::MatchType;
  text = trim(text);
  const std::size_t at = text.find_first_of("=!");
  if (at == std::string_view::npos || at == 0)
    return Error{ErrorCode::bad_request, "bad matcher format: " + std::string(text)};
  const std::string_view rest = text.substr(at);
  const MatchType type = rest.starts_with("=~")   ? MatchType::regex
                         : rest.starts_with("!~") ? MatchType::not_regex
                         : rest.starts_with("!=") ? MatchType::not_equal
                                                  : MatchType::equal;
  if (rest[0] == '!' && type == MatchType::equal)
    return Error{ErrorCode::bad_request, "bad matcher format: " + std::string(text)};
  std::string value(trim(rest.substr(type == MatchType::equal ? 1 : 2)));
  if (value.starts_with('"')) value = TRY(metrics::unquote(value));
  std::string name(trim(text.substr(0, at)));
  if (name.starts_with('"')) name = TRY(metrics::unquote(name));
  return Matcher::make(type, std::move(name), std::move(value));
}

}  // namespace

Result<std::vector<Matcher>> parse_matchers(std::string_view text) {
  text = trim(text);
  if (text.starts_with('{') && text.ends_with('}')) text = text.substr(1, text.size() - 2);
  std::vector<Matcher> out;
  std::size_t start = 0;
  bool quoted = false;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '\\' && quoted)
      ++i;
    else if (i < text.size() && text[i] == '"')
      quoted = !quoted;
    else if (i == text.size() || (text[i] == ',' && !quoted)) {
      const std::string_view part = trim(text.substr(start, i - start));
      start = i + 1;
      if (!part.empty()) out.push_back(TRY(parse_matcher(part)));
    }
  }
  if (quoted) return Error{ErrorCode::bad_request, "bad matcher format: a quote is not closed: " + std::string(text)};
  return out;
}

Config empty_config() {
  Config config;
  config.root.receiver = "null";
  config.root.id = "{}";
  config.root.group_by = {"alertname", "namespace"};
  config.receivers["null"] = {"null", {}};
  config.text = "route:\n  receiver: 'null'\n  group_by: [alertname, namespace]\nreceivers:\n- name: 'null'\n";
  return config;
}

Result<Config> parse_config(const std::string& text, std::vector<std::string> templates) {
  const Value document = TRY(yaml::read(text, {.name = "alertmanager.yaml"}));
  Config config;
  config.text = text;
  config.templates = std::move(templates);
  config.global = document["global"];
  const Value& global = config.global;
  config.resolve_timeout_ms = TRY(duration_of(global, "resolve_timeout", config.resolve_timeout_ms));
  if (!document["route"].is_map()) return Error{ErrorCode::bad_request, "no routes provided"};
  for (const Value& item : document["receivers"].items()) {
    Receiver receiver = TRY(parse_receiver(item, global));
    if (receiver.name.empty()) return Error{ErrorCode::bad_request, "missing name in receiver"};
    if (config.receivers.contains(receiver.name))
      return Error{ErrorCode::bad_request,
                   "notification config name " + metrics::quote(receiver.name) + " is not unique"};
    const std::string name = receiver.name;
    config.receivers[name] = std::move(receiver);
  }
  config.root = TRY(parse_route(document["route"], nullptr, 0).in("route"));
  TRY(read_intervals(document["time_intervals"], "", config));
  TRY(read_intervals(document["mute_time_intervals"], "", config));
  for (const Value& item : document["inhibit_rules"].items()) {
    InhibitRule rule;
    rule.source = TRY(matchers_of(item, "source_matchers", "source_match", "source_match_re").in("inhibit_rules"));
    rule.target = TRY(matchers_of(item, "target_matchers", "target_match", "target_match_re").in("inhibit_rules"));
    rule.equal = texts(item["equal"]);
    config.inhibit_rules.push_back(std::move(rule));
  }
  TRY(check_route(config.root, config));
  return config;
}

bool matches(const std::vector<Matcher>& matchers, const Labels& labels) {
  return metrics::matches_all(matchers, labels);
}

std::vector<const Route*> matching_routes(const Route& root, const Labels& labels) {
  if (!matches(root.matchers, labels)) return {};
  std::vector<const Route*> found;
  for (const Route& child : root.routes) {
    const auto below = matching_routes(child, labels);
    found.insert(found.end(), below.begin(), below.end());
    if (!below.empty() && !child.continues) break;
  }
  if (found.empty()) found.push_back(&root);
  return found;
}

}  // namespace caisson::alerts
