// SPDX-License-Identifier: Apache-2.0
#include "core/http/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/round.h"

namespace caisson::http {
namespace {
constexpr std::uint64_t kWakeId = 0;
}

Result<std::shared_ptr<Loop>> Loop::make() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return errno_error("epoll_create");
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return errno_error("eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeId;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) return errno_error("epoll_ctl");
  return std::make_shared<Loop>(std::move(epoll), std::move(wake));
}

Duration Loop::now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

int Loop::wait_ms() {
  const Duration most = look_ ? look_() : Duration::max();
  if (posted_here_) return 0;
  if (next_deadline_ == Duration::max() && most == Duration::max()) return -1;
  const Duration left = next_deadline_ == Duration::max() ? most : std::min(most, next_deadline_ - now());
  const auto left_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<std::int64_t>(left_ms, 0, 3'600'000));
}

void Loop::run() {
  thread_ = std::this_thread::get_id();
  std::vector<epoll_event> events(256);
  for (;;) {
    const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms());
    {
      const Round round;
      for (int i = 0; i < count; ++i) {
        if (events[i].data.u64 == kWakeId) {
          std::uint64_t value = 0;
          [[maybe_unused]] const ssize_t read_bytes = read(wake_.get(), &value, sizeof value);
          continue;
        }
        if (const auto watched = find(events[i].data.u64)) watched->on_events(events[i].events);
      }
      run_posted();
      run_deadlines();
    }
    const std::scoped_lock lock(mutex_);
    if (stopped_ && posted_.empty()) return;
  }
}

void Loop::stop() {
  const std::scoped_lock lock(mutex_);
  stopped_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
}

void Loop::post(std::function<void()> task) {
  const std::scoped_lock lock(mutex_);
  if (stopped_) return;
  posted_.push_back(std::move(task));
  if (posted_.size() > 1) return;  // the loop is already on its way
  if (on_loop_thread()) {
    posted_here_ = true;
    return;
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
}

void Loop::run_posted() {
  std::vector<std::function<void()>> tasks;
  {
    const std::scoped_lock lock(mutex_);
    tasks.swap(posted_);
    posted_here_ = false;
  }
  for (auto& task : tasks) task();
}

// A deadline that moved later leaves next_deadline_ early: then this finds nothing and looks up the true next one.
void Loop::run_deadlines() {
  if (next_deadline_ == Duration::max()) return;
  const Duration time = now();
  if (time < next_deadline_) return;
  std::vector<std::shared_ptr<Watched>> due;
  next_deadline_ = Duration::max();
  for (const auto& [id, watched] : watched_) {
    if (watched->deadline <= time) {
      watched->deadline = Duration::max();
      due.push_back(watched);
    } else {
      next_deadline_ = std::min(next_deadline_, watched->deadline);
    }
  }
  for (const auto& watched : due) watched->on_deadline();
}

Result<std::uint64_t> Loop::add(int fd, std::uint32_t events, std::shared_ptr<Watched> watched) {
  const std::uint64_t id = next_id_++;
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return errno_error("epoll_ctl");
  watched_.emplace(id, std::move(watched));
  return id;
}

void Loop::change(int fd, std::uint64_t id, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::remove(int fd, std::uint64_t id) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  watched_.erase(id);
}

std::shared_ptr<Watched> Loop::find(std::uint64_t id) const {
  const auto found = watched_.find(id);
  return found == watched_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Watched>> Loop::all() const {
  std::vector<std::shared_ptr<Watched>> out;
  for (const auto& [id, watched] : watched_) out.push_back(watched);
  return out;
}

}  // namespace caisson::http
