// SPDX-License-Identifier: Apache-2.0
// CrashFile: which key was being reconciled when the process crashed. Its records lie in a file mapped into memory, so
// that noting a key costs a copy, and what was noted survives the process (not the machine, whose loss is nobody's
// fault here).
//
// Only the thread that got the fatal signal (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT) marks its key; a process killed
// from outside blames nobody. A key that crashed the process twice in a row is held for an hour after the last crash.
// Any thread. One CrashFile with a file at a time in a process: signal handlers are the process's.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/result.h"

namespace caisson::kube {

class CrashFile {
 public:
  static constexpr int kCrashesMax = 2;
  static constexpr Duration kHeldFor = std::chrono::hours(1);

  static Result<std::unique_ptr<CrashFile>> open(const std::string& path, Clock& clock);
  ~CrashFile();

  bool is_held(std::string_view reconciler, std::string_view key) const;
  std::vector<std::string> held() const;  // "deployment shop/frontend"

  // Around a run, on the thread that runs.
  void begin(std::string_view reconciler, std::string_view key);
  void end();
  // A thread that calls begin must have called this first, so that a stack overflow can be noted too.
  static void prepare_thread();

 private:
  struct Impl;
  explicit CrashFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::kube
