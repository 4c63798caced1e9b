// SPDX-License-Identifier: Apache-2.0
// For tests: kill -9 of a process that stores one thing after the other. The oracle is another process: what was asked
// for and what was acknowledged stand in memory that both share. CAISSON_SOAK_KILLS: how many kills (default: a slice).
#pragma once
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <random>
#include <thread>

namespace caisson::metrics {

struct KillProgress {
  std::atomic<std::int64_t> asked{0}, acknowledged{0};  // numbers from 1 on
  std::atomic<bool> ready{false};                       // it is open, and writing
};

// `write` stores the numbers behind progress.asked until it is killed; it returns when something fails. `stored` opens
// what is left and gives how many numbers are there, having checked that none is missing and none is there twice.
inline void kill_again_and_again(const std::function<void(KillProgress&)>& write,
                                 const std::function<std::int64_t()>& stored) {
  constexpr int kKillsDefault = 15;
  constexpr auto kKilledWithin = std::chrono::microseconds(20'000);
  const std::uint32_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937 random(seed);
  void* memory = ::mmap(nullptr, sizeof(KillProgress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  KillProgress& progress = *new (memory) KillProgress;
  const char* wanted = std::getenv("CAISSON_SOAK_KILLS");
  const int kills = wanted ? std::max(1, std::atoi(wanted)) : kKillsDefault;
  for (int i = 0; i < kills; ++i) {
    progress.ready = false;
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      write(progress);
      ::_exit(1);
    }
    // Not a wait for something: the moment of the kill is what is tried. Some come while it opens.
    if (random() % 8 != 0)
      while (!progress.ready && ::kill(child, 0) == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % kKilledWithin.count()));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    const std::int64_t there = stored();
    CHECK(there >= progress.acknowledged);
    CHECK(there <= progress.asked);
    progress.asked = progress.acknowledged = there;
  }
  MESSAGE(kills, " kills, ", progress.acknowledged.load(), " stored");
  CHECK(progress.acknowledged > 0);
  ::munmap(memory, sizeof(KillProgress));
}

}  // namespace caisson::metrics
