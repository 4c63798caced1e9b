// SPDX-License-Identifier: Apache-2.0
#include "machine/node/cpu_rates.h"

namespace caisson::node {

std::uint64_t CpuRates::look(const std::string& key, std::uint64_t cpu_ns, Time started, Time now) {
  const std::lock_guard lock(mutex_);
  const auto [it, fresh] = counters_.try_emplace(key, Counter{{0, started}, {0, started}});
  Counter& counter = it->second;
  const bool anew = started > counter.last.at || cpu_ns < counter.last.cpu_ns || now < counter.last.at;
  if (anew) counter = {{0, started}, {0, started}};  // another container of the same name, or the clock was set
  const Reading seen{cpu_ns, now};
  if (now - counter.last.at >= kSpanMin) {
    counter.base = counter.last;
    counter.last = seen;
  }
  const Duration span = now - counter.base.at;
  if (span <= Duration(0) || cpu_ns < counter.base.cpu_ns) return 0;
  const double used = static_cast<double>(cpu_ns - counter.base.cpu_ns);
  return static_cast<std::uint64_t>(used * 1e9 / static_cast<double>(span.count()));
}

void CpuRates::forget_before(Time time) {
  const std::lock_guard lock(mutex_);
  std::erase_if(counters_, [&](const auto& entry) { return entry.second.last.at < time; });
}

}  // namespace caisson::node
