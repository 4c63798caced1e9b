// SPDX-License-Identifier: Apache-2.0
// Which of two versions is later, by the rules of those who wrote them. Sources: deb-version(7) of dpkg 1.21;
// apk-tools 2.14 (apk-package(5), "pkgver"); rpm 4.18 rpmvercmp with epoch, tilde and caret; Semantic Versioning 2.0.0;
// PEP 440; the version order specification of Maven's POM reference. Pure functions; any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace caisson::scan {

enum class VersionScheme : std::uint8_t { dpkg, apk, rpm, semver, pep440, maven };

// Of an ecosystem as OSV names it, with or without a release: "Debian:12", "Alpine:v3.18", "npm", "PyPI", "Go",
// "Maven". Nothing for one that is not known.
std::optional<VersionScheme> scheme_of(std::string_view ecosystem);

// Below 0: `a` is the earlier; 0: the same; above 0: the later. Any text is taken: what the scheme does not allow has a
// place in the order too, so a database with a slip in one entry doesn't stop a scan.
int compare_versions(VersionScheme scheme, std::string_view a, std::string_view b);

// The schemes one by one; of this room only.
int compare_dpkg(std::string_view a, std::string_view b);
int compare_apk(std::string_view a, std::string_view b);
int compare_rpm(std::string_view a, std::string_view b);
int compare_semver(std::string_view a, std::string_view b);
int compare_pep440(std::string_view a, std::string_view b);
int compare_maven(std::string_view a, std::string_view b);

}  // namespace caisson::scan
