// SPDX-License-Identifier: Apache-2.0
// Writes a large file piece by piece: into a temporary file beside its place, which it takes when it is whole and
// synced. One thread.
#pragma once
#include <string>
#include <string_view>

#include "core/base/file.h"

namespace caisson::metrics {

class FileWriter {
 public:
  // Errors: those of the file system; unavailable when the disk is full, as below.
  static Result<FileWriter> create(const std::string& path);
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&&) = delete;
  ~FileWriter();  // removes what was not finished

  Result<void> put(std::string_view bytes);
  std::uint64_t at() const { return at_; }    // how much was put
  std::uint32_t crc() const;                  // CRC-32C of what was put
  Result<void> finish();

 private:
  FileWriter(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string temporary() const { return path_ + ".new"; }
  Result<void> flush();

  std::string path_;
  UniqueFd fd_;  // closed: finished or moved from
  std::string buffer_;
  std::uint64_t at_ = 0;
  std::uint32_t crc_ = 0;  // of what was flushed
};

}  // namespace caisson::metrics
