// SPDX-License-Identifier: Apache-2.0
#include "artifact/scan/match.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace caisson::scan {
namespace {

// Advisories of Debian and Alpine name the source package, of the others the package itself.
std::string asked_name(const Package& package) {
  return package.is_os() ? package.advisory_name() : package.name;
}
std::string asked_version(const Package& package) {
  return package.is_os() ? package.advisory_version() : package.version;
}

Result<Finding> make_finding(const Package& package, const Advisory& advisory, std::string fixed,
                             const AdvisoryStore& advisories) {
  Finding out;
  out.id = advisory.name();
  out.package = package;
  out.fixed_version = std::move(fixed);
  out.severity = advisory.severity;
  out.score = advisory.score;
  out.cvss = advisory.cvss;
  out.title = advisory.title;
  out.url = advisory.url;
  out.published = advisory.published;
  out.modified = advisory.modified;
  out.source = advisory.source;
  out.aliases = advisory.aliases;
  if (out.id != advisory.id) out.aliases.push_back(advisory.id);
  const std::optional<Rating> rating = TRY(advisories.rating(out.id));
  if (rating && out.severity == Severity::unknown) {
    out.severity = rating->severity;
    out.score = rating->score;
    out.cvss = rating->cvss;
  }
  if (rating && out.title.empty()) out.title = rating->title;
  // The vendor's word counts where nobody has scored it.
  if (out.severity == Severity::unknown) out.severity = advisory.affected.front().severity.value_or(Severity::unknown);
  return out;
}

}  // namespace

Result<std::vector<Finding>> find_vulnerabilities(const Inventory& inventory, const AdvisoryStore& advisories) {
  using Key = std::tuple<std::string, std::string, std::string, std::string>;
  std::map<Key, Finding> found;
  std::map<PackageRef, std::vector<AdvisoryMatch>> known;  // a source package has several binary ones
  for (const Package& package : inventory.packages) {
    const std::string ecosystem = advisory_ecosystem(package, inventory.os), name = asked_name(package);
    const std::optional<VersionScheme> scheme = scheme_of(ecosystem);
    if (!scheme) continue;
    auto it = known.find({ecosystem, name});
    if (it == known.end()) it = known.emplace(PackageRef(ecosystem, name), TRY(advisories.find(ecosystem, name))).first;
    for (const AdvisoryMatch& match : it->second) {
      std::string fixed;
      if (!is_affected(*scheme, match.advisory.affected.front(), asked_version(package), fixed)) continue;
      Finding finding = TRY(make_finding(package, match.advisory, std::move(fixed), advisories));
      const Key key{finding.id, package.name, package.version, package.path};
      const auto [at, is_new] = found.try_emplace(key, finding);
      if (!is_new && at->second.fixed_version.empty() && !finding.fixed_version.empty())
        at->second.fixed_version = finding.fixed_version;
    }
  }
  std::vector<Finding> out;
  for (auto& [key, finding] : found) out.push_back(std::move(finding));
  std::stable_sort(out.begin(), out.end(), [](const Finding& a, const Finding& b) {
    if (a.severity != b.severity) return a.severity > b.severity;
    return std::tie(a.package.name, a.id) < std::tie(b.package.name, b.id);
  });
  return out;
}

std::set<PackageRef> package_refs(const Inventory& inventory) {
  std::set<PackageRef> out;
  for (const Package& package : inventory.packages)
    out.emplace(advisory_ecosystem(package, inventory.os), asked_name(package));
  return out;
}

void Counts::add(Severity severity) {
  switch (severity) {
    case Severity::critical:
      ++critical;
      break;
    case Severity::high:
      ++high;
      break;
    case Severity::medium:
      ++medium;
      break;
    case Severity::low:
      ++low;
      break;
    case Severity::none:
      ++none;
      break;
    case Severity::unknown:
      ++unknown;
      break;
  }
}

Counts count_findings(const std::vector<Finding>& findings) {
  Counts out;
  for (const Finding& finding : findings) out.add(finding.severity);
  return out;
}

}  // namespace caisson::scan
