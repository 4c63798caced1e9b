// SPDX-License-Identifier: Apache-2.0
// index.yaml: what a chart repository offers. Read and written as Helm 3.22 pkg/repo does. Pure, but for
// index_directory; any thread.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"
#include "delivery/render/helm/chart.h"

namespace caisson::render::helm {

struct ChartVersion {
  Metadata metadata;
  std::vector<std::string> urls;  // relative ones are below the repository's URL
  std::string created, digest;    // RFC 3339; sha256 in hex
  bool removed = false;
};

struct Index {
  std::string api_version = "v1", generated;
  std::map<std::string, std::vector<ChartVersion>> entries;
  Value public_keys, annotations;

  // The newest version that meets `constraint`; empty: the newest that is no pre-release. REQUIRES: sort() was called.
  // Errors: not_found in Helm's words; invalid for a malformed constraint.
  Result<const ChartVersion*> find(const std::string& name, const std::string& constraint) const;
  void sort();                     // newest first; versions that are none, last
  void merge(const Index& other);  // entries that are not here yet
  Value document() const;          // in the order of Helm's JSON
};

inline constexpr std::size_t kIndexBytesMax = 64u << 20;

// Sorted; entries that are no charts are left out and named in `warnings`. `source` is for those. Errors: invalid:
// "empty index.yaml file", "no API version specified", what YAML says.
Result<Index> parse_index(std::string_view text, const std::string& source, std::vector<std::string>& warnings);
// From disk. Errors: not_found; invalid "error loading PATH: …".
Result<Index> read_index(const std::string& path, std::vector<std::string>& warnings);

// Of the .tgz files in `folder` and the folders in it; `url` is put before their names. Not sorted.
Result<Index> index_directory(const std::string& folder, const std::string& url, Time now);
std::string write_index(const Index& index, bool as_json);

}  // namespace caisson::render::helm
