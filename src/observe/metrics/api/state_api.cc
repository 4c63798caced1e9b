// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/api/state_api.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <thread>

#include "core/base/hash.h"
#include "core/base/text.h"
#include "observe/metrics/api/parameters.h"
#include "observe/metrics/api/response.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/parser.h"

namespace caisson::metrics {
namespace {

std::string time_text(std::int64_t ms) {
  return format_time_nanos(Time(std::chrono::milliseconds(ms)));
}

Value map_of(const Labels& labels) {
  Value out = Value::map();
  for (const LabelView label : labels.items()) out.set(label.name, label.value);
  return out;
}

Value map_of(const Pairs& pairs) {
  Value out = Value::map();
  for (const auto& [name, value] : pairs) out.set(name, value);
  return out;
}

Value targets(const ServerState& state, const Parameters& parameters) {
  std::vector<Value> active;
  const std::string which = to_lower(parameters.get("state"));
  const bool show_any = which.empty() || which == "any";
  const bool show_active = show_any || which == "active", show_dropped = show_any || which == "dropped";
  for (const TargetStatus& t : state.targets) {
    if (!show_active || !parameters.allows("scrapePool", t.pool)) continue;
    active.push_back(Value{{"discoveredLabels", map_of(t.discovered)},
                           {"labels", map_of(t.labels)},
                           {"scrapePool", t.pool},
                           {"scrapeUrl", t.url},
                           {"globalUrl", t.url},
                           {"lastError", t.error},
                           {"lastScrape", time_text(t.last_scrape_ms)},
                           {"lastScrapeDuration", t.last_duration_s},
                           {"health", t.health},
                           {"scrapeInterval", format_duration(t.interval_ms)},
                           {"scrapeTimeout", format_duration(t.timeout_ms)}});
  }
  return Value{{"activeTargets", Value(std::move(active))},
               {"droppedTargets", Value::list()},
               {"droppedTargetCounts", show_dropped ? Value::map() : Value()}};
}

Value alert_value(const Alert& alert) {
  Value out{{"labels", map_of(alert.labels)},
            {"annotations", map_of(alert.annotations)},
            {"state", state_name(alert.state)},
            {"activeAt", time_text(alert.active_at)},
            {"value", format_scientific(alert.value)}};
  if (alert.keep_firing_since > 0) out.set("keepFiringSince", time_text(alert.keep_firing_since));
  return out;
}

Value rule_value(const RuleView& view, bool without_alerts) {
  const Rule& rule = view.rule;
  Value out = Value::map();
  if (!rule.alert.empty()) {
    bool firing = false;
    for (const Alert& alert : view.alerts) firing |= alert.state == Alert::State::firing;
    out.set("state", firing ? "firing" : view.alerts.empty() ? "inactive" : "pending");
  }
  out.set("name", rule.alert.empty() ? rule.record : rule.alert);
  out.set("query", rule.expr);
  if (!rule.alert.empty()) {
    out.set("duration", static_cast<double>(rule.for_ms) / 1000);
    out.set("keepFiringFor", static_cast<double>(rule.keep_firing_for_ms) / 1000);
  }
  out.set("labels", map_of(rule.labels));
  if (!rule.alert.empty()) {
    out.set("annotations", map_of(rule.annotations));
    std::vector<Value> alerts;
    for (const Alert& alert : view.alerts) alerts.push_back(alert_value(alert));
    out.set("alerts", without_alerts ? Value() : Value(std::move(alerts)));
  }
  out.set("health", view.health.health);
  if (!view.health.error.empty()) out.set("lastError", view.health.error);
  out.set("evaluationTime", view.health.took_s);
  out.set("lastEvaluation", time_text(view.health.evaluated_at));
  out.set("type", rule.alert.empty() ? "recording" : "alerting");
  return out;
}

// Which rules are asked for, and how many groups at once.
struct RuleSelection {
  bool alerting = true, recording = true, without_alerts = false;
  std::vector<std::vector<Matcher>> matchers;  // of their labels; one of these
  std::size_t groups_max = SIZE_MAX;
  std::string_view next;  // the group to begin with; "": the first

  bool takes(const Rule& rule, const Parameters& parameters) const {
    const bool is_alert = !rule.alert.empty();
    if (!(is_alert ? alerting : recording)) return false;
    if (!parameters.allows("rule_name[]", is_alert ? rule.alert : rule.record)) return false;
    std::vector<Label> list;
    for (const auto& [name, value] : rule.labels) list.push_back({name, value});
    const Labels labels = Labels::from(std::move(list));
    return matchers.empty() ||
           std::any_of(matchers.begin(), matchers.end(), [&](const auto& all) { return matches_all(all, labels); });
  }
};

// strconv.ParseBool
std::optional<bool> parse_bool(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "true"})
    if (text == yes) return true;
  for (const std::string_view no : {"0", "f", "false"})
    if (text == no) return false;
  return {};
}

