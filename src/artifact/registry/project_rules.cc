// SPDX-License-Identifier: Apache-2.0
#include "artifact/registry/project_rules.h"

#include <algorithm>
#include <map>

#include "artifact/content/image.h"
#include "core/document/json.h"

namespace caisson::registry {
namespace {

using Sizes = std::map<content::Digest, std::uint64_t>;

Result<void> add_parts(Sizes& sizes, std::string_view bytes) {
  sizes.emplace(content::Digest::of(bytes), bytes.size());
  const Value document = TRY(json::parse(bytes));
  const std::string type = TRY(content::detect_media_type(document));
  if (content::is_index_type(type)) return {};  // its images are manifests of the repository
  const content::Manifest manifest = TRY(content::parse_manifest(bytes));
  sizes.emplace(manifest.config.digest, manifest.config.size_bytes);
  for (const content::Descriptor& layer : manifest.layers) sizes.emplace(layer.digest, layer.size_bytes);
  return {};
}

}  // namespace

bool matches_tag(std::string_view pattern, std::string_view tag) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < tag.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() && pattern[p] == tag[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool is_immutable(const ProjectRules& rules, std::string_view tag) {
  return std::any_of(rules.immutable_tags.begin(), rules.immutable_tags.end(),
                     [&](const std::string& pattern) { return matches_tag(pattern, tag); });
}

Result<std::uint64_t> project_size(const content::BlobStore& blobs, const content::TagIndex& tags,
                                   std::string_view repository, std::string_view added) {
  const std::string project(repository.substr(0, repository.find('/')));
  Sizes sizes;
  TRY(add_parts(sizes, added));
  for (const std::string& one : TRY(tags.repositories())) {
    if (one != project && !one.starts_with(project + "/")) continue;
    for (const content::Digest& digest : TRY(tags.manifests(one))) {
      const Result<std::string> bytes = blobs.read(digest, content::kManifestBytesMax);
      if (bytes.ok()) TRY(add_parts(sizes, *bytes).in(digest.str()));
    }
  }
  std::uint64_t total = 0;
  for (const auto& [digest, size] : sizes) total += size;
  return total;
}

}  // namespace caisson::registry
