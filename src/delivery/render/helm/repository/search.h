// SPDX-License-Identifier: Apache-2.0
// `helm search repo`. Source: Helm 3.22 cmd/helm/search. Pure; any thread.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "delivery/render/helm/repository/index.h"

namespace caisson::render::helm {

struct NamedIndex {
  std::string repository;
  Index index;
};

struct SearchOptions {
  std::string term;     // in name, repository, description or keywords, letters' case aside; empty: everything
  bool regexp = false;  // `term` is an RE2 expression, case counts
  bool all_versions = false;
  std::string constraint;  // of the chart's version
};

struct Found {
  std::string name;           // "repository/chart"
  int score = 0;              // by the field where the term was met first; lower is better
  const ChartVersion* chart;  // lives as long as the indexes
};

// Best first, then by name, then newest first. Errors: bad_request for a malformed expression or constraint.
Result<std::vector<Found>> search(const std::vector<NamedIndex>& indexes, const SearchOptions& options);

}  // namespace caisson::render::helm
