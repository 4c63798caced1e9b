// SPDX-License-Identifier: Apache-2.0
#include "main/platform/process_role.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

namespace caisson::platform {
namespace {
constexpr int kTrimEveryMs = 30'000;
}

Result<ProcessRole> ProcessRole::enter() {
  // Buffers of builds and layers go back at once; by itself the threshold grows with the first big one that is freed.
  ::mallopt(M_MMAP_THRESHOLD, 256 << 10);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
  ::mallopt(M_ARENA_MAX, 2);  // a heap for each of our mostly sleeping threads would hold what none of them needs
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!fd) return errno_error("signalfd");
  return ProcessRole(std::move(fd));
}

void ProcessRole::wait_for_end() {
  pollfd fd{signals_.get(), POLLIN, 0};
  // What a push left free in the heap goes back to the machine: most of the time nothing happens here.
  while (::poll(&fd, 1, kTrimEveryMs) <= 0) ::malloc_trim(0);
}

}  // namespace caisson::platform
