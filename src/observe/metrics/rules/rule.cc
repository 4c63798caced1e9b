// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/rules/rule.h"

#include <algorithm>
#include <set>

#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/parser.h"
#include "observe/metrics/rules/template.h"

namespace caisson::metrics {
namespace {

constexpr std::size_t kRulesMax = 5'000;

Pairs pairs_of(const Value& map) {
  Pairs out;
  for (const auto& entry : map.entries()) out.emplace_back(entry.key, entry.value.scalar_text());
  std::sort(out.begin(), out.end());
  return out;
}

Result<std::int64_t> duration_of(const Value& from, const char* key, std::int64_t otherwise) {
  const Value& value = from[key];
  if (value.is_null()) return otherwise;
  if (value.is_int() && value.as_int() == 0) return std::int64_t{0};
  return parse_duration(value.as_string()).in(key);
}

Result<Rule> parse_rule(const Value& from, const CheckExpression& check) {
  Rule rule;
  rule.record = from["record"].str();
  rule.alert = from["alert"].str();
  if (rule.record.empty() == rule.alert.empty())
    return Error{ErrorCode::bad_request, "one of 'record' and 'alert' must be set"};
  rule.expr = from["expr"].scalar_text();
  if (rule.expr.empty()) return Error{ErrorCode::bad_request, "field 'expr' must be set"};
  TRY(check(rule.expr).in("could not parse expression"));
  rule.for_ms = TRY(duration_of(from, "for", 0));
  rule.keep_firing_for_ms = TRY(duration_of(from, "keep_firing_for", 0));
  rule.labels = pairs_of(from["labels"]);
  rule.annotations = pairs_of(from["annotations"]);
  if (!rule.record.empty() && (rule.for_ms > 0 || rule.keep_firing_for_ms > 0 || !rule.annotations.empty()))
    return Error{ErrorCode::bad_request, "'for', 'keep_firing_for' and 'annotations' belong to alerting rules"};
  for (const auto& [name, value] : rule.labels)
    if (name.empty() || name == kMetricName) return Error{ErrorCode::bad_request, "invalid label name: " + quote(name)};
  if (rule.alert.empty()) return rule;
  for (const Pairs* list : {&rule.labels, &rule.annotations})
    for (const auto& [name, text] : *list) TRY(check_alert_template(text).in("template " + quote(name)));
  return rule;
}

}  // namespace

Result<void> check_promql(const std::string& expr) {
  TRY(promql::parse(expr));
  return {};
}

Result<std::vector<RuleGroup>> parse_rule_groups(const Value& document, const std::string& file,
                                                 std::int64_t default_interval_ms, const CheckExpression& check) {
  std::vector<RuleGroup> groups;
  std::set<std::string> names;
  std::size_t count = 0;
  for (const Value& from : document["groups"].items()) {
    RuleGroup group;
    group.file = file;
    group.name = from["name"].str();
    if (group.name.empty()) return Error{ErrorCode::bad_request, "groupname must not be empty"};
    if (!names.insert(group.name).second)
      return Error{ErrorCode::bad_request, "groupname: " + quote(group.name) + " is repeated in the same file"};
    group.interval_ms = TRY(duration_of(from, "interval", default_interval_ms).in("group " + quote(group.name)));
    if (group.interval_ms <= 0) group.interval_ms = default_interval_ms;
    group.query_offset_ms = TRY(duration_of(from, "query_offset", 0).in("group " + quote(group.name)));
    group.limit = static_cast<std::size_t>(std::max<std::int64_t>(0, from["limit"].as_int()));
    const Pairs common = pairs_of(from["labels"]);
    for (const Value& item : from["rules"].items()) {
      const std::string name = item.contains("record") ? item["record"].str() : item["alert"].str();
      Rule rule = TRY(parse_rule(item, check)
                          .in("group " + quote(group.name) + ", rule " + std::to_string(group.rules.size() + 1) + ", " +
                              quote(name)));
      for (const auto& pair : common)
        if (std::none_of(rule.labels.begin(), rule.labels.end(),
                         [&](const auto& own) { return own.first == pair.first; }))
          rule.labels.push_back(pair);
      std::sort(rule.labels.begin(), rule.labels.end());
      group.rules.push_back(std::move(rule));
      if (++count > kRulesMax) return Error{ErrorCode::too_large, "more than " + std::to_string(kRulesMax) + " rules"};
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace caisson::metrics
