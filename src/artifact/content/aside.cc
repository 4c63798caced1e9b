// SPDX-License-Identifier: Apache-2.0
#include "artifact/content/aside.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "core/base/file.h"

namespace caisson::content {
namespace {

// Nothing when it is absent.
std::optional<Time> touched_at(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
  return Time(std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec));
}

}  // namespace

bool touch_file(const std::string& path) {
  timespec times[2];
  clock_gettime(CLOCK_REALTIME, &times[0]);  // UTIME_NOW is some milliseconds behind
  times[1] = times[0];
  return ::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<bool> put_aside_if_older(const std::string& path, const std::string& aside, Time than) {
  const auto before = touched_at(path);
  if (!before || *before > than) return false;
  TRY(rename_file(path, aside));
  const auto after = touched_at(aside);
  if (!after || *after <= than) return true;
  if (!exists(path)) TRY(rename_file(aside, path));  // put again meanwhile: then the new one stays
  return false;
}

Result<bool> remove_file_if_older(const std::string& path, const std::string& aside, Time than) {
  if (!TRY(put_aside_if_older(path, aside, than))) return false;
  TRY(remove_file(aside));
  return true;
}

}  // namespace caisson::content
