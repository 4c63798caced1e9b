// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/helm/parse_ahead.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <numeric>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace caisson::render::helm {
namespace {

using go_template::Trees;

constexpr std::size_t kTextBytesMin = 64u << 10;  // less is parsed while a thread starts
constexpr std::size_t kAheadMax = 32;             // texts that are parsed before they are asked for
constexpr std::size_t kAheadLow = 8;              // when so few are left, the thread goes on

bool pays(const std::vector<TemplateText>& texts) {
  const std::size_t bytes =
      std::accumulate(texts.begin(), texts.end(), std::size_t{0},
                      [](std::size_t sum, const TemplateText& one) { return sum + one.text->size(); });
  return bytes >= kTextBytesMin && std::thread::hardware_concurrency() > 1;
}

}  // namespace

struct ParseAhead::Impl {
  enum class State { waiting, in_work, parsed, taken };
  struct Slot {
    State state = State::waiting;
    std::optional<Result<Trees>> trees;  // parsed
  };

  Impl(const go_template::Set& functions, std::vector<TemplateText> all)
      : set(functions), texts(std::move(all)), slots(texts.size()) {}

  Result<Trees> parse(std::size_t index) const { return set.parse_apart(texts[index].path, texts[index].text); }

  // The first text that nobody has begun, of those that may be parsed now; none: its size.
  std::size_t find_waiting() {
    while (next < slots.size() && slots[next].state != State::waiting) ++next;
    return next < std::min(slots.size(), asked + kAheadMax) ? next : slots.size();
  }

  void parse_into_slot(std::size_t index, std::unique_lock<std::mutex>& lock) {
    slots[index].state = State::in_work;
    lock.unlock();
    auto trees = parse(index);
    lock.lock();
    slots[index].trees = std::move(trees);
    slots[index].state = State::parsed;
  }

  void do_first(std::unique_lock<std::mutex>& lock) {
    const std::function<void()> first = std::move(added.front());
    added.pop_front();
    ++doing;
    lock.unlock();
    first();
    lock.lock();
    --doing;
  }

  bool may_parse() const { return next < slots.size() && next < asked + kAheadMax - kAheadLow; }

  void work() {
    std::unique_lock lock(mutex);
    while (!ending) {
      const std::size_t index = find_waiting();
      if (index < slots.size()) {
        parse_into_slot(index, lock);
        if (wanted == index) changed.notify_all();
      } else if (!added.empty()) {
        do_first(lock);
        if (finishing && doing == 0) changed.notify_all();
      } else {
        sleeps = true;
        changed.wait(lock, [&] { return ending || !added.empty() || may_parse(); });
        sleeps = false;
      }
    }
  }

  const go_template::Set& set;
  const std::vector<TemplateText> texts;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Slot> slots;  // GUARDED_BY(mutex)
  std::size_t next = 0;     // GUARDED_BY(mutex): no text before it is waiting
  std::size_t asked = 0;    // GUARDED_BY(mutex): behind the last that was asked for
  std::size_t wanted = std::numeric_limits<std::size_t>::max();  // GUARDED_BY(mutex): whom take() waits for
  std::deque<std::function<void()>> added;                       // GUARDED_BY(mutex)
  std::size_t doing = 0;                                         // GUARDED_BY(mutex): of what was added
  bool sleeps = false, finishing = false, ending = false;        // GUARDED_BY(mutex)
  std::thread thread;
};

ParseAhead::ParseAhead(const go_template::Set& set, std::vector<TemplateText> texts)
    : impl_(std::make_unique<Impl>(set, std::move(texts))) {
  if (!pays(impl_->texts)) return;
  try {
    impl_->thread = std::thread([impl = impl_.get()] { impl->work(); });
  } catch (const std::system_error&) {
    // No thread is to be had: take() parses all.
  }
}

ParseAhead::~ParseAhead() {
  if (!impl_->thread.joinable()) return;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ending = true;
  }
  impl_->changed.notify_all();
  impl_->thread.join();
}

Result<Trees> ParseAhead::take(std::size_t index) {
  if (!impl_->thread.joinable()) return impl_->parse(index);
  std::unique_lock lock(impl_->mutex);
  Impl::Slot& slot = impl_->slots[index];
  impl_->asked = std::max(impl_->asked, index + 1);
  if (impl_->sleeps && impl_->may_parse()) impl_->changed.notify_all();
  while (slot.state == Impl::State::in_work) {  // by the thread: meanwhile, the next one
    const std::size_t other = impl_->find_waiting();
    if (other < impl_->slots.size()) {
      impl_->parse_into_slot(other, lock);
      continue;
    }
    impl_->wanted = index;
    impl_->changed.wait(lock, [&] { return slot.state != Impl::State::in_work; });
  }
  const bool parsed = slot.state == Impl::State::parsed;
  slot.state = Impl::State::taken;
  if (parsed) return *std::exchange(slot.trees, std::nullopt);
  lock.unlock();
  return impl_->parse(index);
}

void ParseAhead::add(std::function<void()> work) {
  if (!impl_->thread.joinable()) return work();
  const std::lock_guard lock(impl_->mutex);
  impl_->added.push_back(std::move(work));
  if (impl_->sleeps) impl_->changed.notify_all();
}

void ParseAhead::finish() {
  std::unique_lock lock(impl_->mutex);
  while (!impl_->added.empty()) impl_->do_first(lock);
  impl_->finishing = true;
  impl_->changed.wait(lock, [&] { return impl_->doing == 0; });
}

}  // namespace caisson::render::helm
