// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/template_cache.h"

#include <algorithm>

#include "core/base/hash.h"

namespace caisson::render::helm {

namespace {

std::string digest_of(const std::vector<TemplateText>& templates) {
  Sha256 hasher;
  const auto add = [&](std::string_view text) {  // with its length, so that no two lists of texts look alike
    hasher.update(std::to_string(text.size()) + ":");
    hasher.update(text);
  };
  for (const TemplateText& one : templates) {
    add(one.path);
    add(*one.text);
  }
  return hasher.finish();
}

bool are_same(const std::vector<TemplateText>& a, const std::vector<TemplateText>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const TemplateText& one, const TemplateText& other) {
    return one.text == other.text && one.path == other.path;
  });
}

std::size_t bytes_of(const Chart& chart) {
  std::size_t bytes = chart.files->schema ? chart.files->schema->size() : 0;
  for (const auto* files : {&chart.files->templates, &chart.files->others})
    for (const File& file : *files) bytes += file.data.size();
  for (const Chart& child : chart.dependencies) bytes += bytes_of(child);
  return bytes;
}

}  // namespace

std::shared_ptr<const go_template::Set> TemplateCache::find(const std::function<bool(const Entry&)>& is_it) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(entries_.begin(), entries_.end(), is_it);
  if (found == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found);
  return found->set;
}

Result<std::shared_ptr<const go_template::Set>> TemplateCache::find_or_parse(const Chart& chart) {
  std::vector<TemplateText> templates = templates_of(chart);
  if (const auto set = find([&](const Entry& entry) { return are_same(entry.templates, templates); })) return set;
  std::string digest = digest_of(templates);
  if (const auto set = find([&](const Entry& entry) { return entry.digest == digest; })) return set;
  const auto set = TRY(parse_templates(templates));
  const std::size_t bytes = bytes_of(chart);
  const std::lock_guard lock(mutex_);
  entries_.push_front({std::move(digest), std::move(templates), bytes, set});
  bytes_ += bytes;
  while (bytes_ > bytes_max_ && entries_.size() > 1) {
    bytes_ -= entries_.back().bytes;
    entries_.pop_back();
  }
  return set;
}

std::size_t TemplateCache::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace caisson::render::helm
