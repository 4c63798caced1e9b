// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/lanes.h"

#include <doctest/doctest.h>

#include <atomic>
#include <future>

using namespace caisson;
using caisson::gitops::Lanes;

namespace {

constexpr std::chrono::seconds kLongEnough{20};

// Tasks that run until they are let go.
struct Gate {
  std::promise<void> open;
  std::shared_future<void> opened = open.get_future().share();
  std::atomic<int> inside{0};
  std::function<void()> task() {
    return [this] {
      ++inside;
      opened.wait();
    };
  }
};

}  // namespace

TEST_CASE("quick tasks run so many at once, and all of them") {
  std::atomic<int> now{0}, most{0}, done{0};
  {
    WorkerPool pool("test", 8);
    Lanes lanes(pool, {.at_once = 2, .long_ones_max = 2, .of_a_key_max = 9, .long_after = std::chrono::hours(1)});
    for (int i = 0; i < 300; ++i) {
      REQUIRE(lanes
                  .run(i % 2 == 0 ? "a" : "b",
                       [&] {
                         const int there = ++now;
                         for (int seen = most; there > seen && !most.compare_exchange_weak(seen, there);) {
                         }
                         std::this_thread::yield();
                         --now;
                         ++done;
                       })
                  .ok());
    }
  }  // the pool ends after what waits
  CHECK(done == 300);
  CHECK(most <= 2);
}

TEST_CASE("a task that takes long gives its place to the next") {
  Gate stuck;
  WorkerPool pool("test", 5);
  Lanes lanes(pool, {.at_once = 2, .long_ones_max = 2, .of_a_key_max = 9, .long_after = std::chrono::milliseconds(5)});
  for (int i = 0; i < 2; ++i) REQUIRE(lanes.run("host", stuck.task()).ok());
  std::promise<void> ran;
  REQUIRE(lanes.run("other", [&] { ran.set_value(); }).ok());
  CHECK(ran.get_future().wait_for(kLongEnough) == std::future_status::ready);
  stuck.open.set_value();
}

TEST_CASE("of tasks that take long there are only so many, and one more waits for an end") {
  Gate stuck;
  std::atomic<bool> ran{false};
  {
    WorkerPool pool("test", 5);
    Lanes lanes(pool, {.at_once = 2, .long_ones_max = 2, .of_a_key_max = 9, .long_after = Duration(0)});
    for (int i = 0; i < 4; ++i) REQUIRE(lanes.run("host", stuck.task()).ok());
    while (stuck.inside < 4) std::this_thread::yield();
    REQUIRE(lanes.run("other", [&] { ran = true; }).ok());
    std::promise<void> elsewhere;
    REQUIRE(pool.run([&] { elsewhere.set_value(); }).ok());
    elsewhere.get_future().wait();  // the pool has a thread, and still
    CHECK_FALSE(ran);
    stuck.open.set_value();
  }
  CHECK(ran);
}

TEST_CASE("tasks of one key take so many places, and another's goes past those that wait") {
  Gate stuck;
  WorkerPool pool("test", 6);
  Lanes lanes(pool, {.at_once = 3, .long_ones_max = 2, .of_a_key_max = 2, .long_after = std::chrono::hours(1)});
  for (int i = 0; i < 4; ++i) REQUIRE(lanes.run("host", stuck.task()).ok());
  std::promise<void> ran;
  REQUIRE(lanes.run("other", [&] { ran.set_value(); }).ok());
  CHECK(ran.get_future().wait_for(kLongEnough) == std::future_status::ready);
  while (stuck.inside < 2) std::this_thread::yield();
  CHECK(stuck.inside == 2);
  stuck.open.set_value();
}

TEST_CASE("more tasks than may wait are refused") {
  Gate stuck;
  WorkerPool pool("test", 3);
  Lanes lanes(
      pool,
      {.at_once = 1, .long_ones_max = 1, .of_a_key_max = 9, .queued_max = 2, .long_after = std::chrono::hours(1)});
  for (int i = 0; i < 3; ++i) REQUIRE(lanes.run("host", stuck.task()).ok());
  CHECK(lanes.run("other", [] {}).error().code == ErrorCode::too_many_requests);
  stuck.open.set_value();
}
