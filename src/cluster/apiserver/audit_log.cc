// SPDX-License-Identifier: Apache-2.0
#include "cluster/apiserver/audit_log.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"

namespace caisson::apiserver {
namespace {

Result<UniqueFd> open_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file) return errno_error("open " + path);
  return file;
}

// "audit.log" is kept as "audit-2026-11-21T10-00-00.000.log".
struct Name {
  std::string directory, stem, extension;
  explicit Name(const std::string& path) : directory(path_dir(path)), stem(path_base(path)) {
    const std::size_t dot = stem.rfind('.');
    if (dot == std::string::npos) return;
    extension = stem.substr(dot);
    stem.resize(dot);
  }
  std::string backup(Time time) const {
    const std::string stamp = replace_all(format_time_micros(time), ":", "-");  // "2026-11-21T10-00-00.123456Z"
    return directory + "/" + stem + "-" + stamp.substr(0, stamp.size() - 4) + extension;
  }
  // When a file of the directory was put aside; nothing when it is none of ours.
  std::optional<Time> time_of(const std::string& file) const {
    if (!file.starts_with(stem + "-") || !file.ends_with(extension)) return std::nullopt;
    std::string stamp = file.substr(stem.size() + 1, file.size() - stem.size() - 1 - extension.size());
    constexpr std::size_t kMinutes = 13, kSeconds = 16;  // where the colons were
    if (stamp.size() <= kSeconds) return std::nullopt;
    stamp[kMinutes] = stamp[kSeconds] = ':';
    return parse_time(stamp + "Z");
  }
};

}  // namespace

Result<std::unique_ptr<AuditLog>> AuditLog::open(AuditLogOptions options, Clock& clock) {
  UniqueFd file = TRY(open_file(options.path).in("audit log"));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return errno_error("stat " + options.path);
  return std::unique_ptr<AuditLog>(
      new AuditLog(std::move(options), clock, std::move(file), static_cast<std::uint64_t>(info.st_size)));
}

AuditLog::AuditLog(AuditLogOptions options, Clock& clock, UniqueFd file, std::uint64_t size_bytes)
    : options_(std::move(options)), clock_(clock), file_(std::move(file)), size_bytes_(size_bytes) {}

void AuditLog::write(const Value& event) {
  const std::string line = json::write(event) + "\n";
  const std::lock_guard lock(mutex_);
  const auto written = append(line);
  if (!written.ok() && !failing_)
    log::error("audit log not written", {{"path", options_.path}, {"error", written.error()}});
  if (written.ok() && failing_) log::info("audit log is written again", {{"path", options_.path}});
  failing_ = !written.ok();
}

Result<void> AuditLog::append(const std::string& line) {
  if (size_bytes_ > 0 && size_bytes_ + line.size() > options_.size_bytes_max) TRY(rotate());
  TRY(write_all(file_.get(), line));
  size_bytes_ += line.size();
  return {};
}

Result<void> AuditLog::rotate() {
  TRY(rename_file(options_.path, Name(options_.path).backup(clock_.now())));
  file_ = TRY(open_file(options_.path));
  size_bytes_ = 0;
  return forget_old();
}

Result<void> AuditLog::forget_old() const {
  const Name name(options_.path);
  const auto files = TRY(list_dir(name.directory));
  std::vector<std::pair<Time, std::string>> backups;
  for (const std::string& file : files)
    if (const auto time = name.time_of(file)) backups.emplace_back(*time, file);
  std::sort(backups.rbegin(), backups.rend());  // newest first
  for (std::size_t i = 0; i < backups.size(); ++i) {
    const bool many = options_.backups_max > 0 && i >= options_.backups_max;
    const bool old = options_.age_max > Duration(0) && backups[i].first + options_.age_max < clock_.now();
    if (many || old) TRY(remove_file(name.directory + "/" + backups[i].second));
  }
  return {};
}

}  // namespace caisson::apiserver
