// SPDX-License-Identifier: Apache-2.0
#include "core/base/round.h"

#include <utility>

namespace caisson {
namespace {
thread_local Round* current = nullptr;
}

Round::Round() : outer_(std::exchange(current, this)) {}

Round::~Round() {
  run();
  current = outer_;
}

void Round::run() {
  while (!put_off_.empty())
    for (const auto& task : std::exchange(put_off_, {})) task();
}

void at_round_end(std::function<void()> task) {
  if (!current) return task();
  current->put_off_.push_back(std::move(task));
}

void end_round() {
  if (current) current->run();
}

}  // namespace caisson
