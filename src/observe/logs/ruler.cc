// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/ruler.h"

#include "core/base/encoding.h"
#include "core/document/yaml.h"
#include "observe/logs/api/query_api.h"
#include "observe/logs/logql/engine.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs {
namespace {

constexpr std::chrono::milliseconds kRuleTimeMax{10'000};  // rules take turns

Result<void> check(const std::string& text) {
  const logql::ExprPtr expr = TRY(logql::parse(text));
  if (expr->is_log())
    return Error{ErrorCode::bad_request, "a rule wants a metric query, for instance count_over_time(… [5m])"};
  return {};
}

Result<metrics::promql::QueryResult> ask(const Store& store, std::int64_t now, const std::string& text,
                                         std::int64_t t_ms) {
  logql::EngineOptions options;
  options.timeout = kRuleTimeMax;
  logql::QueryStats stats;
  const logql::ExprPtr expr = TRY(logql::parse(text));
  if (expr->is_log()) return Error{ErrorCode::bad_request, "query is not a metric query"};
  const std::int64_t t = t_ms * 1'000'000;
  const logql::Matrix matrix = TRY(logql::query_metric(store, options, *expr, {t, t, 1}, now, stats));
  metrics::promql::QueryResult result;
  result.type = matrix.is_scalar ? metrics::promql::ValueType::scalar : metrics::promql::ValueType::vector;
  for (const logql::Series& series : matrix.series)
    if (series.present[0]) result.matrix.push_back({series.labels, {{t_ms, series.values[0]}}, {}, false});
  return result;
}

Value pairs(const metrics::Pairs& list) {
  Value out = Value::map();
  for (const auto& [name, value] : list) out.set(name, value);
  return out;
}

Value rule_value(const metrics::Rule& rule) {
  Value out = Value::map();
  out.set(rule.alert.empty() ? "record" : "alert", rule.alert.empty() ? rule.record : rule.alert);
  out.set("expr", rule.expr);
  if (rule.for_ms > 0) out.set("for", metrics::format_duration(rule.for_ms));
  if (rule.keep_firing_for_ms > 0) out.set("keep_firing_for", metrics::format_duration(rule.keep_firing_for_ms));
  if (!rule.labels.empty()) out.set("labels", pairs(rule.labels));
  if (!rule.annotations.empty()) out.set("annotations", pairs(rule.annotations));
  return out;
}

Value group_value(const metrics::RuleGroup& group) {
  std::vector<Value> rules;
  for (const metrics::Rule& rule : group.rules) rules.push_back(rule_value(rule));
  Value out{{"name", group.name}, {"interval", metrics::format_duration(group.interval_ms)}};
  if (group.limit > 0) out.set("limit", static_cast<std::int64_t>(group.limit));
  out.set("rules", Value(std::move(rules)));
  return out;
}

http::Response yaml_response(const Value& value) {
  return {200, {{"Content-Type", "application/yaml"}}, yaml::write(value)};
}

}  // namespace

metrics::RuleLanguage rule_language(const Store& store, Clock& clock) {
  return {"logql", "loki_rule", check, [&store, &clock](const std::string& query, std::int64_t t_ms) {
            return ask(store, clock.now().time_since_epoch().count(), query, t_ms);
          }};
}

http::Response answer_rules(std::span<const metrics::GroupView> groups, std::string_view method,
                            std::string_view path) {
  if (method != "GET")
    return error_response({ErrorCode::method_not_allowed, "rules are changed in the ConfigMaps labelled loki_rule"});
  if (path.starts_with('/')) path.remove_prefix(1);
  const auto asked = percent_decode(path);
  if (!asked.ok()) return error_response(asked.error());
  std::map<std::string, std::vector<Value>> files;
  bool in_file = false;
  for (const metrics::GroupView& view : groups) {
    const std::string& file = view.group.file;
    if (*asked == file + "/" + view.group.name) return yaml_response(group_value(view.group));
    if (asked->empty() || *asked == file) files[file].push_back(group_value(view.group));
    in_file |= asked->starts_with(file + "/");
  }
  if (in_file) return error_response({ErrorCode::not_found, "group does not exist"});
  if (files.empty()) return error_response({ErrorCode::not_found, "no rule groups found"});
  Value all = Value::map();
  for (auto& [key, list] : files) all.set(key, Value(std::move(list)));
  return yaml_response(all);
}

}  // namespace caisson::logs
