// SPDX-License-Identifier: Apache-2.0
// What one file says: packages of the managers that keep their lists in files, the operating system, secrets. Formats:
// dpkg's status and status.d (distroless), apk's installed, npm's package.json and package-lock.json (v1 to v3),
// Python's
// *.dist-info/METADATA and *.egg-info, jars (pom.properties, MANIFEST.MF, jars inside, three deep), Go's build
// information (Go 1.18 and later), rpm's rpmdb.sqlite. A file that is broken has no packages: images hold much that
// only looks like one of these. Pure functions; any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/content/source.h"
#include "artifact/scan/package.h"

namespace caisson::scan {

// How a file is to be read.
enum class FileKind : std::uint8_t {
  none,
  os_release,
  dpkg_status,
  apk_installed,
  rpm_database,
  package_json,
  package_lock,
  python_metadata,
  jar,
  program,  // may be of Go
  text,     // may hold secrets
};
// By path (relative to the root), permission bits and size.
FileKind kind_of(std::string_view path, std::uint32_t mode, std::uint64_t size_bytes);
// The most that is read of a file of that kind; a larger one is left out (0: streamed, no limit).
std::uint64_t size_bytes_max(FileKind kind);

struct FileFindings {
  std::string path;
  std::vector<Package> packages;  // without layer; OS packages have no ecosystem until the OS is known
  std::vector<Secret> secrets;
  std::optional<OsRelease> os;
  bool operator==(const FileFindings&) const = default;
};

// `bytes` is the whole file. Not for programs.
FileFindings analyze_file(FileKind kind, const std::string& path, const std::string& bytes);
// The modules of a Go program, found while it streams by; nothing for other programs. Reads `source` to its end.
Result<FileFindings> analyze_program(const std::string& path, const content::ByteSource& source);

// The formats one by one.
OsRelease parse_os_release(std::string_view text);
std::vector<Package> parse_dpkg_status(std::string_view text);
std::vector<Package> parse_apk_installed(std::string_view text);
std::vector<Package> parse_package_json(std::string_view text);
std::vector<Package> parse_package_lock(std::string_view text);
std::vector<Package> parse_python_metadata(std::string_view text);
std::vector<Package> parse_jar(std::string_view path, const std::string& bytes);
std::vector<Package> parse_rpm_database(const std::string& bytes);
std::vector<Package> parse_go_modules(std::string_view version, std::string_view modules);

}  // namespace caisson::scan
