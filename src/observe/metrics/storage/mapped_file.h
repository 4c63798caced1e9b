// SPDX-License-Identifier: Apache-2.0
// A file that never changes, read through a mapping. Any thread.
#pragma once
#include <string>
#include <string_view>
#include <utility>

#include "core/base/result.h"

namespace caisson::metrics {

class MappedFile {
 public:
  MappedFile() = default;
  // An empty file has no bytes. Errors: not_found and those of the file system.
  static Result<MappedFile> open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::string_view bytes() const { return bytes_; }
  // What was read of it stays on the disk alone. Called by who reads a large file once, now and then.
  void forget_pages() const;

 private:
  std::string_view bytes_;
};

}  // namespace caisson::metrics