Result<RuleSelection> rule_selection(const Parameters& parameters) {
  RuleSelection selection;
  selection.matchers = TRY(parameters.selectors());
  const std::string type = to_lower(parameters.get("type"));
  if (!type.empty() && type != "alert" && type != "record")
    return bad_parameter("type", "not supported value " + quote(type));
  selection.alerting = type != "record";
  selection.recording = type != "alert";
  if (const std::string text = to_lower(parameters.get("exclude_alerts")); !text.empty()) {
    const auto exclude = parse_bool(text);
    if (!exclude)
      return bad_parameter("exclude_alerts", "error converting exclude_alerts: strconv.ParseBool: parsing " +
                                                 quote(text) + ": invalid syntax");
    selection.without_alerts = *exclude;
  }
  const std::string_view limit = parameters.get("group_limit");
  selection.next = parameters.get("group_next_token");
  if (limit.empty()) {
    if (selection.next.empty()) return selection;
    return bad_parameter("group_next_token", "group_limit needs to be present in order to paginate over the groups");
  }
  const auto groups = parse_api_number(limit, "ParseInt");
  if (!groups.ok())
    return bad_parameter("group_limit", "group_limit needs to be a valid number: " + groups.error().message);
  if (*groups <= 0) return bad_parameter("group_limit", "group_limit needs to be greater than 0");
  selection.groups_max = static_cast<std::size_t>(*groups);
  return selection;
}

std::string group_token(const RuleGroup& group) {
  return sha256_hex(group.file + ";" + group.name);
}

Result<Value> rules(const ServerState& state, const Parameters& parameters) {
  const RuleSelection selection = TRY(rule_selection(parameters));
  std::vector<Value> groups;
  std::string next;
  bool begun = selection.next.empty();
  for (const GroupView& view : state.groups) {
    if (!begun && group_token(view.group) != selection.next) continue;
    begun = true;
    if (!parameters.allows("rule_group[]", view.group.name) || !parameters.allows("file[]", view.group.file)) continue;
    std::vector<Value> list;
    for (const RuleView& rule : view.rules)
      if (selection.takes(rule.rule, parameters)) list.push_back(rule_value(rule, selection.without_alerts));
    if (list.empty()) continue;
    if (groups.size() == selection.groups_max) {
      next = group_token(view.group);
      break;
    }
    groups.push_back(Value{{"name", view.group.name},
                           {"file", view.group.file},
                           {"rules", Value(std::move(list))},
                           {"interval", static_cast<double>(view.group.interval_ms) / 1000},
                           {"limit", static_cast<std::int64_t>(view.group.limit)},
                           {"evaluationTime", view.took_s},
                           {"lastEvaluation", time_text(view.evaluated_at)}});
  }
  if (!begun)
    return bad_parameter("group_next_token",
                         "invalid group_next_token '" + std::string(selection.next) + "'. were rule groups changed?");
  Value out{{"groups", Value(std::move(groups))}};
  if (!next.empty()) out.set("groupNextToken", next);
  return out;
}

Value alerts(const ServerState& state) {
  std::vector<Value> list;
  for (const GroupView& group : state.groups)
    for (const RuleView& rule : group.rules)
      for (const Alert& alert : rule.alerts) list.push_back(alert_value(alert));
  return Value{{"alerts", Value(std::move(list))}};
}

// -1: no limit.
Result<std::int64_t> number_of(const Parameters& parameters, std::string_view name) {
  if (parameters.get(name).empty()) return -1;
  const auto number = parse_int(parameters.get(name));
  if (!number) return Error{ErrorCode::bad_request, std::string(name) + " must be a number"};
  return *number;
}

Result<Value> metadata(const ServerState& state, const Parameters& parameters) {
  const std::int64_t limit = TRY(number_of(parameters, "limit"));
  TRY(number_of(parameters, "limit_per_metric"));  // there is one of each
  Value out = Value::map();
  for (const MetricMetadata& m :
       state.side->metadata(parameters.get("metric"), limit >= 0 ? static_cast<std::size_t>(limit) : SIZE_MAX))
    out.set(m.name, Value(std::vector<Value>{
                        Value{{"type", m.type.empty() ? "unknown" : m.type}, {"unit", m.unit}, {"help", m.help}}}));
  return out;
}

Result<Value> target_metadata(const ServerState& state, const Parameters& parameters) {
  const std::int64_t limit = TRY(number_of(parameters, "limit"));
  if (const std::string_view match = parameters.get("match_target"); !match.empty()) {
    const auto matchers = promql::parse_selector(match);
    if (!matchers.ok()) return bad_parameter("match_target", matchers.error().message);
  }
  std::vector<Value> list;
  for (const MetricMetadata& m :
       state.side->metadata(parameters.get("metric"), limit >= 0 ? static_cast<std::size_t>(limit) : SIZE_MAX))
    list.push_back(
        Value{{"target", Value::map()}, {"metric", m.name}, {"type", m.type}, {"help", m.help}, {"unit", m.unit}});
  return Value(std::move(list));
}

