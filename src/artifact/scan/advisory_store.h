// SPDX-License-Identifier: Apache-2.0
// Advisories on disk (SQLite), found by ecosystem and package, and which image holds which package, so that a new
// advisory finds the images that it is about without looking into any of them. Invariant: what was imported twice is
// there once; an import is one transaction, so a scan sees it whole or not at all. The file can be deleted at any time:
// it is made again from the bundle. Threads: any.
#pragma once
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "artifact/scan/advisory.h"
#include "artifact/scan/package.h"
#include "core/base/result.h"
#include "core/document/value.h"

namespace caisson::scan {

using PackageRef = std::pair<std::string, std::string>;  // ecosystem with release, package: ("Debian:12", "openssl")

struct ImportResult {
  int added = 0, changed = 0, unchanged = 0;
  std::vector<std::string> skipped;  // files and records that are none of the two formats, with why
  std::set<PackageRef> touched;      // whose advisories are others now
};

// What is known of a CVE whichever record said it.
struct Rating {
  Severity severity = Severity::unknown;
  std::optional<double> score;
  std::string cvss, title;
};

// An advisory with the one part of it that is about the package asked for.
struct AdvisoryMatch {
  Advisory advisory;  // `affected` has one entry
};

class AdvisoryStore {
 public:
  static Result<AdvisoryStore> open(const std::string& path);
  AdvisoryStore(AdvisoryStore&&) noexcept;
  ~AdvisoryStore();

  // OSV records (one, or a list) and Debian's tracker file, told apart by their shape. Only what changed is written.
  Result<ImportResult> import_documents(const std::vector<std::pair<std::string, Value>>& documents);
  // Files one after the other, so that no more than one is in memory: `feed` calls the sink with a name and the bytes
  // of a JSON document or of a zip of them. An error of `feed` takes everything back. `bundle`
  // names what was read, for `last_bundle`; it is kept with it or not at all.
  using FileSink = std::function<Result<void>(const std::string& name, const std::string& bytes)>;
  Result<ImportResult> import_files(const std::function<Result<void>(const FileSink&)>& feed,
                                    std::string_view bundle = {});
  // A .json file, a zip of them (OSV's exports), or a folder of both. Errors: not_found; what is broken is skipped by
  // name.
  Result<ImportResult> import_path(const std::string& path);

  Result<std::vector<AdvisoryMatch>> find(std::string_view ecosystem, std::string_view package) const;
  Result<std::optional<Rating>> rating(std::string_view cve) const;
  Result<std::int64_t> count() const;
  Result<std::string> last_bundle() const;  // empty: none
  Result<std::string> last_import() const;  // RFC 3339; empty: never

  // Which packages an image has, by the names that advisories use.
  Result<void> record_image(const std::string& digest, const std::set<PackageRef>& packages);
  Result<void> forget_image(const std::string& digest);
  Result<std::vector<std::string>> images_with(const std::set<PackageRef>& packages) const;  // digests, sorted

 private:
  struct Impl;
  explicit AdvisoryStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::scan
