// SPDX-License-Identifier: Apache-2.0
// AuditLog: the file that says who did what: one audit.k8s.io/v1 Event as JSON to a line, as kube-apiserver's
// --audit-log-path writes it, with its rotation (NAME-2026-11-21T10-00-00.000.log beside NAME.log). A line is written
// before the answer goes out: an answer that was seen is on record. Threads: any.
#pragma once
#include <memory>
#include <mutex>
#include <string>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/document/value.h"

namespace caisson::apiserver {

struct AuditLogOptions {
  std::string path;  // "/var/lib/caisson/audit/audit.log"
  std::uint64_t size_bytes_max = 100u << 20;
  std::size_t backups_max = 10;  // older ones are removed; 0: all are kept
  Duration age_max = {};         // of backups; 0: any
};

class AuditLog {
 public:
  // Errors: those of opening the file.
  static Result<std::unique_ptr<AuditLog>> open(AuditLogOptions options, Clock& clock);
  // A line that can't be written (a full disk) is told in the program's own log once, and again when writing works.
  void write(const Value& event);

 private:
  AuditLog(AuditLogOptions options, Clock& clock, UniqueFd file, std::uint64_t size_bytes);
  Result<void> append(const std::string& line);
  Result<void> rotate();
  Result<void> forget_old() const;

  const AuditLogOptions options_;
  Clock& clock_;
  std::mutex mutex_;
  UniqueFd file_;             // guarded by mutex_
  std::uint64_t size_bytes_;  // guarded by mutex_
  bool failing_ = false;      // guarded by mutex_
};

}  // namespace caisson::apiserver
