// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/ssh_agent.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/text.h"

namespace caisson::build {
namespace {

constexpr int kStartMsMax = 5000;

// OpenSSH's agent becomes the command that it was given once its socket is there: the first byte of that says so.
Result<void> wait_for_start(const Process& process) {
  pollfd out{process.out(), POLLIN, 0};
  if (::poll(&out, 1, kStartMsMax) == 0) return Error{ErrorCode::timeout, "ssh-agent does not start"};
  char byte;
  if (::read(process.out(), &byte, 1) == 1) return {};
  return Error{ErrorCode::unavailable, "ssh-agent ended before it listened"};
}

}  // namespace

Result<SshAgent> SshAgent::start(const std::string& private_key, uid_t uid, gid_t gid, unsigned mode) {
  TempDir directory = TRY(TempDir::make("caisson-ssh"));  // a path that `uid` can enter
  if (::chown(directory.path().c_str(), uid, gid) != 0) return errno_error("chown " + directory.path());
  const std::string socket = directory.path() + "/agent";
  // It ends with the command that it runs, and that with our end of its input: no key outlives this program.
  Command command{.args = {"ssh-agent", "-a", socket, "cat", "/proc/self/comm", "-"}};
  command.uid = uid;
  Process process = TRY(Process::start(command, {.in = Process::Io::pipe, .out = Process::Io::pipe}));
  TRY(wait_for_start(process));
  if (::chown(socket.c_str(), uid, gid) != 0 || ::chmod(socket.c_str(), mode) != 0)
    return errno_error("hand over " + socket);
  const Exit added = TRY(run({.args = {"ssh-add", "-q", "-"},
                              .env = {{"SSH_AUTH_SOCK", socket}, {"SSH_ASKPASS_REQUIRE", "never"}},
                              .input = private_key,
                              .time_max = std::chrono::seconds(10)}));
  if (!added.ok())
    return Error{ErrorCode::invalid,
                 "it is no private key, or one with a passphrase: " + std::string(caisson::trim(added.err))};
  return SshAgent(std::move(directory), std::move(process));
}

}  // namespace caisson::build
