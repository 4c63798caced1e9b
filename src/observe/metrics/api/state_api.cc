// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/api/state_api.h"

#include <algorithm>
#include <map>

#include "core/base/text.h"
#include "core/document/json.h"
#include "observe/metrics/api/query_api.h"
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

bool any_selected(const http::Query& parameters, std::string_view name, std::string_view value) {
  bool asked = false;
  for (const auto& [key, wanted] : parameters) {
    if (key != name) continue;
    asked = true;
    if (wanted == value) return true;
  }
  return !asked;
}

Value targets(const ServerState& state, const http::Query& parameters) {
  std::vector<Value> active;
  const std::string_view which = http::query_get(parameters, "state");
  for (const TargetStatus& t : state.targets) {
    if (which == "dropped" || !any_selected(parameters, "scrapePool", t.pool)) continue;
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
               {"droppedTargetCounts", Value::map()}};
}

Value alert_value(const Alert& alert) {
  Value out{{"labels", map_of(alert.labels)},
            {"annotations", map_of(alert.annotations)},
            {"state", state_name(alert.state)},
            {"activeAt", time_text(alert.active_at)},
            {"value", format_general(alert.value)}};
  if (alert.keep_firing_since > 0) out.set("keepFiringSince", time_text(alert.keep_firing_since));
  return out;
}

Value rule_value(const RuleView& view, bool with_alerts) {
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
    if (with_alerts)
      for (const Alert& alert : view.alerts) alerts.push_back(alert_value(alert));
    out.set("alerts", Value(std::move(alerts)));
  }
  out.set("health", view.health.health);
  if (!view.health.error.empty()) out.set("lastError", view.health.error);
  out.set("evaluationTime", view.health.took_s);
  out.set("lastEvaluation", time_text(view.health.evaluated_at));
  out.set("type", rule.alert.empty() ? "recording" : "alerting");
  return out;
}

Result<Value> rules(const ServerState& state, const http::Query& parameters) {
  const std::string_view type = http::query_get(parameters, "type");
  if (!type.empty() && type != "alert" && type != "record")
    return Error{ErrorCode::bad_request, "invalid query parameter type='" + std::string(type) + "'"};
  const bool with_alerts = http::query_get(parameters, "exclude_alerts") != "true";
  std::vector<Value> groups;
  for (const GroupView& view : state.groups) {
    if (!any_selected(parameters, "rule_group[]", view.group.name) ||
        !any_selected(parameters, "file[]", view.group.file))
      continue;
    std::vector<Value> list;
    for (const RuleView& rule : view.rules) {
      const bool alerting = !rule.rule.alert.empty();
      if ((type == "alert" && !alerting) || (type == "record" && alerting)) continue;
      if (!any_selected(parameters, "rule_name[]", alerting ? rule.rule.alert : rule.rule.record)) continue;
      list.push_back(rule_value(rule, with_alerts));
    }
    groups.push_back(Value{{"name", view.group.name},
                           {"file", view.group.file},
                           {"rules", Value(std::move(list))},
                           {"interval", static_cast<double>(view.group.interval_ms) / 1000},
                           {"limit", static_cast<std::int64_t>(view.group.limit)},
                           {"evaluationTime", view.took_s},
                           {"lastEvaluation", time_text(view.evaluated_at)}});
  }
  return Value{{"groups", Value(std::move(groups))}};
}

Value alerts(const ServerState& state) {
  std::vector<Value> list;
  for (const GroupView& group : state.groups)
    for (const RuleView& rule : group.rules)
      for (const Alert& alert : rule.alerts) list.push_back(alert_value(alert));
  return Value{{"alerts", Value(std::move(list))}};
}

Value metadata(const ServerState& state, const http::Query& parameters) {
  const auto limit = parse_int(http::query_get(parameters, "limit"));
  Value out = Value::map();
  for (const MetricMetadata& m : state.side->metadata(
           http::query_get(parameters, "metric"), limit && *limit >= 0 ? static_cast<std::size_t>(*limit) : SIZE_MAX))
    out.set(m.name, Value(std::vector<Value>{
                        Value{{"type", m.type.empty() ? "unknown" : m.type}, {"help", m.help}, {"unit", m.unit}}}));
  return out;
}

Value target_metadata(const ServerState& state, const http::Query& parameters) {
  std::vector<Value> list;
  for (const MetricMetadata& m : state.side->metadata(http::query_get(parameters, "metric"), SIZE_MAX))
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

Result<Value> exemplars(const ServerState& state, const http::Query& parameters) {
  const std::int64_t start = TRY(parse_api_time(http::query_get(parameters, "start"))),
                     end = TRY(parse_api_time(http::query_get(parameters, "end")));
  const auto expr = TRY(promql::parse(http::query_get(parameters, "query")));
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

Result<Value> answer(const ServerState& state, std::string_view path, const http::Query& parameters, bool& known) {
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
                 {"serverTime", time_text(state.now_ms)},
                 {"reloadConfigSuccess", true},
                 {"storageRetention", format_duration(state.retention_ms)},
                 {"corruptionCount", 0}};
  known = false;
  return Value();
}

}  // namespace

http::Response data_response(const Value& data) {
  http::Response response;
  response.headers.set("Content-Type", "application/json");
  response.body = "{\"status\":\"success\",\"data\":" + json::write(data) + "}";
  return response;
}

http::Response error_response(const Error& error) {
  struct Kind {
    int status;
    std::string_view type;
  };
  const Kind kind = error.code == ErrorCode::not_found     ? Kind{404, "not_found"}
                    : error.code == ErrorCode::timeout     ? Kind{503, "timeout"}
                    : error.code == ErrorCode::unavailable ? Kind{503, "unavailable"}
                    : error.code == ErrorCode::too_large   ? Kind{422, "execution"}
                    : error.code == ErrorCode::internal    ? Kind{500, "internal"}
                                                           : Kind{400, "bad_data"};
  http::Response response;
  response.status = kind.status;
  response.headers.set("Content-Type", "application/json");
  response.body = json::write(Value{{"status", "error"}, {"errorType", kind.type}, {"error", error.message}});
  return response;
}

std::optional<http::Response> answer_state_api(const ServerState& state, std::string_view path,
                                               const http::Query& parameters) {
  constexpr std::string_view kPrefix = "/api/v1/";
  if (!path.starts_with(kPrefix)) return {};
  bool known = true;
  const auto data = answer(state, path.substr(kPrefix.size()), parameters, known);
  if (!known) return {};
  return data.ok() ? data_response(*data) : error_response(data.error());
}

}  // namespace caisson::metrics
