// SPDX-License-Identifier: Apache-2.0
#include "core/base/worker_pool.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace caisson {

struct WorkerPool::Impl {
  std::string name;
  std::size_t threads_max, queued_max;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> tasks;
  std::vector<std::thread> threads;
  std::size_t idle = 0;
  bool stopping = false;

  void work() {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      changed.wait(lock, [this] { return stopping || !tasks.empty(); });
      --idle;
      if (tasks.empty()) return;
      auto task = std::move(tasks.front());
      tasks.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // its captures go before the lock is taken again
      lock.lock();
    }
  }
};

WorkerPool::WorkerPool(std::string_view name, int threads, std::size_t queued_max) : impl_(std::make_unique<Impl>()) {
  impl_->name = name;
  impl_->threads_max = static_cast<std::size_t>(threads);
  impl_->queued_max = queued_max;
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  for (auto& thread : impl_->threads) thread.join();  // none is added any more
}

Result<void> WorkerPool::run(std::function<void()> task) {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->tasks.size() >= impl_->queued_max) {
    return Error{ErrorCode::too_many_requests,
                 "worker pool " + impl_->name + ": " + std::to_string(impl_->queued_max) + " tasks wait already"};
  }
  impl_->tasks.push_back(std::move(task));
  // Threads are started when they are first needed: an idle platform keeps few.
  // While the pool ends, only its own tasks may add to it, and the thread of such a task goes on with what is queued.
  if (!impl_->stopping && impl_->tasks.size() > impl_->idle && impl_->threads.size() < impl_->threads_max) {
    impl_->threads.emplace_back([impl = impl_.get()] { impl->work(); });
  }
  impl_->changed.notify_one();
  return {};
}

}  // namespace caisson
