// SPDX-License-Identifier: Apache-2.0
// Advisories as data, and the two formats they come in: OSV records (ossf.github.io/osv-schema 1.6) and the file of
// Debian's security tracker (security-tracker.debian.org/tracker/data/json). Pure functions; any thread.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/scan/cvss.h"
#include "artifact/scan/version.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::scan {

// Versions from `introduced` ("0": from the first) up to, not including, `fixed`, or up to and including
// `last_affected`. Both empty: no fix is known.
struct VersionRange {
  std::string introduced = "0", fixed, last_affected;
  bool operator==(const VersionRange&) const = default;
};

struct Affected {
  std::string ecosystem, package;  // "Debian:12", "openssl"
  std::vector<VersionRange> ranges;
  std::vector<std::string> versions;  // besides the ranges
  std::optional<Severity> severity;   // what the vendor says for this package
  bool operator==(const Affected&) const = default;
};

struct Advisory {
  std::string source, id;            // "osv", "GHSA-…"; "debian", "CVE-…"
  std::vector<std::string> aliases;  // other names; a CVE among them is what reports say
  std::string title, url, published, modified;
  std::string cvss;  // vector; empty: none
  std::optional<double> score;
  Severity severity = Severity::unknown;
  bool withdrawn = false;
  std::vector<Affected> affected;
  bool operator==(const Advisory&) const = default;

  // The name that people search for: the one CVE among id and aliases, else the id.
  std::string name() const;
};

// Errors: invalid, with what is missing.
Result<Advisory> parse_osv(const Value& record);
// All advisories of one package of the tracker's file. Releases by their names ("bookworm") that are not known are left
// out.
std::vector<Advisory> parse_debian_package(std::string_view package, const Value& entries);
bool is_osv(const Value& document);             // has an id and a schema's shape
bool is_debian_tracker(const Value& document);  // package → CVE → releases

// Whether `version` is affected; `fixed` gets the version that ends its range, empty when there is none.
bool is_affected(VersionScheme scheme, const Affected& affected, std::string_view version, std::string& fixed);

}  // namespace caisson::scan
