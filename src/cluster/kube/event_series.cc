// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/event_series.h"

#include <algorithm>
#include <cstdio>

#include "core/document/json.h"

namespace caisson::kube {
namespace {

constexpr Duration kEndsAfter = std::chrono::minutes(6);
constexpr Duration kRefreshEvery = std::chrono::minutes(30);
constexpr std::size_t kKeptMax = 4096;  // ours: upstream's cache has no bound

std::string series_key(const Object& event) {
  std::string key;
  for (const char* field : {"type", "action", "reason", "reportingComponent", "reportingInstance"})
    key += event[field].str() + "|";
  return key + json::write(event["involvedObject"]);
}

bool is_over(std::optional<Time>& since, Duration period, Time now) {
  if (!since) since = now;
  if (now - *since < period) return false;
  since = now;
  return true;
}

}  // namespace

EventSeries::Outcome EventSeries::Kept::told(bool is_new) const {
  Object out = event;
  if (count > 1)
    out.edit().set("series", Value{{"count", count}, {"lastObservedTime", format_time_micros(observed)}});
  return {std::move(out), is_new};
}

std::optional<EventSeries::Outcome> EventSeries::observe(Object event, Time now) {
  const std::string key = series_key(event);
  if (const auto found = kept_.find(key); found != kept_.end()) {
    Kept& kept = found->second;
    kept.observed = now;
    if (++kept.count > 2) return std::nullopt;
    return kept.told(false);
  }
  if (kept_.size() >= kKeptMax)
    kept_.erase(std::min_element(kept_.begin(), kept_.end(), [](const auto& a, const auto& b) {
      return a.second.observed < b.second.observed;
    }));
  last_named_ = std::max(now, last_named_ + Duration(1));
  char suffix[32];
  std::snprintf(suffix, sizeof suffix, ".%llx",
                static_cast<unsigned long long>(last_named_.time_since_epoch().count()));
  event.edit({"metadata"}).set("name", event["involvedObject"]["name"].str() + suffix);
  event.edit().set("eventTime", format_time_micros(now));
  return kept_.emplace(key, Kept{std::move(event), now}).first->second.told(true);
}

std::vector<EventSeries::Outcome> EventSeries::due(Time now) {
  std::vector<Outcome> out;
  if (is_over(ended_, kEndsAfter, now))
    std::erase_if(kept_, [&](const auto& entry) {
      const Kept& kept = entry.second;
      const bool ends = now - kept.observed > kEndsAfter;
      if (ends && kept.count > 1) out.push_back(kept.told(false));
      return ends;
    });
  if (is_over(refreshed_, kRefreshEvery, now))
    for (const auto& [key, kept] : kept_)
      if (kept.count > 1) out.push_back(kept.told(false));
  return out;
}

}  // namespace caisson::kube
