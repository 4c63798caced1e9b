// SPDX-License-Identifier: Apache-2.0
// What was found of an image's signatures, kept for a while: by what the rule asks and by digest, so a change of either
// is asked anew. As Kyverno's cache of verified images. Any thread.
#pragma once
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/base/clock.h"

namespace caisson::policy {

class VerifiedImages {
 public:
  // Why it was refused, or empty: it was verified. Nothing: not known, or too long ago.
  std::optional<std::string> find(const std::string& key, Time now) const;
  void keep(const std::string& key, std::string refusal, Time now);

 private:
  struct Entry {
    std::string refusal;
    Time until;
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;  // GUARDED_BY(mutex_)
};

}  // namespace caisson::policy
