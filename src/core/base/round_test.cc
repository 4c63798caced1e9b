// SPDX-License-Identifier: Apache-2.0
#include "core/base/round.h"

#include <doctest/doctest.h>

#include <thread>

using namespace caisson;

TEST_CASE("what is put off is done once the round ends, in order, and at once outside of one") {
  std::vector<int> done;
  at_round_end([&] { done.push_back(1); });
  CHECK(done == std::vector<int>{1});
  {
    const Round round;
    at_round_end([&] { done.push_back(2); });
    at_round_end([&] { done.push_back(3); });
    std::thread([&] { at_round_end([&] { done.push_back(4); }); }).join();  // another thread's is not put off
    CHECK(done == std::vector<int>{1, 4});
    end_round();  // before this thread waits for somebody
    CHECK(done == std::vector<int>{1, 4, 2, 3});
    at_round_end([&] { done.push_back(5); });
    {
      const Round inner;
      at_round_end([&] { done.push_back(6); });
    }
    CHECK(done.back() == 6);
  }
  CHECK(done == std::vector<int>{1, 4, 2, 3, 6, 5});
}