// The selectors of a query, wherever they stand in it.
Result<void> collect_selectors(promql::Expr& expr, std::vector<std::vector<Matcher>>& out) {
  if (expr.kind == promql::ExprKind::selector) {
    const auto& selector = static_cast<const promql::VectorSelector&>(expr);
    std::vector<Matcher> matchers = selector.matchers;
    if (!selector.name.empty())
      matchers.push_back(TRY(Matcher::make(MatchType::equal, std::string(kMetricName), selector.name)));
    out.push_back(std::move(matchers));
    return {};
  }
  Result<void> below;
  promql::for_each_child(expr, [&](promql::ExprPtr& child) {
    if (below.ok()) below = collect_selectors(*child, out);
  });
  return below;
}

// A query without a selector, and nothing wrong with it.
bool asks_for_nothing(const http::Query& parameters) {
  const auto expr = promql::parse(http::query_get(parameters, "query"));
  std::vector<std::vector<Matcher>> selectors;
  return expr.ok() && collect_selectors(**expr, selectors).ok() && selectors.empty();
}

Result<Value> exemplars(const ServerState& state, const Parameters& parameters) {
  const std::int64_t start = TRY(parameters.time("start", INT64_MIN)), end = TRY(parameters.time("end", INT64_MAX));
  if (end < start) return Error{ErrorCode::bad_request, "end timestamp must not be before start timestamp"};
  const auto expr = TRY(promql::parse(parameters.get("query")));
  std::vector<std::vector<Matcher>> selectors;
  TRY(collect_selectors(*expr, selectors));
  std::vector<Value> out;
  std::vector<Value> current;
  Labels series;
  const auto finish = [&] {
    if (!current.empty())
      out.push_back(Value{{"seriesLabels", map_of(series)}, {"exemplars", Value(std::move(current))}});
    current.clear();
  };
  for (const StoredExemplar& e : state.side->exemplars(selectors, start, end)) {
    if (!(e.series == series)) finish();
    series = e.series;
    current.push_back(Value{
        {"labels", map_of(e.labels)}, {"value", format_sample(e.v)}, {"timestamp", static_cast<double>(e.t) / 1000}});
  }
  finish();
  return Value(std::move(out));
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

Result<Value> answer(const ServerState& state, std::string_view path, const Parameters& parameters, bool& known) {
  if (path == "targets") return targets(state, parameters);
  if (path == "targets/metadata") return target_metadata(state, parameters);
  if (path == "scrape_pools") {
    std::vector<std::string> pools;
    for (const TargetStatus& t : state.targets) pools.push_back(t.pool);
    std::sort(pools.begin(), pools.end());
    pools.erase(std::unique(pools.begin(), pools.end()), pools.end());
    return Value{{"scrapePools", Value::list_of(pools)}};
  }
  if (path == "rules") return rules(state, parameters);
  if (path == "alerts") return alerts(state);
  if (path == "metadata") return metadata(state, parameters);
  if (path == "query_exemplars") return exemplars(state, parameters);
  if (path == "alertmanagers")
    return Value{{"activeAlertmanagers", Value::list()}, {"droppedAlertmanagers", Value::list()}};
  if (path == "status/config") return Value{{"yaml", state.config}};
  if (path == "status/flags") return Value{{"storage.tsdb.retention.time", format_duration(state.retention_ms)}};
  if (path == "status/runtimeinfo")
    return Value{{"startTime", time_text(state.started_ms)},
                 {"CWD", ""},
                 {"hostname", host_name()},
                 {"serverTime", time_text(state.now_ms)},
                 {"lastConfigTime", time_text(state.started_ms)},
                 {"goroutineCount", 0},  // this and what is Go's below: there are none
                 {"GOMAXPROCS", static_cast<std::int64_t>(std::thread::hardware_concurrency())},
                 {"GOMEMLIMIT", INT64_MAX},
                 {"GOGC", ""},
                 {"GODEBUG", ""},
                 {"reloadConfigSuccess", true},
                 {"storageRetention", format_duration(state.retention_ms)},
                 {"corruptionCount", 0}};
  known = false;
  return Value();
}

}  // namespace

std::optional<http::Response> answer_state_api(const ServerState& state, std::string_view path,
                                               const http::Query& parameters) {
  constexpr std::string_view kPrefix = "/api/v1/";
  if (!path.starts_with(kPrefix)) return {};
  bool known = true;
  if (path.substr(kPrefix.size()) == "query_exemplars" && asks_for_nothing(parameters))
    return http::Response{204, {}, ""};
  const auto data = answer(state, path.substr(kPrefix.size()), Parameters(parameters), known);
  if (!known) return {};
  return data.ok() ? data_response(*data) : error_response(data.error());
}

}  // namespace caisson::metrics
