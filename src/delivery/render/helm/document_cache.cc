// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/document_cache.h"

#include "core/base/hash.h"
#include "delivery/render/helm/chart.h"

namespace caisson::render::helm {

Result<Value> DocumentCache::find_or_read(const std::string& text) {
  std::string digest = sha256(text);
  {
    const std::lock_guard lock(mutex_);
    const auto found = documents_.find(digest);
    if (found != documents_.end()) return found->second;
  }
  const Value document = TRY(read_yaml(text, false));
  const std::lock_guard lock(mutex_);
  if (!documents_.emplace(digest, document).second) return document;  // another thread was first
  in_order_.emplace_back(std::move(digest), text.size());
  text_bytes_ += text.size();
  while (text_bytes_ > text_bytes_max_) {
    text_bytes_ -= in_order_.front().second;
    documents_.erase(in_order_.front().first);
    in_order_.pop_front();
  }
  return document;
}

}  // namespace caisson::render::helm
