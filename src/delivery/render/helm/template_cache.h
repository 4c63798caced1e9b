// SPDX-License-Identifier: Apache-2.0
// Parsed templates, by the digest of their paths and texts: a chart that is rendered again with other values is not
// parsed again. The least recently used sets go first. A set keeps the files of its charts. Any thread.
#pragma once
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/result.h"
#include "delivery/render/helm/document_cache.h"
#include "delivery/render/helm/engine.h"

namespace caisson::render::helm {

class TemplateCache {
 public:
  explicit TemplateCache(std::size_t bytes_max = 32u << 20) : bytes_max_(bytes_max) {}
  // The chart's templates and its subcharts', as parse_templates gives them. A failure is not kept.
  Result<std::shared_ptr<const go_template::Set>> find_or_parse(const Chart& chart);
  std::size_t size() const;                          // sets that are held
  DocumentCache& documents() { return documents_; }  // what the templates gave

 private:
  struct Entry {
    std::string digest;
    std::vector<TemplateText> templates;  // the very texts of a chart that is rendered again are not hashed again
    std::size_t bytes;                    // of the charts' files: the measure of a set's memory
    std::shared_ptr<const go_template::Set> set;
  };
  // The set of the first entry that `is_it`, which becomes the newest; null when there is none.
  std::shared_ptr<const go_template::Set> find(const std::function<bool(const Entry&)>& is_it);

  const std::size_t bytes_max_;
  DocumentCache documents_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // newest first; GUARDED_BY(mutex_)
  std::size_t bytes_ = 0;     // GUARDED_BY(mutex_)
};

}  // namespace caisson::render::helm
