// SPDX-License-Identifier: Apache-2.0
// The status that the node reports for a pod; see plan.h.
#include <algorithm>

#include "core/base/text.h"
#include "machine/node/plan.h"

namespace caisson::node {
namespace {

using Phase = ContainerState::Phase;

constexpr std::string_view kIdPrefix = "caisson://";

Value terminated_value(const Terminated& ended) {
  Value out{{"exitCode", ended.exit_code}};
  if (!ended.reason.empty()) out.set("reason", ended.reason);
  if (!ended.message.empty()) out.set("message", ended.message);
  out.set("startedAt", format_time(ended.started)).set("finishedAt", format_time(ended.finished));
  if (!ended.id.empty()) out.set("containerID", std::string(kIdPrefix) + ended.id);
  return Value{{"terminated", std::move(out)}};
}

Value state_value(const ContainerState& state, bool initializing) {
  if (state.phase == Phase::running) return Value{{"running", Value{{"startedAt", format_time(state.started)}}}};
  if (state.phase == Phase::terminated && state.waiting_reason != "CrashLoopBackOff")
    return terminated_value(*state.terminated);
  std::string reason = state.waiting_reason;
  if (reason.empty()) reason = initializing ? "PodInitializing" : "ContainerCreating";
  Value waiting{{"reason", reason}};
  if (!state.waiting_message.empty()) waiting.set("message", state.waiting_message);
  return Value{{"waiting", std::move(waiting)}};
}

Value last_state_value(const ContainerState& state) {
  if (state.waiting_reason == "CrashLoopBackOff" && state.terminated) return terminated_value(*state.terminated);
  return state.last ? terminated_value(*state.last) : Value::map();
}

class Status {
 public:
  Status(const kube::Object& pod, const PodState& state, bool terminating, Time now)
      : pod_(pod), state_(state), terminating_(terminating), now_(now) {}

  Value whole(const std::string& host_ip) {
    Value out = Value::map();
    const std::string phase = compute_phase();
    out.set("phase", phase);
    conditions(out, phase);
    if (state_.killed) {
      out.set("reason", state_.killed_reason);
      if (!state_.killed_message.empty()) out.set("message", state_.killed_message);
    }
    if (!host_ip.empty()) out.set("hostIP", host_ip).set("hostIPs", Value(std::vector<Value>{Value{{"ip", host_ip}}}));
    if (!state_.ip.empty())
      out.set("podIP", state_.ip).set("podIPs", Value(std::vector<Value>{Value{{"ip", state_.ip}}}));
    out.set("startTime", format_time(state_.start));
    out.set("qosClass", qos_class(pod_));
    if (!pod_.spec()["initContainers"].empty()) out.set("initContainerStatuses", container_statuses("initContainers"));
    out.set("containerStatuses", container_statuses("containers"));
    if (!pod_.spec()["ephemeralContainers"].empty())
      out.set("ephemeralContainerStatuses", container_statuses("ephemeralContainers"));
    if (pod_.generation() > 0) out.set("observedGeneration", pod_.generation());
    return out;
  }

 private:
  const ContainerState& of(const Value& container) const {
    static const ContainerState none;
    const auto it = state_.containers.find(container["name"].str());
    return it == state_.containers.end() ? none : it->second;
  }

  bool init_done() const {
    for (const auto& container : pod_.spec()["initContainers"].items()) {
      const ContainerState& state = of(container);
      if (is_sidecar(container)) {
        if (!state.start_passed && state.phase != Phase::terminated) return false;
      } else if (state.phase != Phase::terminated || state.terminated->exit_code != 0) {
        return false;
      }
    }
    return true;
  }

  bool init_failed_for_good() const {
    if (pod_.spec()["restartPolicy"].as_string("Always") != "Never") return false;
    for (const auto& container : pod_.spec()["initContainers"].items()) {
      const ContainerState& state = of(container);
      if (!is_sidecar(container) && state.phase == Phase::terminated && state.terminated->exit_code != 0) return true;
    }
    return false;
  }

  // After the kubelet's getPhase.
  std::string compute_phase() const {
    const std::string_view before = pod_.status()["phase"].as_string();
    if (is_finished_phase(before)) return std::string(before);  // an end is final
    if (state_.killed) return "Failed";
    if (init_failed_for_good()) return "Failed";
    const std::string_view policy = pod_.spec()["restartPolicy"].as_string("Always");
    int waiting = 0, running = 0, stopped = 0, good = 0, total = 0;
    for (const auto& container : pod_.spec()["containers"].items()) {
      const ContainerState& state = of(container);
      ++total;
      if (state.phase == Phase::running) ++running;
      if (state.phase == Phase::waiting) ++(state.last ? stopped : waiting);
      if (state.phase == Phase::terminated) {
        ++stopped;
        if (state.terminated->exit_code == 0) ++good;
      }
    }
    const bool ordered = pod_.annotation(kStepsAnnotation) == "ordered";
    if (ordered && waiting > 0 && waiting < total) return "Running";
    if (!init_done() || waiting > 0) return "Pending";
    if (running > 0 || total == 0) return "Running";
    if (stopped == total && policy == "Always" && !ordered && !terminating_) return "Running";
    if (good == total) return "Succeeded";
    if (ordered) return steps_failed() ? "Failed" : "Succeeded";
    if (policy == "Never" || terminating_) return "Failed";
    return "Running";
  }

