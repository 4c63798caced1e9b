// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/automation.h"

#include <algorithm>

#include "delivery/gitops/status.h"

namespace caisson::gitops {
namespace {

constexpr Duration kHealQuiet = std::chrono::seconds(60);  // a fight is over after this long without one
constexpr int kHealsFree = 20;  // as many edits within that time are people at work, not a fight
constexpr Duration kHealFirst = std::chrono::milliseconds(250);
constexpr Duration kHealMost = std::chrono::minutes(1);
constexpr std::int64_t kAutoRetryLimit = 5;  // upstream's, where spec.syncPolicy.retry is absent

bool would_change(const Resource& resource, bool prune) {
  if (resource.desired) return !resource.synced();
  return prune && (*resource.live)["metadata"]["deletionTimestamp"].is_null() &&
         !has_option(*resource.live, "Prune=false");
}

}  // namespace

AutoSync decide_auto_sync(const Application& application, const Value& status, const Observation& observation,
                          const std::string& commit) {
  AutoSync out;
  const SyncPolicy& policy = application.policy;
  if (!policy.automated || !observation.errors.empty()) return out;
  const auto& list = observation.resources;
  if (std::none_of(list.begin(), list.end(), [&](const Resource& one) { return would_change(one, policy.prune); })) {
    // Hooks alone are a reason to sync a new revision.
    return out;
  }
  const bool nothing_desired =
      std::none_of(list.begin(), list.end(), [](const Resource& one) { return one.desired.has_value(); });
  if (nothing_desired && policy.prune && !policy.allow_empty) {
    out.error = "Skipping sync attempt to " + commit + ": auto-sync will wipe out all resources";
    return out;
  }
  const Value& last = status["operationState"];
  // A dry run and a sync of chosen resources are no attempt at a revision.
  const Value& sync = last["operation"]["sync"];
  const bool whole = !sync["dryRun"].as_bool() && sync["resources"].empty();
  const bool attempted = whole && commits_of(last["syncResult"]) == commit;
  const std::string_view phase = last["phase"].as_string();
  if (attempted && phase != "Succeeded" && phase != "Running") {
    out.error = "Failed last sync attempt to " + commit + ": " + last["message"].str();
    return out;
  }
  if (attempted && !policy.self_heal) return out;
  out.heal = attempted;
  out.wanted = true;
  return out;
}

Value auto_operation(const Application& application, const std::string& commit) {
  Value sync = Value::map();
  set_commits(sync, commit, application.several_sources);
  if (application.policy.prune) sync.set("prune", true);
  if (!application.policy.options.empty()) sync.set("syncOptions", Value::list_of(application.policy.options));
  Value retry = Value::map();
  retry.set("limit", application.policy.retry ? application.policy.retry->limit : kAutoRetryLimit);
  if (application.policy.retry && application.policy.retry->refresh) retry.set("refresh", true);
  if (application.policy.retry) {
    const Retry& policy = *application.policy.retry;
    retry.set("backoff", Value{{"duration", format_duration(policy.first)},
                               {"factor", policy.factor},
                               {"maxDuration", format_duration(policy.most)}});
  }
  return Value{{"initiatedBy", Value{{"automated", true}}}, {"retry", std::move(retry)}, {"sync", std::move(sync)}};
}

Duration HealBackoff::next(Duration now) {
  if (attempts_ > 0 && now - last_ > kHealQuiet) attempts_ = 0;
  if (attempts_ >= kHealsFree) {
    Duration wait = kHealFirst;
    for (int i = kHealsFree; i < attempts_ && wait < kHealMost; ++i) wait *= 2;
    wait = std::min(wait, kHealMost);
    if (now < last_ + wait) return last_ + wait - now;
  }
  ++attempts_;
  last_ = now;
  return Duration(0);
}

}  // namespace caisson::gitops
