// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/storage/wal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "core/base/text.h"
#include "observe/metrics/storage/crc32c.h"
#include "observe/metrics/storage/mapped_file.h"

namespace caisson::metrics {
namespace {

constexpr std::size_t kHeadBytes = 8;

std::uint32_t load_u32(std::string_view bytes) {
  std::uint32_t value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// Reads whole records; gives where they end.
Result<std::size_t> replay_segment(std::string_view bytes,
                                   const std::function<Result<void>(std::string_view)>& replay) {
  std::size_t at = 0;
  while (bytes.size() - at >= kHeadBytes) {
    const std::uint32_t length = load_u32(bytes.substr(at)), crc = load_u32(bytes.substr(at + 4));
    if (length == 0 || length > bytes.size() - at - kHeadBytes) break;  // zeros: a file made longer, but not written
    const std::string_view payload = bytes.substr(at + kHeadBytes, length);
    if (crc32c(payload) != crc) break;
    TRY(replay(payload));
    at += kHeadBytes + length;
  }
  return at;
}

}  // namespace

std::string WriteAheadLog::path_of(std::uint64_t number) const {
  const std::string digits = std::to_string(number);
  return dir_ + "/" + std::string(digits.size() < 8 ? 8 - digits.size() : 0, '0') + digits;
}

Result<WriteAheadLog> WriteAheadLog::open(const std::string& dir,
                                          const std::function<Result<void>(std::string_view)>& replay,
                                          std::uint64_t first) {
  TRY(make_dirs(dir));
  WriteAheadLog log;
  log.dir_ = dir;
  TRY(log.drop_before(first));
  const auto names = TRY(list_dir(dir));
  std::uint64_t last = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto number = parse_int(names[i]);
    if (!number) continue;
    last = static_cast<std::uint64_t>(*number);
    const std::string path = dir + "/" + names[i];
    const MappedFile file = TRY(MappedFile::open(path));
    const std::size_t end = TRY(replay_segment(file.bytes(), replay));
    log.total_bytes_ += end;
    if (end == file.bytes().size()) continue;
    if (i + 1 < names.size())
      return Error{ErrorCode::invalid, path + ": record at byte " + std::to_string(end) + " is damaged"};
    if (::truncate(path.c_str(), static_cast<off_t>(end)) != 0) return errno_error("truncate " + path);
  }
  TRY(log.open_segment(std::max<std::uint64_t>({last, first, 1})));
  return log;
}

Result<void> WriteAheadLog::open_segment(std::uint64_t number) {
  const std::string path = path_of(number);
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!file) return errno_error("open " + path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return errno_error("stat " + path);
  TRY(sync_dir(dir_));
  file_ = std::move(file);
  segment_ = number;
  segment_bytes_ = static_cast<std::uint64_t>(info.st_size);
  return {};
}

Result<void> WriteAheadLog::append(std::string_view payload) {
  if (payload.size() > kRecordBytesMax) return Error{ErrorCode::too_large, "log record is too large"};
  if (segment_bytes_ >= kSegmentBytes) TRY(open_segment(segment_ + 1));
  const std::uint32_t head[2] = {static_cast<std::uint32_t>(payload.size()), crc32c(payload)};
  auto written = write_all(file_.get(), {reinterpret_cast<const char*>(head), sizeof head});
  if (written.ok()) written = write_all(file_.get(), payload);
  if (written.ok() && ::fdatasync(file_.get()) != 0) written = errno_error("sync " + path_of(segment_));
  if (!written.ok()) {  // take back what was written of it
    if (::ftruncate(file_.get(), static_cast<off_t>(segment_bytes_)) != 0)
      return std::move(written).error().in("log is not usable any more");
    return written;
  }
  segment_bytes_ += sizeof head + payload.size();
  total_bytes_ += sizeof head + payload.size();
  return {};
}

Result<std::uint64_t> WriteAheadLog::cut() {
  TRY(open_segment(segment_ + 1));
  return segment_;
}

Result<void> WriteAheadLog::drop_before(std::uint64_t segment) {
  for (const std::string& name : TRY(list_dir(dir_))) {
    const auto number = parse_int(name);
    if (!number || static_cast<std::uint64_t>(*number) >= segment) continue;
    TRY(remove_file(dir_ + "/" + name));
  }
  total_bytes_ = segment_bytes_;
  return {};
}

}  // namespace caisson::metrics
