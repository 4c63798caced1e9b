// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/stack.h"

#include <pthread.h>

#include <cstdint>

#include "core/base/check.h"

namespace caisson::go_template {
namespace {

constexpr std::size_t kReserve = 384u << 10;    // a level of evaluation with a parse of `tpl` in it takes far less
constexpr std::size_t kFreshSize = 256u << 20;  // pages that are not touched cost nothing

thread_local std::uintptr_t lowest = 0;  // of this thread's stack; 0: not asked yet

std::uintptr_t lowest_of_this_thread() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 1;
  void* address = nullptr;
  std::size_t size = 0;
  pthread_attr_getstack(&attributes, &address, &size);
  pthread_attr_destroy(&attributes);
  return reinterpret_cast<std::uintptr_t>(address);
}

}  // namespace

bool stack_is_short() {
  if (lowest == 0) lowest = lowest_of_this_thread();
  const char here = 0;
  return reinterpret_cast<std::uintptr_t>(&here) - lowest < kReserve;
}

void on_fresh_stack(const std::function<void()>& work) {
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0);
  CHECK(pthread_attr_setstacksize(&attributes, kFreshSize) == 0);
  const auto run = [](void* argument) -> void* {
    (*static_cast<const std::function<void()>*>(argument))();
    return nullptr;
  };
  pthread_t thread;
  CHECK(pthread_create(&thread, &attributes, run, const_cast<std::function<void()>*>(&work)) == 0);
  CHECK(pthread_join(thread, nullptr) == 0);
  pthread_attr_destroy(&attributes);
}

}  // namespace caisson::go_template
