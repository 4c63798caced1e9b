// SPDX-License-Identifier: Apache-2.0
#include "machine/node/cpu_rates.h"

#include <doctest/doctest.h>

using namespace caisson;
using namespace caisson::node;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kCore = 1'000'000'000;  // what one processor gives in a second

const Time kStart = Time(1'700'000'000s);

}  // namespace

TEST_CASE("before the second look the rate is the mean since the start") {
  CpuRates rates;
  CHECK(rates.look("a", 5 * kCore, kStart, kStart + 10s) == kCore / 2);
  CHECK(rates.look("new", 0, kStart, kStart) == 0);
}

TEST_CASE("a rate is of the last seconds, however often one looks") {
  CpuRates rates;
  rates.look("a", 100 * kCore, kStart, kStart + 100s);
  CHECK(rates.look("a", 102 * kCore, kStart, kStart + 110s) == kCore / 5);
  CHECK(rates.look("a", 102 * kCore + kCore / 10, kStart, kStart + 110s + 500ms) == kCore / 5);  // 2.1 s in 10.5
  CHECK(rates.look("a", 112 * kCore, kStart, kStart + 120s) == kCore);
}

TEST_CASE("a container that started anew begins at nothing") {
  CpuRates rates;
  rates.look("a", 100 * kCore, kStart, kStart + 100s);
  CHECK(rates.look("a", 2 * kCore, kStart + 101s, kStart + 105s) == kCore / 2);
  rates.look("b", 100 * kCore, kStart, kStart + 100s);
  CHECK(rates.look("b", 10 * kCore, kStart, kStart + 110s) == kCore / 11);  // the counter fell
}

TEST_CASE("what was not looked at is forgotten") {
  CpuRates rates;
  rates.look("a", 100 * kCore, kStart, kStart + 100s);
  rates.forget_before(kStart + 200s);
  CHECK(rates.look("a", 220 * kCore, kStart, kStart + 220s) == kCore);
}
