// SPDX-License-Identifier: Apache-2.0
// Puts archive entries into a directory, and never anywhere else: names are cleaned, parents are opened beneath the
// directory with links resolved inside it (openat2 RESOLVE_IN_ROOT), so neither "..", nor an absolute name, nor a link
// on the way leaves it. Needs root for owners, devices and capabilities. One thread at a time.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "artifact/content/tar.h"
#include "core/base/result.h"

namespace caisson::content {

struct ExtractOptions {
  // `.wh.NAME` and `.wh..wh..opq` become overlayfs' own marks; otherwise they are files like others
  bool whiteouts = false;
};

class Extractor {
 public:
  static Result<Extractor> open(const std::string& directory, ExtractOptions options = {});
  Extractor(Extractor&&) noexcept;
  ~Extractor();

  // Makes `entry`; what is at its place is replaced (a directory is kept under a directory). `contents` is read for
  // files.
  // Errors: bad_request with the entry's name.
  Result<void> add(const TarEntry& entry, const ByteSource& contents);
  // Sets the times of directories, which adding their entries has moved. Call once, last.
  Result<void> finish();
  // Whether an entry replaced a file that an earlier one had made (then the archive can't be made again from the tree).
  bool replaced() const;

 private:
  struct Impl;
  explicit Extractor(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The path below a root that an entry's name means: "./a//b/" is "a/b", "/a" is "a", the root is "". Errors:
// bad_request for "..", NUL.
Result<std::string> entry_path(std::string_view name);

}  // namespace caisson::content
