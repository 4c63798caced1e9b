// SPDX-License-Identifier: Apache-2.0
#include "machine/node/fd_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/file.h"

namespace caisson::node {

struct FdLoop::Impl {
  struct Entry {
    int fd;
    std::shared_ptr<std::function<bool()>> readable;
  };

  UniqueFd epoll{::epoll_create1(EPOLL_CLOEXEC)}, wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::atomic<bool> stopping{false};
  std::recursive_mutex mutex;                            // held while a callback runs, so that remove() is a barrier
  std::map<Token, Entry> entries;                        // guarded by mutex
  std::multimap<Duration, std::function<void()>> calls;  // guarded by mutex; by monotonic time
  Token next = 1;                                        // guarded by mutex; 0 is the wake
  std::thread thread;

  void ring() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t wrote = ::write(wake.get(), &one, sizeof one);
  }

  int wait_ms() {
    const std::lock_guard lock(mutex);
    if (calls.empty()) return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(calls.begin()->first - system_clock().monotonic()).count();
    return static_cast<int>(std::max<long long>(left, 0));
  }

  void run_calls() {
    const std::lock_guard lock(mutex);
    const Duration now = system_clock().monotonic();
    while (!calls.empty() && calls.begin()->first <= now) {
      const auto call = std::move(calls.begin()->second);
      calls.erase(calls.begin());
      call();
    }
  }

  void ready(Token token) {
    const std::lock_guard lock(mutex);
    const auto it = entries.find(token);
    if (it == entries.end()) return;
    const auto call = it->second.readable;  // it may remove itself
    if (!(*call)()) drop(token);
  }

  void drop(Token token) {
    const auto it = entries.find(token);
    if (it == entries.end()) return;
    ::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, it->second.fd, nullptr);
    entries.erase(it);
  }

  void loop() {
    epoll_event events[64];
    while (!stopping) {
      const int count = ::epoll_wait(epoll.get(), events, 64, wait_ms());
      for (int i = 0; i < count; ++i) {
        if (events[i].data.u64 != 0) {
          ready(events[i].data.u64);
          continue;
        }
        std::uint64_t ignored;
        [[maybe_unused]] const ssize_t got = ::read(wake.get(), &ignored, sizeof ignored);
      }
      run_calls();
    }
  }
};

FdLoop::FdLoop() : impl_(std::make_unique<Impl>()) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = 0}};
  ::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_ADD, impl_->wake.get(), &event);
  impl_->thread = std::thread([raw = impl_.get()] { raw->loop(); });
}

FdLoop::~FdLoop() {
  impl_->stopping = true;
  impl_->ring();
  impl_->thread.join();
}

FdLoop::Token FdLoop::add(int fd, std::function<bool()> readable) {
  const std::lock_guard lock(impl_->mutex);
  const Token token = impl_->next++;
  impl_->entries[token] = {fd, std::make_shared<std::function<bool()>>(std::move(readable))};
  epoll_event event{.events = EPOLLIN, .data = {.u64 = token}};
  ::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_ADD, fd, &event);
  return token;
}

void FdLoop::remove(Token token) {
  const std::lock_guard lock(impl_->mutex);
  impl_->drop(token);
}

void FdLoop::post(std::function<void()> call) {
  post_after(Duration(0), std::move(call));
}

void FdLoop::post_after(Duration delay, std::function<void()> call) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->calls.emplace(system_clock().monotonic() + delay, std::move(call));
  }
  impl_->ring();
}

}  // namespace caisson::node
