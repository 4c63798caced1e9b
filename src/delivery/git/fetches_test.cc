// SPDX-License-Identifier: Apache-2.0
#include "delivery/git/fetches.h"

#include <doctest/doctest.h>

#include <future>
#include <vector>

namespace caisson::git {
namespace {

TEST_CASE("who asks while a fetch is under way shares the next one") {
  Fetches fetches;
  std::promise<void> begun, go_on;
  int count = 0;  // fetches never overlap
  auto first = std::async(std::launch::async, [&] {
    return fetches.run("u", [&]() -> Result<void> {
      ++count;
      begun.set_value();
      go_on.get_future().wait();
      return {};
    });
  });
  begun.get_future().wait();
  std::vector<std::future<Result<void>>> others;
  std::atomic<int> waiting = 0;
  for (int i = 0; i < 8; ++i) {
    others.push_back(std::async(std::launch::async, [&] {
      ++waiting;
      return fetches.run("u", [&]() -> Result<void> {
        ++count;
        return Error{ErrorCode::unavailable, "away"};
      });
    }));
  }
  while (waiting < 8) std::this_thread::yield();
  go_on.set_value();
  CHECK(first.get().ok());
  // What was pushed after the first began may be missing there: it does not serve those who came later.
  for (auto& one : others) CHECK(one.get().error().message == "away");
  CHECK(count >= 2);
  CHECK(fetches.run("u", [] { return Result<void>(); }).ok());
}

TEST_CASE("a host that hangs holds up one, and rests after it failed") {
  FakeClock clock;
  Fetches fetches(clock, {.others_wait_max = Duration(0)});
  const Error hung{ErrorCode::timeout, "no answer"};
  const auto failed = fetches.run("https://h/a.git", [&]() -> Result<void> {
    const auto second = std::async(std::launch::async, [&] {
                          return fetches.run("https://h/a.git", [] { return Result<void>(); });
                        }).get();
    CHECK(second.error().code == ErrorCode::unavailable);
    CHECK(second.error().message == "fetch https://h/a.git: still under way, and waited for");
    clock.advance(std::chrono::minutes(2));
    return hung;
  });
  CHECK(failed.error().message == "no answer");
  clock.advance(std::chrono::seconds(29));
  bool asked = false;
  const auto ask = [&]() -> Result<void> {
    asked = true;
    return {};
  };
  CHECK(fetches.run("https://h/a.git", ask).error().message == "no answer");
  CHECK_FALSE(asked);
  clock.advance(std::chrono::seconds(1));
  CHECK(fetches.run("https://h/a.git", ask).ok());
  CHECK(asked);
}

TEST_CASE("a quick failure is tried again at once") {
  FakeClock clock;
  Fetches fetches(clock);
  CHECK_FALSE(fetches.run("u", [] { return Result<void>(Error{ErrorCode::unauthorized, "no"}); }).ok());
  clock.advance(std::chrono::seconds(1));
  CHECK(fetches.run("u", [] { return Result<void>(); }).ok());
}

}  // namespace
}  // namespace caisson::git
