// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/event_correlator.h"

#include <algorithm>
#include <cstdio>

#include "core/document/json.h"

namespace caisson::kube {
namespace {

constexpr std::size_t kRecentMax = 4096;
constexpr std::size_t kSimilarMax = 10;
constexpr Duration kSimilarWithin = std::chrono::minutes(10);
constexpr double kBurst = 25, kTokensPerSecond = 1.0 / 300;
constexpr std::string_view kCombined = "(combined from similar events): ";

// Who says it about what. The object's version is no part of it: it is the same thing that is said of a later one.
std::string subject_of(const Object& event) {
  Value about = event["involvedObject"];
  if (about.contains("resourceVersion")) about.erase("resourceVersion");
  return json::write(event["source"]) + json::write(about);
}

std::string key_of(const Object& event, bool with_message) {
  std::string key = subject_of(event);
  key += event["type"].str() + "|" + event["reason"].str() + "|";
  return with_message ? key + event["message"].str() : key;
}

std::string event_name(const Object& event, Time now) {
  char suffix[32];
  std::snprintf(suffix, sizeof suffix, ".%llx", static_cast<unsigned long long>(now.time_since_epoch().count()));
  return event["involvedObject"]["name"].str() + suffix;
}

}  // namespace

template <class T>
T& EventCorrelator::Recent<T>::at(const std::string& key) {
  if (const auto found = places_.find(key); found != places_.end()) {
    order_.splice(order_.begin(), order_, found->second);
    return order_.front().second;
  }
  if (order_.size() >= kRecentMax) {
    places_.erase(order_.back().first);
    order_.pop_back();
  }
  order_.emplace_front(key, T{});
  places_[key] = order_.begin();
  return order_.front().second;
}

template <class T>
void EventCorrelator::Recent<T>::erase(const std::string& key) {
  const auto found = places_.find(key);
  if (found == places_.end()) return;
  order_.erase(found->second);
  places_.erase(found);
}

// Gives whether the message was replaced by a combined one.
bool EventCorrelator::combine(Object& event, Time now) {
  Similar& similar = similar_.at(key_of(event, false));
  if (now - similar.last > kSimilarWithin) similar.messages.clear();
  similar.last = now;
  similar.messages.insert(event["message"].str());
  if (similar.messages.size() < kSimilarMax) return false;
  similar.messages.erase(similar.messages.begin());  // bounded, and stays at the brink
  event.edit().set("message", std::string(kCombined) + event["message"].str());
  return true;
}

bool EventCorrelator::may_speak(const Object& event, Time now) {
  Bucket& bucket = buckets_.at(subject_of(event));
  if (bucket.refilled != Time{}) {
    const double seconds = std::chrono::duration<double>(now - bucket.refilled).count();
    bucket.tokens = std::min(kBurst, bucket.tokens + seconds * kTokensPerSecond);
  }
  bucket.refilled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

std::optional<EventCorrelator::Outcome> EventCorrelator::correlate(Object event, Time now) {
  const bool combined = combine(event, now);
  Counted& counted = counted_.at(key_of(event, !combined));
  const bool is_new = counted.count == 0;
  counted.count += 1;
  if (is_new) {
    last_named_ = std::max(now, last_named_ + Duration(1));
    counted.name = event_name(event, last_named_);
    counted.first = format_time(now);
  }
  event.edit({"metadata"}).set("name", counted.name);
  event.edit().set("firstTimestamp", counted.first);
  event.edit().set("lastTimestamp", format_time(now));
  event.edit().set("count", counted.count);
  if (!may_speak(event, now)) return std::nullopt;  // counted all the same
  return Outcome{std::move(event), is_new};
}

void EventCorrelator::forget(const Object& event) {
  const bool combined = event["message"].as_string().starts_with(kCombined);
  counted_.erase(key_of(event, !combined));
}

}  // namespace caisson::kube
