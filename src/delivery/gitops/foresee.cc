// SPDX-License-Identifier: Apache-2.0
// The verdict of policies on the desired state, before anything is applied: conditions that name policy, rule, object
// and message. Asked anew when the rendering or the policies change.
#include "delivery/gitops/controller_run.h"

namespace caisson::gitops {
namespace {

constexpr std::size_t kConditionsMax = 20;
constexpr std::size_t kObjectsMax = 5'000;
constexpr std::string_view kStopped = "sync stopped before anything was applied: ";
constexpr Duration kLookAgain = std::chrono::seconds(15);  // policies may change and wake nobody here

std::string sentence(const ResourceId& id, const ForeseenViolation& one) {
  return "policy " + one.policy + "/" + one.rule + " " + (one.enforced ? "refuses" : "warns of") + " " + id.str() +
         ": " + one.message;
}

}  // namespace

void Controller::foresee(Run& run) {
  const PreSyncVerdict& verdict = shared_->options.verdict;
  if (!verdict.generation) return;
  AppMemory& memory = *run.memory;
  const std::uint64_t generation = verdict.generation();
  if (memory.foreseen_of != run.rendered || memory.foreseen_generation != generation) {
    memory.foreseen_of = run.rendered;
    memory.foreseen_generation = generation;
    memory.foreseen.clear();
    std::size_t asked = 0;
    for (const Resource& one : run.observation.resources)
      if (one.desired && asked++ < kObjectsMax)
        for (ForeseenViolation& found : verdict.of(*one.desired))
          memory.foreseen.emplace_back(one.id, std::move(found));
  }
  const auto is_written = [&](const ResourceId& id) {
    for (const Resource& one : run.observation.resources)
      if (one.id == id) return one.desired && !one.synced();
    return false;
  };
  std::size_t shown = 0;
  for (const auto& [id, one] : memory.foreseen) {
    const bool stops = one.enforced && is_written(id);
    if (stops && run.refused.empty()) run.refused = std::string(kStopped) + sentence(id, one);
    if (++shown <= kConditionsMax)
      run.conditions.push_back({one.enforced ? "PolicyViolationError" : "PolicyViolationWarning", sentence(id, one)});
  }
  if (shown > kConditionsMax)
    run.conditions.push_back(
        {"PolicyViolationWarning", std::to_string(shown - kConditionsMax) + " more policy violations"});
  if (!run.refused.empty()) run.retry_in(kLookAgain);
}

// The same of what an operation deploys that is not what the spec names; empty: policies let it pass.
std::string Controller::refusal_of(const Observation& observation) const {
  const PreSyncVerdict& verdict = shared_->options.verdict;
  if (!verdict.generation) return "";
  std::size_t asked = 0;
  for (const Resource& one : observation.resources) {
    if (!one.desired || one.synced() || asked++ >= kObjectsMax) continue;
    for (const ForeseenViolation& found : verdict.of(*one.desired))
      if (found.enforced) return std::string(kStopped) + sentence(one.id, found);
  }
  return "";
}

}  // namespace caisson::gitops
