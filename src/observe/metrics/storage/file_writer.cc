// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/file_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/base/log.h"
#include "observe/metrics/storage/crc32c.h"

namespace caisson::metrics {
namespace {

constexpr std::size_t kBufferBytes = 1u << 20;

}  // namespace

Result<FileWriter> FileWriter::create(const std::string& path) {
  const std::string temporary = path + ".new";
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
  if (!fd) return errno_error("open " + temporary);
  return FileWriter(path, std::move(fd));
}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::move(other.fd_)),
      buffer_(std::move(other.buffer_)),
      at_(other.at_),
      crc_(other.crc_) {}

FileWriter::~FileWriter() {
  if (!fd_) return;
  if (const auto removed = remove_file(temporary()); !removed.ok())
    log::warning("unfinished file is left", {{"file", temporary()}, {"error", removed.error()}});
}

Result<void> FileWriter::put(std::string_view bytes) {
  at_ += bytes.size();
  buffer_ += bytes;
  if (buffer_.size() < kBufferBytes) return {};
  return flush();
}

Result<void> FileWriter::flush() {
  crc_ = crc32c(buffer_, crc_);
  TRY(write_all(fd_.get(), buffer_).in("write " + temporary()));
  buffer_.clear();
  return {};
}

std::uint32_t FileWriter::crc() const {
  return crc32c(buffer_, crc_);
}

Result<void> FileWriter::finish() {
  TRY(flush());
  if (::fdatasync(fd_.get()) != 0) return errno_error("sync " + temporary());
  TRY(rename_file(temporary(), path_));
  fd_.reset();
  return sync_dir(path_dir(path_));
}

}  // namespace caisson::metrics
