// SPDX-License-Identifier: Apache-2.0
#include "artifact/build/ssh_agent.h"

#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "core/base/text.h"

namespace caisson::build {
namespace {
constexpr Duration kStartMax = std::chrono::seconds(5), kLook = std::chrono::milliseconds(2);
}

Result<SshAgent> SshAgent::start(const std::string& private_key, uid_t uid, gid_t gid, unsigned mode) {
  TempDir directory = TRY(TempDir::make("caisson-ssh"));  // a path that `uid` can enter
  if (::chown(directory.path().c_str(), uid, gid) != 0) return errno_error("chown " + directory.path());
  const std::string socket = directory.path() + "/agent";
  // It ends with the command that it runs, and that with our end of its input: no key outlives this program.
  Command command{.args = {"ssh-agent", "-a", socket, "cat"}};
  command.uid = uid;
  Process process = TRY(Process::start(command, {.in = Process::Io::pipe}));
  const Duration until = system_clock().monotonic() + kStartMax;
  while (!exists(socket)) {
    if (system_clock().monotonic() > until) return Error{ErrorCode::timeout, "ssh-agent does not start"};
    std::this_thread::sleep_for(kLook);
  }
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
