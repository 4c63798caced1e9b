// SPDX-License-Identifier: Apache-2.0
// Work in pieces that are each for itself, by the calling thread and one more.
#pragma once
#include <atomic>
#include <cstddef>
#include <system_error>
#include <thread>

namespace caisson::render::helm {

// work(0) … work(count - 1), begun in this order, by two threads when that `pays` and there are two cores. Returns when
// all are done.
template <class Work>
void on_two_threads(std::size_t count, bool pays, const Work& work) {
  std::atomic<std::size_t> next = 0;
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  std::thread other;
  try {
    if (pays && std::thread::hardware_concurrency() > 1) other = std::thread(run);
  } catch (const std::system_error&) {
    // No thread is to be had: this one does it all.
  }
  run();
  if (other.joinable()) other.join();
}

}  // namespace caisson::render::helm
