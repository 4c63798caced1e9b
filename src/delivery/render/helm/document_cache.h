// SPDX-License-Identifier: Apache-2.0
// Documents by the digest of their text: of a chart that is rendered again with another value, most are what they were,
// and are not read again. The oldest go first. Any thread.
#pragma once
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::render::helm {

class DocumentCache {
 public:
  explicit DocumentCache(std::size_t text_bytes_max = 16u << 20) : text_bytes_max_(text_bytes_max) {}
  // As read_yaml gives it, without JSON's numbers. A failure is not kept.
  Result<Value> find_or_read(const std::string& text);

 private:
  const std::size_t text_bytes_max_;
  std::mutex mutex_;
  std::map<std::string, Value> documents_;                    // GUARDED_BY(mutex_)
  std::deque<std::pair<std::string, std::size_t>> in_order_;  // digest and size, oldest first; GUARDED_BY(mutex_)
  std::size_t text_bytes_ = 0;                                // GUARDED_BY(mutex_)
};

}  // namespace caisson::render::helm
