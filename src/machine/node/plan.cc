// SPDX-License-Identifier: Apache-2.0
#include "machine/node/plan.h"

#include <algorithm>

#include "core/base/text.h"
#include "machine/node/sidecars.h"

namespace caisson::node {
namespace {

constexpr Duration kBackOffFirst = std::chrono::seconds(10);
constexpr Duration kBackOffMax = std::chrono::minutes(5);
constexpr Duration kCalmAfter = std::chrono::minutes(10);

using Phase = ContainerState::Phase;

const ContainerState& state_of(const PodState& state, std::string_view name) {
  static const ContainerState none;
  const auto it = state.containers.find(std::string(name));
  return it == state.containers.end() ? none : it->second;
}

bool succeeded(const ContainerState& state) {
  return state.phase == Phase::terminated && state.terminated && state.terminated->exit_code == 0;
}
bool ended(const ContainerState& state) {
  return state.phase == Phase::terminated;
}

// Whether a container that is not running is (or will be) started again under `policy`.
bool restarts(std::string_view policy, const ContainerState& state) {
  if (!ended(state)) return true;
  if (policy == "Never") return false;
  return policy != "OnFailure" || !succeeded(state);
}

class Planner {
 public:
  Planner(const kube::Object& pod, const PodState& state, Time now) : pod_(pod), state_(state), now_(now) {
    policy_ = pod.spec()["restartPolicy"].as_string("Always");
  }

  Plan run() {
    if (state_.killed) {
      out_.finished = std::none_of(state_.containers.begin(), state_.containers.end(),
                                   [](const auto& c) { return c.second.phase == Phase::running; });
      return out_;
    }
    ephemeral();
    if (!init_done()) return out_;
    if (pod_.annotation(kStepsAnnotation) == "ordered") {
      steps();
    } else {
      mains();
    }
    finish();
    return out_;
  }

 private:
  void start_or_wait(const std::string& name) {
    const ContainerState& container = state_of(state_, name);
    if (container.phase == Phase::running) return;
    if (ended(container)) {
      const Duration left = container.terminated->finished + restart_delay(container.crashes) - now_;
      if (left.count() > 0) {
        out_.back_off.emplace_back(name, left);
        return;
      }
    }
    out_.start.push_back(name);
  }

  // Containers that were added to look into the pod: each is started once, whatever the others do.
  void ephemeral() {
    for (const auto& container : pod_.spec()["ephemeralContainers"].items()) {
      const std::string name = container["name"].str();
      if (state_of(state_, name).phase == Phase::waiting) out_.start.push_back(name);
    }
  }

  // Init containers run one after another; a sidecar lets the next one begin as soon as it has started. False while
  // that goes on, or for ever after a failure that is not tried again.
  bool init_done() {
    bool before_done = true;
    for (const auto& container : pod_.spec()["initContainers"].items()) {
      const std::string name = container["name"].str();
      const ContainerState& state = state_of(state_, name);
      if (is_sidecar(container)) {
        if (state.phase != Phase::running && !mains_ended()) start_or_wait(name);
        before_done = before_done && ((state.phase == Phase::running && state.start_passed) || mains_ended());
      } else if (!succeeded(state)) {
        before_done = false;
        const std::string_view init_policy = policy_ == "Always" ? "OnFailure" : policy_;
        if (state.phase != Phase::running) {
          if (restarts(init_policy, state)) {
            start_or_wait(name);
          } else {
            out_.finished = true;
            stop_sidecars();
          }
        }
      }
      if (!before_done) return false;
    }
    return true;
  }

  bool mains_ended() const {
    const auto containers = pod_.spec()["containers"].items();
    return std::all_of(containers.begin(), containers.end(), [this](const Value& c) {
      const ContainerState& state = state_of(state_, c["name"].as_string());
      return ended(state) && !restarts(policy_, state);
    });
  }

  void mains() {
    for (const auto& container : pod_.spec()["containers"].items()) {
      const std::string name = container["name"].str();
      const ContainerState& state = state_of(state_, name);
      if (state.phase == Phase::running || (ended(state) && !restarts(policy_, state))) continue;
      start_or_wait(name);
    }
  }

