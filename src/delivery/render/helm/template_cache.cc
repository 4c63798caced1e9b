// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/template_cache.h"

#include "core/base/hash.h"

namespace caisson::render::helm {

Result<std::shared_ptr<const go_template::Set>> TemplateCache::find_or_parse(const Chart& chart) {
  Sha256 hasher;
  std::size_t text_bytes = 0;
  const auto add = [&](std::string_view text) {  // with its length, so that no two lists of texts look alike
    hasher.update(std::to_string(text.size()) + ":");
    hasher.update(text);
    text_bytes += text.size();
  };
  for (const auto& [path, text] : templates_of(chart)) {
    add(path);
    add(*text);
  }
  std::string digest = hasher.finish();
  {
    const std::lock_guard lock(mutex_);
    for (auto at = entries_.begin(); at != entries_.end(); ++at) {
      if (at->digest != digest) continue;
      entries_.splice(entries_.begin(), entries_, at);
      return entries_.front().set;
    }
  }
  const auto set = TRY(parse_templates(chart));
  const std::lock_guard lock(mutex_);
  entries_.push_front({std::move(digest), text_bytes, set});
  text_bytes_ += text_bytes;
  while (text_bytes_ > text_bytes_max_ && entries_.size() > 1) {
    text_bytes_ -= entries_.back().text_bytes;
    entries_.pop_back();
  }
  return set;
}

std::size_t TemplateCache::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace caisson::render::helm
