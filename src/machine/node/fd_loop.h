// SPDX-License-Identifier: Apache-2.0
// One thread that waits for descriptors of streams (exec, attach, port-forward), so that an open session holds none of
// its own. Any thread; callbacks run on the loop's thread and must not block.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "core/base/clock.h"

namespace caisson::node {

class FdLoop {
 public:
  FdLoop();
  ~FdLoop();  // callbacks that are registered are dropped
  using Token = std::uint64_t;
  // Calls while `fd` is readable (or hung up), until it gives false. The owner keeps `fd` open until then or until
  // remove().
  Token add(int fd, std::function<bool()> readable);
  void remove(Token token);               // no call after it returns, unless it is called from one
  void post(std::function<void()> call);  // soon, on the loop's thread
  void post_after(Duration delay, std::function<void()> call);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace caisson::node
