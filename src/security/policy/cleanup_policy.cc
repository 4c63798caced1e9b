// SPDX-License-Identifier: Apache-2.0
#include "security/policy/cleanup_policy.h"

#include <algorithm>
#include <cctype>

#include "core/base/text.h"
#include "security/policy/operators.h"
#include "security/policy/policy.h"

namespace caisson::policy {
namespace {

Error invalid(std::string why) {
  return {ErrorCode::invalid, std::move(why)};
}

bool asks_for_users(const MatchBlock& block) {
  return std::any_of(block.filters.begin(), block.filters.end(),
                     [](const ResourceFilter& filter) { return !filter.says_nothing_of_users(); });
}

// "1d12h": Go's units, and days and weeks.
std::optional<Duration> long_duration(std::string_view text) {
  Duration sum{0};
  std::string rest;
  while (!text.empty()) {
    std::size_t digits = 0;
    while (digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits]))) ++digits;
    std::size_t end = digits;
    while (end < text.size() && !std::isdigit(static_cast<unsigned char>(text[end])) && text[end] != '.') ++end;
    const std::string_view unit = text.substr(digits, end - digits);
    if (unit != "d" && unit != "w") {
      rest = text;
      break;
    }
    const auto number = parse_int(text.substr(0, digits));
    if (!number || *number > 100'000) return {};
    sum += std::chrono::hours(24 * (unit == "w" ? 7 : 1)) * *number;
    text.remove_prefix(end);
  }
  if (rest.empty()) return sum;
  const auto more = parse_duration(rest);
  if (!more.ok() || more->count() < 0) return {};
  return sum + *more;
}

// "2026-01-31" and "2026-01-31T103000Z": a label has no room for colons.
std::optional<Time> label_time(std::string_view text) {
  if (text.size() == 10) return parse_time(std::string(text) + "T00:00:00Z");
  if (text.size() == 18 && text[10] == 'T' && text[17] == 'Z')
    return parse_time(std::string(text.substr(0, 13)) + ":" + std::string(text.substr(13, 2)) + ":" +
                      std::string(text.substr(15)));
  return parse_time(text);
}

}  // namespace

bool is_cleanup_policy(const Value& object) {
  const std::string_view kind = object["kind"].as_string();
  return object["apiVersion"].as_string().starts_with("kyverno.io/") &&
         (kind == "CleanupPolicy" || kind == "ClusterCleanupPolicy");
}

bool is_deleting_policy(const Value& object) {
  return object["apiVersion"].as_string().starts_with("policies.kyverno.io/") &&
         object["kind"].as_string().ends_with("DeletingPolicy");
}

Result<kube::Propagation> parse_propagation(std::string_view text) {
  if (text.empty() || text == "Background") return kube::Propagation::background;
  if (text == "Foreground") return kube::Propagation::foreground;
  if (text == "Orphan") return kube::Propagation::orphan;
  return invalid("\"" + std::string(text) + "\" is none of Foreground, Background, Orphan");
}

Result<CleanupPolicy> compile_cleanup_policy(const Value& object) {
  const Value& spec = object["spec"];
  CleanupPolicy out;
  out.name = object["metadata"]["name"].str();
  if (object["kind"].as_string() == "CleanupPolicy") out.ns = object["metadata"]["namespace"].str();
  out.match = TRY(parse_match(spec["match"]).in("spec.match"));
  if (out.match.filters.empty()) return invalid("spec.match: may not be empty");
  out.exclude = TRY(parse_match(spec["exclude"]).in("spec.exclude"));
  for (const MatchBlock* block : {&out.match, &out.exclude})
    if (asks_for_users(*block)) return invalid("spec: subjects, roles and clusterRoles say nothing here: nobody asks");
  for (const ResourceFilter& filter : out.match.filters)
    if (filter.kinds.empty()) return invalid("spec.match: every item needs kinds");
  TRY(check_conditions(spec["conditions"]).in("spec.conditions"));
  out.context = spec["context"];
  out.conditions = spec["conditions"];
  auto schedule = controllers::CronSchedule::parse(spec["schedule"].as_string());
  if (!schedule.ok()) return invalid("spec.schedule: " + schedule.error().message);
  out.schedule = *schedule;
  out.propagation =
      TRY(parse_propagation(spec["deletionPropagationPolicy"].as_string()).in("spec.deletionPropagationPolicy"));
  return out;
}

Result<std::optional<Time>> time_to_go(const Value& object) {
  const Value* label = object["metadata"]["labels"].find(kTtlLabel);
  if (label == nullptr) return std::optional<Time>();
  const std::string_view text = label->as_string();
  if (const auto after = text.empty() ? std::nullopt : long_duration(text)) {
    const auto made = parse_time(object["metadata"]["creationTimestamp"].as_string());
    if (!made) return std::optional<Time>();  // not written yet
    return std::optional<Time>(*made + *after);
  }
  if (const auto at = label_time(text)) return at;
  return Error{ErrorCode::bad_request,
               "label " + std::string(kTtlLabel) + ": \"" + std::string(text) + "\" is neither a time nor a duration"};
}

}  // namespace caisson::policy
