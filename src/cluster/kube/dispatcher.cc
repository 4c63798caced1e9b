// SPDX-License-Identifier: Apache-2.0
#include "cluster/kube/dispatcher.h"

#include <algorithm>

#include "cluster/kube/timed_wait.h"
#include "core/base/log.h"

namespace caisson::kube {

Dispatcher::Dispatcher(Clock& clock, const RuntimeOptions& options)
    : clock_(clock), threads_wanted_(std::max(1, options.threads)) {
  if (options.crash_file.empty()) return;
  auto file = CrashFile::open(options.crash_file, clock);
  if (!file.ok()) {
    log::warning("keys that crash the process can't be held back", {{"error", file.error()}});
    return;
  }
  crash_file_ = std::move(file).value();
  for (const std::string& name : crash_file_->held())
    log::error("held back: it crashed the process twice", {{"run", name}});
}

Dispatcher::Lane& Dispatcher::add_lane(std::unique_ptr<Reconciler> reconciler, int concurrent_max) {
  auto lane = std::make_unique<Lane>();
  lane->name = std::string(reconciler->name());
  lane->reconciler = std::move(reconciler);
  lane->concurrent_max = std::max(1, concurrent_max);
  const std::lock_guard lock(mutex_);
  lanes_.push_back(std::move(lane));
  return *lanes_.back();
}

void Dispatcher::add(Lane& lane, const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  lane.queue.add(key);
  has_work_.notify_one();
}

void Dispatcher::add_after(Lane& lane, const ObjectKey& key, Duration delay) {
  if (delay <= Duration(0)) return add(lane, key);
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  lane.queue.add_after(key, clock_.monotonic() + delay);
  time_changed_.notify_one();
}

void Dispatcher::start() {
  const std::lock_guard lock(mutex_);
  if (started_ || stopping_) return;
  started_ = true;
  for (int i = 0; i < threads_wanted_; ++i) threads_.emplace_back([this] { work(); });
  threads_.emplace_back([this] { keep_time(); });
}

void Dispatcher::stop() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
    has_work_.notify_all();
    time_changed_.notify_all();
    became_idle_.notify_all();
  }
  for (std::thread& thread : threads) thread.join();
}

void Dispatcher::drop_reconcilers() {
  for (const auto& lane : lanes_) lane->reconciler.reset();
}

// Moves delayed keys to the ready ones when their time has come.
void Dispatcher::keep_time() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    Duration next = kForever;
    for (const auto& lane : lanes_) {
      lane->queue.promote(clock_.monotonic());
      if (lane->queue.has_ready()) has_work_.notify_all();
      if (const auto due = lane->queue.next_due()) next = std::min(next, *due);
    }
    wait_until(time_changed_, lock, clock_, next);
  }
}

Dispatcher::Lane* Dispatcher::next_lane() {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = *lanes_[(turn_ + i) % lanes_.size()];
    if (!lane.queue.has_ready() || lane.queue.running_count() >= static_cast<std::size_t>(lane.concurrent_max))
      continue;
    turn_ = (turn_ + i + 1) % lanes_.size();
    return &lane;
  }
  return nullptr;
}

void Dispatcher::work() {
  CrashFile::prepare_thread();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (Lane* lane = next_lane()) {
      run_one(*lane, lock);
    } else {
      has_work_.wait(lock);
    }
  }
}

void Dispatcher::run_one(Lane& lane, std::unique_lock<std::mutex>& lock) {
  const ObjectKey key = lane.queue.take();
  lock.unlock();
  if (crash_file_ && crash_file_->is_held(lane.name, key.str())) {
    lock.lock();
    lane.held += 1;
    lane.queue.add_after(key, clock_.monotonic() + CrashFile::kHeldFor);
    lane.queue.done(key);
    time_changed_.notify_one();
    return;
  }
  if (crash_file_) crash_file_->begin(lane.name, key.str());
  const Duration begun = system_clock().monotonic();
  const Result<Requeue> result = lane.reconciler->reconcile(key);
  const Duration took = system_clock().monotonic() - begun;
  if (crash_file_) crash_file_->end();
  lock.lock();
  lane.runs += 1;
  lane.longest = std::max(lane.longest, took);
  settle(lane, key, result);
  lane.queue.done(key);
  if (lane.queue.has_ready()) has_work_.notify_one();
  became_idle_.notify_all();
}

void Dispatcher::settle(Lane& lane, const ObjectKey& key, const Result<Requeue>& result) {
  if (result.ok()) {
    lane.queue.succeeded(key);
    if (!result->wanted()) return;
    if (result->delay() == Duration(0)) return lane.queue.add(key);
    lane.queue.add_after(key, clock_.monotonic() + result->delay());
    time_changed_.notify_one();
    return;
  }
  const bool is_conflict = result.error().code == ErrorCode::conflict;
  const Duration delay = lane.queue.failed(key);
  if (is_conflict) {
    // The cache was a step behind: look again at once, and wait only when that did not help.
    log::debug("reconcile met a conflict", {{"reconciler", lane.name}, {"key", key.str()}, {"error", result.error()}});
    if (lane.queue.failures(key) == 1) return lane.queue.add(key);
  } else {
    lane.errors += 1;
    if (!stopping_)
      log::warning("reconcile failed", {{"reconciler", lane.name}, {"key", key.str()}, {"error", result.error()}});
  }
  lane.queue.add_after(key, clock_.monotonic() + delay);
  time_changed_.notify_one();
}

bool Dispatcher::idle(Duration horizon) {
  const Duration now = clock_.monotonic();
  for (const auto& lane : lanes_) {
    lane->queue.promote(now);
    if (lane->queue.has_ready()) has_work_.notify_all();
    const auto due = lane->queue.next_due();
    if (lane->queue.has_ready() || lane->queue.running_count() > 0 || (due && *due <= now + horizon)) return false;
  }
  return true;
}

bool Dispatcher::wait_idle(Duration time_max, Duration horizon) {
  const auto deadline = std::chrono::steady_clock::now() + time_max;
  std::unique_lock lock(mutex_);
  while (!idle(horizon)) {
    if (stopping_ || became_idle_.wait_until(lock, deadline) == std::cv_status::timeout) return idle(horizon);
  }
  return true;
}

Value Dispatcher::metrics() const {
  Value out = Value::map();
  const std::lock_guard lock(mutex_);
  for (const auto& lane : lanes_) {
    Value one = Value::map();
    one.set("runs", lane->runs);
    one.set("errors", lane->errors);
    one.set("held", lane->held);
    one.set("queued", static_cast<std::int64_t>(lane->queue.ready_count()));
    one.set("delayed", static_cast<std::int64_t>(lane->queue.delayed_count()));
    one.set("running", static_cast<std::int64_t>(lane->queue.running_count()));
    one.set("longest_ms", std::chrono::duration_cast<std::chrono::milliseconds>(lane->longest).count());
    out.set(lane->name, std::move(one));
  }
  if (crash_file_) out.set("quarantined", Value::list_of(crash_file_->held()));
  return out;
}

}  // namespace caisson::kube
