// SPDX-License-Identifier: Apache-2.0
// OpenSSH's agent with one key, for RUN --mount=type=ssh: the step may sign with the key and can't read it. One object
// is one agent; it ends with the object, or some seconds after this program. Any thread.
#pragma once
#include <sys/types.h>

#include <string>

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/result.h"

namespace caisson::build {

class SshAgent {
 public:
  // The socket is of `uid` and `gid`, with `mode`; the agent talks to `uid` and root alone.
  // Errors: invalid (no private key, or one with a passphrase), not_found (no OpenSSH here).
  static Result<SshAgent> start(const std::string& private_key, uid_t uid, gid_t gid, unsigned mode);

  std::string socket() const { return directory_.path() + "/agent"; }

 private:
  SshAgent(TempDir directory, Process process) : directory_(std::move(directory)), process_(std::move(process)) {}
  TempDir directory_;
  Process process_;
};

}  // namespace caisson::build