  // Steps of a pipeline: one after another; after one that failed the rest is skipped, unless its failure was to be
  // passed over.
  void steps() {
    const auto goes_on = split(pod_.annotation(kStepsContinueAnnotation), ',');
    bool failed = false;
    for (const auto& container : pod_.spec()["containers"].items()) {
      const std::string name = container["name"].str();
      const ContainerState& state = state_of(state_, name);
      if (state.phase == Phase::running) return;
      if (!ended(state)) {
        if (!failed) {
          out_.start.push_back(name);
          return;
        }
        out_.skip.push_back(name);
        continue;
      }
      const bool passed_over =
          std::any_of(goes_on.begin(), goes_on.end(), [&](std::string_view n) { return trim(n) == name; });
      if (!succeeded(state) && !passed_over) failed = true;
    }
  }

  // What only serves the others: containers that look into the pod, and sidecars, the last one first, because it may
  // need those before it until its end.
  void stop_sidecars() {
    if (const auto last = last_running_sidecar(pod_, state_)) out_.stop.push_back(*last);
    for (const auto& container : pod_.spec()["ephemeralContainers"].items()) {
      const std::string name = container["name"].str();
      std::erase(out_.start, name);
      if (state_of(state_, name).phase == Phase::running) out_.stop.push_back(name);
    }
  }

  void finish() {
    const bool ordered = pod_.annotation(kStepsAnnotation) == "ordered";
    const auto containers = pod_.spec()["containers"].items();
    const bool over = std::all_of(containers.begin(), containers.end(), [&](const Value& c) {
      const ContainerState& state = state_of(state_, c["name"].as_string());
      return ended(state) && (ordered || !restarts(policy_, state));
    });
    if (!over) return;
    stop_sidecars();
    out_.finished = out_.stop.empty();
  }

  const kube::Object& pod_;
  const PodState& state_;
  Time now_;
  std::string_view policy_;
  Plan out_;
};

}  // namespace

Plan plan(const kube::Object& pod, const PodState& state, Time now) {
  return Planner(pod, state, now).run();
}

Duration restart_delay(int crashes) {
  if (crashes <= 1) return Duration(0);
  Duration delay = kBackOffFirst;
  for (int i = 2; i < crashes && delay < kBackOffMax; ++i) delay *= 2;
  return std::min(delay, kBackOffMax);
}

int crashes_after(int before, Duration ran) {
  return ran >= kCalmAfter ? 1 : before + 1;
}

bool is_sidecar(const Value& init_container) {
  return init_container["restartPolicy"].as_string() == "Always";
}

std::optional<std::string> last_running_sidecar(const kube::Object& pod, const PodState& state) {
  const auto list = pod.spec()["initContainers"].items();
  for (auto it = list.rbegin(); it != list.rend(); ++it) {
    const auto found = state.containers.find((*it)["name"].str());
    if (is_sidecar(*it) && found != state.containers.end() && found->second.phase == Phase::running)
      return found->first;
  }
  return std::nullopt;
}

std::vector<const Value*> all_containers(const kube::Object& pod) {
  std::vector<const Value*> all;
  for (const auto& container : pod.spec()["initContainers"].items()) all.push_back(&container);
  for (const auto& container : pod.spec()["containers"].items()) all.push_back(&container);
  return all;
}

const Value* find_container(const kube::Object& pod, std::string_view name) {
  for (const char* list : {"initContainers", "containers", "ephemeralContainers"}) {
    for (const auto& container : pod.spec()[list].items())
      if (container["name"].as_string() == name) return &container;
  }
  return nullptr;
}

bool is_finished_phase(std::string_view phase) {
  return phase == "Succeeded" || phase == "Failed";
}

std::string qos_class(const kube::Object& pod) {
  bool any = false, all_equal = true;
  for (const Value* container : all_containers(pod)) {
    const Value& requests = (*container)["resources"]["requests"];
    const Value& limits = (*container)["resources"]["limits"];
    for (const char* resource : {"cpu", "memory"}) {
      const std::string request = requests[resource].scalar_text(), limit = limits[resource].scalar_text();
      any = any || !request.empty() || !limit.empty();
      // A limit without a request counts as both; admission fills it in, but a static pod may not have passed it.
      all_equal = all_equal && !limit.empty() && (request.empty() || request == limit);
    }
  }
  if (!any) return "BestEffort";
  return all_equal ? "Guaranteed" : "Burstable";
}

}  // namespace caisson::node
