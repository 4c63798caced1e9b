// SPDX-License-Identifier: Apache-2.0
// What a scan finds in a file system: packages, the operating system, secrets. Plain data.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/content/digest.h"
#include "artifact/scan/cvss.h"

namespace caisson::scan {

struct OsRelease {
  std::string id, version_id, pretty_name;  // os-release(5): "debian", "12"
  bool empty() const { return id.empty(); }
  bool operator==(const OsRelease&) const = default;
};

// One installed package. Distribution packages (`is_os`) are told of by their source package in advisories of Debian
// and Alpine, so both names are kept.
struct Package {
  std::string ecosystem;  // as OSV names it, without a release: "Debian", "Alpine", "npm", "PyPI", "Go", "Maven"
  std::string name, version;
  std::string source_name, source_version;  // empty: the package's own
  std::string architecture, license;
  std::string path;       // of the file that says so, relative to the root
  content::Digest layer;  // the lowest layer that has this version; empty in a directory

  const std::string& advisory_name() const { return source_name.empty() ? name : source_name; }
  const std::string& advisory_version() const { return source_version.empty() ? version : source_version; }
  bool is_os() const;
  bool operator==(const Package&) const = default;
};

struct Secret {
  std::string rule, title;  // "aws-access-key-id"
  Severity severity = Severity::high;
  std::string path;
  int line = 0;
  std::string match;      // the line with the secret itself hidden
  content::Digest layer;  // a secret that a later layer deletes is still in this one
  bool operator==(const Secret&) const = default;
};

struct Inventory {
  OsRelease os;
  std::vector<Package> packages;  // sorted by ecosystem, name, version, path
  std::vector<Secret> secrets;
  bool operator==(const Inventory&) const = default;
};

// The ecosystem with the release that advisories are kept by: "Debian:12", "Alpine:v3.18", "npm".
std::string advisory_ecosystem(const Package& package, const OsRelease& os);
// Package URL (purl-spec): "pkg:deb/debian/bash@5.2.15-2%2Bb2?arch=amd64&distro=debian-12".
std::string package_url(const Package& package, const OsRelease& os);
// The inverse, as far as a Package can say it. Nothing for a type that is not known.
std::optional<Package> parse_package_url(std::string_view url, OsRelease* os);

}  // namespace caisson::scan
