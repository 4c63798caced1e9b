// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "cluster/kube/work_queue.h"

namespace caisson::kube {
namespace {
const ObjectKey kA{"n", "a"}, kB{"n", "b"};
using std::chrono::milliseconds;
}  // namespace

TEST_CASE("a key that is added while it runs is run once more afterwards") {
  WorkQueue queue;
  queue.add(kA);
  queue.add(kA);
  queue.add(kB);
  CHECK_EQ(queue.ready_count(), 2);
  CHECK(queue.take() == kA);
  queue.add(kA);
  queue.add(kA);
  CHECK_EQ(queue.ready_count(), 1);  // only b: a runs
  queue.done(kA);
  CHECK(queue.take() == kB);
  CHECK(queue.take() == kA);
  queue.done(kA);
  CHECK_FALSE(queue.has_ready());
}

TEST_CASE("of two delays the earlier counts") {
  WorkQueue queue;
  queue.add_after(kA, milliseconds(50));
  queue.add_after(kA, milliseconds(80));
  queue.add_after(kB, milliseconds(90));
  queue.add_after(kB, milliseconds(20));
  CHECK(queue.next_due() == Duration(milliseconds(20)));
  queue.promote(milliseconds(20));
  CHECK_EQ(queue.ready_count(), 1);
  queue.promote(milliseconds(100));
  CHECK_EQ(queue.ready_count(), 2);
  CHECK_FALSE(queue.next_due());
}

TEST_CASE("failures back off from 10 ms to 30 s, and a success forgets them") {
  WorkQueue queue;
  std::vector<Duration> waits;
  for (int i = 0; i < 20; ++i) waits.push_back(queue.failed(kA));
  CHECK(waits[0] == milliseconds(10));
  CHECK(waits[3] == milliseconds(80));
  CHECK(waits[11] == milliseconds(20480));
  CHECK(waits[12] == std::chrono::seconds(30));
  CHECK(waits[19] == std::chrono::seconds(30));
  queue.succeeded(kA);
  CHECK(queue.failed(kA) == milliseconds(10));
}

}  // namespace caisson::kube