  bool steps_failed() const {
    const auto passed_over = split(pod_.annotation(kStepsContinueAnnotation), ',');
    for (const auto& container : pod_.spec()["containers"].items()) {
      const ContainerState& state = of(container);
      const std::string name = container["name"].str();
      const bool may_fail =
          std::any_of(passed_over.begin(), passed_over.end(), [&](std::string_view n) { return trim(n) == name; });
      if (state.terminated && state.terminated->exit_code != 0 && !may_fail) return true;
    }
    return false;
  }

  Value container_statuses(std::string_view field) const {
    const bool initializing = field == "containers" && !init_done();
    Value list = Value::list();
    for (const auto& container : pod_.spec()[field].items()) {
      const ContainerState& state = of(container);
      const bool init_success = field == "initContainers" && !is_sidecar(container) &&
                                state.phase == Phase::terminated && state.terminated->exit_code == 0;
      const bool running = state.phase == Phase::running;
      Value one{{"name", container["name"].str()},
                {"state", state_value(state, initializing)},
                {"lastState", last_state_value(state)},
                {"ready", init_success || (running && state.ready && !terminating_)},
                {"restartCount", state.restarts},
                {"image", container["image"].str()},
                {"imageID", state.image_id},
                {"started", running && state.start_passed}};
      if (!state.id.empty()) one.set("containerID", std::string(kIdPrefix) + state.id);
      list.push_back(std::move(one));
    }
    return list;
  }

  void conditions(Value& status, const std::string& phase) {
    std::vector<Value> list;
    for (const auto& condition : pod_.status()["conditions"].items()) {
      const std::string_view type = condition["type"].as_string();
      if (type != "PodReadyToStartContainers" && type != "Initialized" && type != "Ready" && type != "ContainersReady")
        list.push_back(condition);
    }
    const bool finished = is_finished_phase(phase);
    std::vector<std::string> unready;
    for (const auto& container : pod_.spec()["containers"].items()) {
      const ContainerState& state = of(container);
      if (state.phase != Phase::running || !state.ready || terminating_) unready.push_back(container["name"].str());
    }
    std::string reason, message;
    if (finished) {
      reason = phase == "Succeeded" ? "PodCompleted" : "PodFailed";
    } else if (terminating_) {
      reason = "PodTerminating", message = "the pod is being ended and takes no new connections";
    } else if (!unready.empty()) {
      reason = "ContainersNotReady", message = "containers with unready status: [" + join(unready, " ") + "]";
    }
    const bool containers_ready = !finished && unready.empty();
    bool ready = containers_ready;
    std::string ready_reason = reason, ready_message = message;
    for (const auto& gate : pod_.spec()["readinessGates"].items()) {
      if (!ready || kube::condition_is_true(pod_, gate["conditionType"].as_string())) continue;
      ready = false;
      ready_reason = "ReadinessGatesNotReady";
      ready_message = "corresponding condition of pod readiness gate \"" + gate["conditionType"].str() +
                      "\" does not exist or is not true";
    }
    const bool initialized = init_done();
    list.push_back(condition("PodReadyToStartContainers", state_.sandbox, "", ""));
    list.push_back(
        condition("Initialized", initialized,
                  initialized ? (finished && phase == "Succeeded" ? "PodCompleted" : "") : "ContainersNotInitialized",
                  initialized ? "" : "containers with incomplete status: [" + join(uninitialized(), " ") + "]"));
    list.push_back(condition("Ready", ready, ready_reason, ready_message));
    list.push_back(condition("ContainersReady", containers_ready, reason, message));
    if (state_.killed_reason == kEvicted && !kube::condition_is_true(pod_, "DisruptionTarget"))
      list.push_back(condition("DisruptionTarget", true, "TerminationByKubelet", state_.killed_message));
    status.set("conditions", Value(std::move(list)));
  }

  std::vector<std::string> uninitialized() const {
    std::vector<std::string> names;
    for (const auto& container : pod_.spec()["initContainers"].items()) {
      const ContainerState& state = of(container);
      const bool done = is_sidecar(container) ? state.start_passed
                                              : state.phase == Phase::terminated && state.terminated->exit_code == 0;
      if (!done) names.push_back(container["name"].str());
    }
    return names;
  }

  Value condition(std::string_view type, bool is_true, const std::string& reason, const std::string& message) const {
    const Value& before = kube::condition(pod_, type);
    const std::string_view status = is_true ? "True" : "False";
    const bool same = before["status"].as_string() == status;
    Value out{{"type", type},
              {"status", status},
              {"lastProbeTime", nullptr},
              {"lastTransitionTime", same ? before["lastTransitionTime"] : Value(format_time(now_))}};
    if (!reason.empty()) out.set("reason", reason);
    if (!message.empty()) out.set("message", message);
    return out;
  }

  const kube::Object& pod_;
  const PodState& state_;
  bool terminating_;
  Time now_;
};

}  // namespace

Value pod_status(const kube::Object& pod, const PodState& state, const std::string& host_ip, bool terminating,
                 Time now) {
  return Status(pod, state, terminating, now).whole(host_ip);
}

}  // namespace caisson::node
