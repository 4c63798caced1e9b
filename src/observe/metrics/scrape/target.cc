// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/scrape/target.h"

#include "core/base/encoding.h"
#include "core/base/text.h"
#include "observe/metrics/model/format.h"

namespace caisson::metrics {
namespace {

constexpr std::string_view kParam = "__param_";

const Value& either(const Value& rule, const char* snake, const char* camel) {
  return rule.contains(snake) ? rule[snake] : rule[camel];
}

Result<RelabelRule> parse_rule(const Value& from) {
  RelabelRule rule;
  if (const auto action = from["action"].as_string(); !action.empty()) rule.action = TRY(relabel_action(action));
  for (const Value& name : either(from, "source_labels", "sourceLabels").items())
    rule.source_labels.push_back(name.str());
  if (from.contains("separator")) rule.separator = from["separator"].str();
  if (from.contains("regex")) rule.regex = from["regex"].scalar_text();
  if (from.contains("replacement")) rule.replacement = from["replacement"].scalar_text();
  rule.target_label = either(from, "target_label", "targetLabel").str();
  rule.modulus = static_cast<std::uint64_t>(from["modulus"].as_int());
  return rule;
}

std::string url_of(const LabelsBuilder& labels) {
  std::string url = std::string(labels.get("__scheme__")) + "://" + std::string(labels.get("__address__"));
  url += labels.get("__metrics_path__");
  char separator = url.find('?') == std::string::npos ? '?' : '&';
  for (const Label& label : labels.items()) {
    if (!label.name.starts_with(kParam)) continue;
    url += separator + percent_encode(std::string_view(label.name).substr(kParam.size())) + "=" +
           percent_encode(label.value);
    separator = '&';
  }
  return url;
}

void set_when_absent(LabelsBuilder& labels, std::string_view name, std::string_view value) {
  if (labels.get(name).empty()) labels.set(name, value);
}

std::int64_t duration_or(std::string_view text, std::int64_t otherwise) {
  const auto ms = parse_duration(text);
  return ms.ok() && *ms > 0 ? *ms : otherwise;
}

Labels public_labels(const LabelsBuilder& from) {
  std::vector<Label> kept;
  for (const Label& label : from.items())
    if (!label.name.starts_with("__")) kept.push_back(label);
  return Labels::from(std::move(kept));
}

}  // namespace

Result<std::vector<RelabelRule>> parse_relabel_rules(const Value& list) {
  std::vector<RelabelRule> rules;
  for (const Value& item : list.items()) rules.push_back(TRY(parse_rule(item)));
  return rules;
}

Result<std::optional<Target>> make_target(const std::shared_ptr<const ScrapeJob>& job, const Labels& discovered) {
  LabelsBuilder before(discovered);
  set_when_absent(before, "job", job->job);
  set_when_absent(before, "__scheme__", job->scheme);
  set_when_absent(before, "__metrics_path__", job->path);
  set_when_absent(before, "__scrape_interval__", format_duration(job->interval_ms));
  set_when_absent(before, "__scrape_timeout__", format_duration(job->timeout_ms));
  for (const auto& [name, value] : job->params) set_when_absent(before, std::string(kParam) + name, value);
  const Relabeling rules = TRY(Relabeling::compile(job->relabeling));
  const auto after = rules.apply(before.labels());
  if (!after) return std::optional<Target>();
  LabelsBuilder labels(*after);
  if (labels.get("__address__").empty()) return Error{ErrorCode::bad_request, "no address"};
  set_when_absent(labels, "instance", labels.get("__address__"));
  Target target;
  target.job = job;
  target.discovered = before.labels();
  target.url = url_of(labels);
  target.interval_ms = duration_or(labels.get("__scrape_interval__"), job->interval_ms);
  target.timeout_ms = std::min(target.interval_ms, duration_or(labels.get("__scrape_timeout__"), job->timeout_ms));
  target.labels = public_labels(labels);
  return std::optional<Target>(std::move(target));
}

}  // namespace caisson::metrics
