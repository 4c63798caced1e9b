// SPDX-License-Identifier: Apache-2.0
// Which advisories are about what is installed. Any thread.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "artifact/scan/advisory_store.h"
#include "artifact/scan/package.h"

namespace caisson::scan {

struct Finding {
  std::string id;  // the CVE where there is one
  Package package;
  std::string fixed_version;  // empty: no fix is known
  Severity severity = Severity::unknown;
  std::optional<double> score;
  std::string cvss, title, url, published, modified, source;
  std::vector<std::string> aliases;
  bool operator==(const Finding&) const = default;
};

// Sorted: worst first, then by package and id. One CVE in one package is one finding, whichever sources tell of it.
Result<std::vector<Finding>> find_vulnerabilities(const Inventory& inventory, const AdvisoryStore& advisories);

// The names by which the packages are looked for.
std::set<PackageRef> package_refs(const Inventory& inventory);

struct Counts {
  int critical = 0, high = 0, medium = 0, low = 0, none = 0, unknown = 0;
  void add(Severity severity);
  bool operator==(const Counts&) const = default;
};
Counts count_findings(const std::vector<Finding>& findings);

}  // namespace caisson::scan
