// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "cluster/controllers/autoscaling.h"

namespace caisson::controllers {
namespace {

constexpr std::chrono::seconds kDownWindow(300);
constexpr std::int64_t kUpFactor = 2, kUpAtLeast = 4;

Duration window(const Value& rules, std::chrono::seconds otherwise) {
  return std::chrono::seconds(rules["stabilizationWindowSeconds"].as_int(otherwise.count()));
}

// What the windows leave of `desired`: a rise waits until no lower count was recommended in its window, a fall until no
// higher one was.
std::int64_t stabilized(const AutoscalingHistory& history, const Value& behavior, std::int64_t current,
                        std::int64_t desired, Time now) {
  const Time up_since = now - window(behavior["scaleUp"], std::chrono::seconds(0));
  const Time down_since = now - window(behavior["scaleDown"], kDownWindow);
  std::int64_t up = desired, down = desired;
  for (const Recommendation& earlier : history.recommendations) {
    if (earlier.at > up_since) up = std::min(up, earlier.replicas);
    if (earlier.at > down_since) down = std::max(down, earlier.replicas);
  }
  return std::min(std::max(current, up), down);
}

// Without spec.behavior only falls are held back.
std::int64_t stabilized_by_default(const AutoscalingHistory& history, std::int64_t desired, Time now) {
  for (const Recommendation& earlier : history.recommendations) {
    if (earlier.at > now - kDownWindow) desired = std::max(desired, earlier.replicas);
  }
  return desired;
}

void remember(AutoscalingHistory& history, const Value& behavior, std::int64_t desired, Time now) {
  const Duration longest = std::max<Duration>(window(behavior["scaleUp"], std::chrono::seconds(0)),
                                              window(behavior["scaleDown"], kDownWindow));
  std::erase_if(history.recommendations, [&](const Recommendation& r) { return r.at <= now - longest; });
  history.recommendations.push_back({desired, now});
}

std::int64_t changed_within(const std::vector<ScaleChange>& changes, std::int64_t seconds, Time now) {
  std::int64_t sum = 0;
  for (const ScaleChange& change : changes) {
    if (change.at > now - std::chrono::seconds(seconds)) sum += change.replicas;
  }
  return sum;
}

// How far the policies of one direction let the count go. Percentages are of the count at the policy's period's start.
std::int64_t policy_limit(const AutoscalingHistory& history, const Value& rules, std::int64_t current, bool up,
                          Time now) {
  const std::string_view select = rules["selectPolicy"].as_string("Max");
  if (select == "Disabled") return current;
  const bool furthest = select != "Min";
  const bool take_larger = up == furthest;
  std::int64_t limit =
      take_larger ? std::numeric_limits<std::int32_t>::min() : std::numeric_limits<std::int32_t>::max();
  for (const Value& policy : rules["policies"].items()) {
    const std::int64_t period = policy["periodSeconds"].as_int(), value = policy["value"].as_int();
    const std::int64_t start =
        current - changed_within(history.ups, period, now) + changed_within(history.downs, period, now);
    const double factor = 1 + (up ? 1 : -1) * static_cast<double>(value) / 100;
    const double by_percent = static_cast<double>(start) * factor;
    const std::int64_t allowed = policy["type"].as_string() == "Pods" ? start + (up ? value : -value)
                                 : up                                 ? static_cast<std::int64_t>(std::ceil(by_percent))
                                                                      : static_cast<std::int64_t>(by_percent);
    limit = take_larger ? std::max(limit, allowed) : std::min(limit, allowed);
  }
  return limit;
}

// The rules of a direction that spec.behavior leaves open, as the API server defaults them where behavior is given.
Value rules_of(const Value& behavior, bool up) {
  Value rules = behavior[up ? "scaleUp" : "scaleDown"];
  if (!rules["policies"].empty() || rules["selectPolicy"].as_string() == "Disabled") return rules;
  Value policies = Value::list();
  policies.push_back(Value{{"type", "Percent"}, {"value", 100}, {"periodSeconds", 15}});
  if (up) policies.push_back(Value{{"type", "Pods"}, {"value", 4}, {"periodSeconds", 15}});
  rules.set("policies", std::move(policies));
  return rules;
}

void limited(Limited& out, std::int64_t replicas, std::string_view reason, std::string_view message) {
  out.is_limited = true;
  out.replicas = replicas;
  out.limit_reason = reason;
  out.limit_message = message;
}

constexpr std::string_view kTooFast = "the desired replica count is increasing faster than the maximum scale rate";
constexpr std::string_view kTooMany = "the desired replica count is more than the maximum replica count";
constexpr std::string_view kTooFew = "the desired replica count is less than the minimum replica count";
constexpr std::string_view kTooFastDown = "the desired replica count is decreasing faster than the maximum scale rate";

void limit_up(Limited& out, std::int64_t limit, std::int64_t max) {
  const std::int64_t allowed = std::min(max, limit);
  if (out.replicas <= allowed) return;
  const bool by_rate = max > limit;
  limited(out, allowed, by_rate ? "ScaleUpLimit" : "TooManyReplicas", by_rate ? kTooFast : kTooMany);
}

void limit_by_behavior(Limited& out, const AutoscalingHistory& history, const Value& behavior, std::int64_t current,
                       std::int64_t min, std::int64_t max, Time now) {
  if (out.replicas > current) {
    const std::int64_t limit = policy_limit(history, rules_of(behavior, true), current, true, now);
    limit_up(out, std::max(limit, current), max);
  } else if (out.replicas < current) {
    const std::int64_t limit = std::min(policy_limit(history, rules_of(behavior, false), current, false, now), current);
    const std::int64_t allowed = std::max(min, limit);
    if (out.replicas >= allowed) return;
    const bool by_rate = min < limit;
    limited(out, allowed, by_rate ? "ScaleDownLimit" : "TooFewReplicas", by_rate ? kTooFastDown : kTooFew);
  }
}

void limit_by_default(Limited& out, std::int64_t current, std::int64_t min, std::int64_t max) {
  if (out.replicas < min) {
    limited(out, min, "TooFewReplicas", kTooFew);
  } else {
    limit_up(out, std::max(kUpFactor * current, kUpAtLeast), max);
  }
}

}  // namespace

Limited limit_scaling(AutoscalingHistory& history, const Value& behavior, std::int64_t current, std::int64_t desired,
                      std::int64_t min, std::int64_t max, Time now) {
  Limited out;
  out.replicas = behavior.is_null() ? stabilized_by_default(history, desired, now)
                                    : stabilized(history, behavior, current, desired, now);
  remember(history, behavior, desired, now);
  out.able_reason = "ReadyForNewScale";
  out.able_message = "recommended size matches current size";
  if (out.replicas != desired) {
    const bool rises = !behavior.is_null() && desired >= current;
    out.able_reason = rises ? "ScaleUpStabilized" : "ScaleDownStabilized";
    out.able_message =
        rises ? "recent recommendations were lower than current one, applying the lowest recent recommendation"
              : "recent recommendations were higher than current one, applying the highest recent "
                "recommendation";
  }
  out.limit_reason = "DesiredWithinRange";
  out.limit_message = "the desired count is within the acceptable range";
  if (behavior.is_null())
    limit_by_default(out, current, min, max);
  else
    limit_by_behavior(out, history, behavior, current, min, max, now);
  return out;
}

void record_scaling(AutoscalingHistory& history, const Value& behavior, std::int64_t before, std::int64_t after,
                    Time now) {
  if (behavior.is_null() || before == after) return;
  std::vector<ScaleChange>& changes = after > before ? history.ups : history.downs;
  constexpr std::chrono::seconds kPeriodMax(1800);  // the API server allows no longer one
  std::erase_if(changes, [&](const ScaleChange& change) { return change.at <= now - kPeriodMax; });
  changes.push_back({std::abs(after - before), now});
}

}  // namespace caisson::controllers
