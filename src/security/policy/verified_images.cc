// SPDX-License-Identifier: Apache-2.0
#include "security/policy/verified_images.h"

namespace caisson::policy {
namespace {

constexpr std::size_t kEntriesMax = 1000;
constexpr Duration kKeepGood = std::chrono::hours(1);
// Long enough that one request is not asked about twice, short enough for a person who signs and tries again.
constexpr Duration kKeepBad = std::chrono::seconds(2);

}  // namespace

std::optional<std::string> VerifiedImages::find(const std::string& key, Time now) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end() || found->second.until < now) return {};
  return found->second.refusal;
}

void VerifiedImages::keep(const std::string& key, std::string refusal, Time now) {
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kEntriesMax) std::erase_if(entries_, [&](const auto& one) { return one.second.until < now; });
  if (entries_.size() >= kEntriesMax) entries_.clear();
  const Time until = now + (refusal.empty() ? kKeepGood : kKeepBad);
  entries_[key] = {std::move(refusal), until};
}

}  // namespace caisson::policy
