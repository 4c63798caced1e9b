// SPDX-License-Identifier: Apache-2.0
#include "machine/node/probes.h"

#include <algorithm>
#include <atomic>

#include "core/base/log.h"

namespace caisson::node {
namespace {

constexpr Duration kEarlyFirst = std::chrono::milliseconds(50);
constexpr Duration kEarlyExecFirst = std::chrono::milliseconds(250);  // an exec costs 17 ms of processor time
constexpr Duration kEarlyFor = std::chrono::seconds(30);

Duration seconds_or(const Value& value, int otherwise) {
  return std::chrono::seconds(value.as_int(otherwise));
}

enum class Kind { startup, liveness, readiness };

std::string_view name_of(Kind kind) {
  return kind == Kind::startup ? "Startup" : kind == Kind::liveness ? "Liveness" : "Readiness";
}

}  // namespace

ProbeSpec ProbeSpec::from(const Value& probe) {
  ProbeSpec spec;
  spec.handler = probe;
  spec.initial_delay = seconds_or(probe["initialDelaySeconds"], 0);
  spec.period = std::max<Duration>(seconds_or(probe["periodSeconds"], 10), std::chrono::seconds(1));
  spec.timeout = std::max<Duration>(seconds_or(probe["timeoutSeconds"], 1), std::chrono::seconds(1));
  spec.success_threshold = static_cast<int>(std::max<std::int64_t>(probe["successThreshold"].as_int(1), 1));
  spec.failure_threshold = static_cast<int>(std::max<std::int64_t>(probe["failureThreshold"].as_int(3), 1));
  return spec;
}

bool ProbeCounter::add(bool success) {
  run_ = success == last_ ? run_ + 1 : 1;
  last_ = success;
  if (run_ < (success ? success_ : failure_)) return false;
  const bool changed = verdict_ != success;
  verdict_ = success;
  return changed;
}

struct ContainerProbes::Impl : std::enable_shared_from_this<ContainerProbes::Impl> {
  struct Run {
    Kind kind;
    ProbeSpec spec;
    ProbeCounter counter;
    Duration began{};  // on the monotonic clock
    Duration early{};  // the next quick repetition; 0: the period
  };

  Timers& timers;
  WorkerPool& pool;
  ActionTarget target;
  ProbeEvents events;
  std::atomic<bool> over{false};

  Impl(Timers& t, WorkerPool& p, ActionTarget a, ProbeEvents e)
      : timers(t), pool(p), target(std::move(a)), events(std::move(e)) {}

  void begin(Kind kind, const Value& probe, std::optional<bool> first_verdict, bool resumed) {
    ProbeSpec spec = ProbeSpec::from(probe);
    auto run = std::make_shared<Run>(
        Run{kind, spec, ProbeCounter(spec.success_threshold, spec.failure_threshold, first_verdict)});
    run->began = system_clock().monotonic() + spec.initial_delay;
    if (kind != Kind::liveness) run->early = spec.handler.contains("exec") ? kEarlyExecFirst : kEarlyFirst;
    const Duration liveness_first =
        kind == Kind::liveness && spec.initial_delay.count() == 0 ? spec.period : spec.initial_delay;
    schedule(run, resumed ? Duration(0) : liveness_first);
  }

  void begin_after_startup(bool resumed) {
    if (const Value& probe = target.container["livenessProbe"]; !probe.is_null())
      begin(Kind::liveness, probe, true, resumed);
    if (const Value& probe = target.container["readinessProbe"]; !probe.is_null())
      begin(Kind::readiness, probe, false, resumed);
  }

  void schedule(const std::shared_ptr<Run>& run, Duration delay) {
    timers.after(delay, [self = weak_from_this(), run] {
      const auto impl = self.lock();
      if (!impl || impl->over) return;
      const auto queued = impl->pool.run([impl, run] { impl->once(run); });
      if (!queued.ok()) impl->schedule(run, run->spec.period);  // the pool is full: this turn is left out
    });
  }

  void once(const std::shared_ptr<Run>& run) {
    if (over) return;
    auto result = run_action(target, run->spec.handler, run->spec.timeout);
    if (over) return;
    const bool success = result.ok() && result->success;
    std::string message = result.ok() ? result->message : result.error().message;
    if (!success && run->early.count() > 0) {
      const Duration delay = run->early;
      run->early =
          delay * 2 < run->spec.period && system_clock().monotonic() - run->began < kEarlyFor ? delay * 2 : Duration(0);
      schedule(run, delay);
      return;
    }
    if (success) run->early = Duration(0);
    if (!success) events.failed(name_of(run->kind), message);
    const bool changed = run->counter.add(success);
    if (changed && !verdict_changed(*run, success, message)) return;
    schedule(run, run->spec.period);
  }

  // Gives whether the probe goes on.
  bool verdict_changed(const Run& run, bool success, const std::string& message) {
    if (run.kind == Kind::readiness) {
      events.readiness(success);
      return true;
    }
    if (run.kind == Kind::startup && success) {
      events.started();
      begin_after_startup(false);
      return false;
    }
    if (!success) events.must_restart(name_of(run.kind), message);
    return success;
  }
};

ContainerProbes::ContainerProbes(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
ContainerProbes::~ContainerProbes() {
  impl_->over = true;
}

std::unique_ptr<ContainerProbes> ContainerProbes::start(Timers& timers, WorkerPool& pool, ActionTarget target,
                                                        bool already_started, ProbeEvents events) {
  auto impl = std::make_shared<Impl>(timers, pool, std::move(target), std::move(events));
  const Value& startup = impl->target.container["startupProbe"];
  if (!startup.is_null() && !already_started) {
    impl->begin(Kind::startup, startup, std::nullopt, false);
  } else {
    impl->begin_after_startup(already_started);
  }
  return std::unique_ptr<ContainerProbes>(new ContainerProbes(std::move(impl)));
}

}  // namespace caisson::node
