// SPDX-License-Identifier: Apache-2.0
// The end of a pod or a container: announced first (not ready), then withdrawn from services and ingress, then
// signalled, then killed.
#include <algorithm>
#include <csignal>

#include "artifact/container/root.h"
#include "artifact/container/sandbox.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "machine/node/accept_queue.h"
#include "machine/node/pods.h"
#include "machine/node/sidecars.h"
#include "machine/node/steps.h"

namespace caisson::node {
namespace {

constexpr Duration kWithdrawalMax = std::chrono::seconds(5);
constexpr Duration kAcknowledgementMax = std::chrono::seconds(1);  // TCP repeats after 200, 400 ms

using Phase = ContainerState::Phase;

// "SIGQUIT", "QUIT", "3".
int signal_number(std::string_view text) {
  if (const auto number = parse_int(text)) return static_cast<int>(*number);
  if (text.starts_with("SIG")) text.remove_prefix(3);
  static const std::pair<std::string_view, int> kSignals[] = {
      {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"KILL", SIGKILL}, {"USR1", SIGUSR1},
      {"USR2", SIGUSR2}, {"TERM", SIGTERM}, {"WINCH", SIGWINCH}, {"ABRT", SIGABRT}, {"STOP", SIGSTOP}};
  for (const auto& [name, number] : kSignals) {
    if (text == name) return number;
  }
  return text.starts_with("RTMIN")
             ? SIGRTMIN + static_cast<int>(parse_int(text.size() > 6 ? text.substr(6) : "0").value_or(0))
             : SIGTERM;
}

}  // namespace

bool Pods::any_running(const PodState& state) {
  return std::any_of(state.containers.begin(), state.containers.end(),
                     [](const auto& c) { return c.second.phase == Phase::running; });
}

// Tells one container to end: preStop hook, its stop signal, and SIGKILL when the time is over. The exit comes in as
// any other.
void Pods::stop_container(const PodPtr& pod_ptr, const std::string& name, Duration grace, const std::string& why) {
  Pod& pod = *pod_ptr;
  const auto it = pod.state.containers.find(name);
  if (it == pod.state.containers.end() || it->second.phase != Phase::running) return;
  const Time kill_at = now() + grace;
  const auto [known, fresh] = pod.stopping.emplace(name, kill_at);
  if (!fresh && known->second <= kill_at) return;  // told already, and will be killed sooner
  known->second = kill_at;
  const std::string id = it->second.id;
  crew_.timers.after(grace, [weak = weak_from_this(), id] {
    const auto self = weak.lock();
    if (!self) return;
    const auto queued = self->submit(self->crew_.stoppers, [self, id] {
      const auto killed = self->crew_.containers->kill(id);
      if (!killed.ok()) log::warning("container not killed", {{"container", id}, {"error", killed.error()}});
    });
    if (!queued.ok()) log::error("container not killed: too much to do", {{"container", id}});
  });
  if (!fresh) return;
  pod.probes.erase(name);
  event(pod, false, "Killing", why.empty() ? "Stopping container " + name : why);
  const Value* spec = find_container(pod.object, name);
  const ActionTarget target{crew_.containers.get(), id, pod.state.ip, spec ? *spec : Value()};
  const auto image_signal = read_file(directory(pod) + "/containers/" + id + "/stop-signal");  // launch() wrote it
  std::string wanted = target.container.get({"lifecycle", "stopSignal"}).str();
  if (wanted.empty() && image_signal.ok()) wanted = *image_signal;
  const int signal = wanted.empty() ? SIGTERM : signal_number(trim(wanted));
  const auto queued = submit(crew_.stoppers, [self = shared_from_this(), pod_ptr, target, grace, signal] {
    const Value& hook = target.container.get({"lifecycle", "preStop"});
    if (!hook.is_null() && grace.count() > 0) {
      const auto done = run_action(target, hook, grace);
      if (!done.ok() || !done->success) {
        const std::string failure = done.ok() ? done->message : done.error().message;
        const std::weak_ptr<Pods> weak = self;
        self->post(pod_ptr, [weak, failure](Pod& pod) {
          if (const auto pods = weak.lock())
            pods->event(pod, true, "FailedPreStopHook", "PreStopHook failed: " + failure);
        });
      }
    }
    const auto signalled = self->crew_.containers->signal(target.container_id, signal);
    if (!signalled.ok())
      log::warning("container not signalled", {{"container", target.container_id}, {"error", signalled.error()}});
  });
  if (!queued.ok()) log::error("container not signalled: too much to do", {{"container", id}});
}

// Asks the network to let go of the pod; sync comes again when it has. False when that can't be asked.
bool Pods::withdraw(const PodPtr& pod_ptr) {
  Pod& pod = *pod_ptr;
  // The rest of the grace period is the program's own.
  const Duration most = std::min<Duration>(kWithdrawalMax, std::max<Duration>(*pod.end_by - now(), Duration(0)) / 2);
  pid_t pid = 0;  // any: they share the network namespace
  for (const auto& [name, state] : pod.state.containers) {
    const auto status = state.phase == Phase::running ? crew_.containers->find(state.id) : std::nullopt;
    if (status && status->pid > 0) pid = status->pid;
  }
  const auto queued = submit(crew_.withdrawers, [self = shared_from_this(), pod_ptr, ip = pod.state.ip, pid, most] {
    const Duration until = self->clock_.monotonic() + most;
    if (!self->parts_.withdrawal->wait_withdrawn(ip, most)) {
      log::warning("a pod is ended though the network still names it", {{"address", ip}});
    } else if (pid > 0 &&
               !wait_until_accepted(pid, std::max<Duration>(until - self->clock_.monotonic(), Duration(0)))) {
      log::warning("a pod is ended though connections wait to be accepted", {{"address", ip}});
    }
    self->post(pod_ptr, [](Pod& pod) { pod.withdrawn = true; });
  });
  pod.withdrawal_asked = queued.ok();
  return queued.ok();
}

void Pods::end(const PodPtr& pod_ptr, Duration grace) {
  Pod& pod = *pod_ptr;
  const Time kill_at = now() + grace;
  if (!pod.end_by)
    pod.end_by =
        pod.object.deleting()
            ? std::min(kill_at, parse_time(pod.object.metadata()["deletionTimestamp"].as_string()).value_or(kill_at))
            : kill_at;
  if (pod.leave_by && !pod.object.deleting() && !pod.gone && !any_running(pod)) {
    tell_status(pod, false);  // not as one that ends for good: it starts again with the next agent
    return;
  }
  // 1. Told: not ready any more. Endpoints follow from that.
  tell_status(pod, true);
  // 2. Withdrawn: no rule sends it new connections, and those that it was sent are accepted.
  if (!pod.withdrawn && any_running(pod) && parts_.withdrawal && !pod.gone &&
      !pod.object.spec()["hostNetwork"].as_bool() && pod.was_ready) {
    if (pod.withdrawal_asked || withdraw(pod_ptr)) return;
  }
  // 3. Signalled: the main containers first, sidecars after them, one after another.
  if (any_running(pod)) {
    const Duration left = std::max<Duration>(*pod.end_by - now(), Duration(0));
    bool main_left = false;
    for (const auto& container : pod.object.spec()["containers"].items()) {
      const auto it = pod.state.containers.find(container["name"].str());
      if (it == pod.state.containers.end() || it->second.phase != Phase::running) continue;
      main_left = true;
      stop_container(pod_ptr, it->first, left, "");
    }
    const auto sidecar = last_running_sidecar(pod.object, pod.state);
    for (const auto& [name, state] : pod.state.containers) {
      const Value* spec = find_container(pod.object, name);
      const bool waits = spec && is_sidecar(*spec) && sidecar && name != *sidecar;
      if (!main_left && !waits && state.phase == Phase::running)
        stop_container(pod_ptr, name, std::max<Duration>(left, std::chrono::seconds(1)), "");
    }
    return;  // an exit brings us back here
  }
  // 4. Ended: the last status, then nothing is left, then the object goes.
  if (pod.state.killed && !pod.object.deleting() && !pod.gone) {
    finish(pod_ptr);
    return;
  }
  for (auto& [name, fetch] : pod.fetches) {
    if (fetch.running) continue;
    fetch.image.reset();
  }
  if (const auto written = write_results(pod); !written.ok())  // its owner has given it up: nobody reads them
    log::warning("results not written", {{"pod", pod.object.key().str()}, {"error", written.error()}});
  tell_status(pod, true);
  if (!pod.torn_down) {
    const auto down = tear_down(pod);
    if (!down.ok()) {
      log::warning("pod not cleared", {{"pod", pod.object.key().str()}, {"error", down.error()}});
      again_after(pod_ptr, std::chrono::seconds(2));
      return;
    }
  }
  if (!pod.gone) delete_object(pod);
}

void Pods::finish(const PodPtr& pod_ptr) {
  Pod& pod = *pod_ptr;
  if (const auto written = write_results(pod); !written.ok()) {
    log::warning("results not written", {{"pod", pod.object.key().str()}, {"error", written.error()}});
    const ErrorCode code = written.error().code;
    pod.results_written = code == ErrorCode::invalid || code == ErrorCode::bad_request ||
                          code == ErrorCode::forbidden || code == ErrorCode::too_large;  // it would be refused again
    if (!pod.results_written) {  // whoever reads the phase must find the results there
      again_after(pod_ptr, std::chrono::milliseconds(500));
      return;
    }
  }
  tell_status(pod, false);
  if (is_finished_phase(pod.object.status()["phase"].as_string()) && !pod.torn_down) {
    const auto down = tear_down(pod);
    if (!down.ok()) {
      log::warning("ended pod not cleared", {{"pod", pod.object.key().str()}, {"error", down.error()}});
      again_after(pod_ptr, std::chrono::seconds(5));
    }
  }
}

namespace {

// Statuses hold whole seconds; a trace wants to know better.
Value step_times(const PodState& state) {
  Value times = Value::map();
  for (const auto& [name, container] : state.containers) {
    if (!container.terminated || container.terminated->started == Time{}) continue;
    const Terminated& ended = *container.terminated;
    times.set(name, Value(std::vector<Value>{format_time_nanos(ended.started), format_time_nanos(ended.finished)}));
  }
  return times;
}

}  // namespace

std::string Pods::annotated_volume(const Pod& pod, std::string_view annotation) const {
  const std::string volume(pod.object.annotation(annotation));
  if (volume.empty()) return {};
  const auto path = pod.volumes.find(volume);
  return path == pod.volumes.end() ? directory(pod) + "/volumes/" + volume : path->second;
}

// The files that the step that ended last has for its streams; those before it have theirs.
Result<void> Pods::write_last_streams(const Pod& pod) const {
  if (pod.object.annotation(kStepsStreamsAnnotation).empty()) return {};
  std::string last;
  for (const Value& step : pod.object.spec()["containers"].items()) {
    const auto found = pod.state.containers.find(step["name"].str());
    if (found == pod.state.containers.end() || !found->second.terminated) break;
    if (found->second.terminated->reason != "Skipped") last = found->first;
  }
  if (last.empty()) return {};
  const std::string log = log_directory(pod.state.ns, pod.state.name, pod.uid, last) + "/0.log";  // steps run once
  return write_streams(pod.object, last, log, [&](const std::string& volume) {
    const auto path = pod.volumes.find(volume);
    return path == pod.volumes.end() ? directory(pod) + "/volumes/" + volume : path->second;
  });
}

// Steps: results and exact times become annotations, before the phase says that the pod has ended.
Result<void> Pods::write_results(Pod& pod) {
  const Value& annotations = pod.object.metadata()["annotations"];
  if (!annotations.contains(kStepsAnnotation) || pod.results_written || pod.gone ||
      annotations.contains(kStepTimesAnnotation))
    return {};
  if (const auto streams = write_last_streams(pod); !streams.ok())
    log::warning("streams of a step not written", {{"pod", pod.object.key().str()}, {"error", streams.error()}});
  Value told{{kStepTimesAnnotation, json::write(step_times(pod.state))}};
  if (const std::string path = annotated_volume(pod, kResultsDirAnnotation); !path.empty())
    told.set(kResultsAnnotation, json::write(read_result_files(path)));
  if (const std::string path = annotated_volume(pod, kStepsDirAnnotation); !path.empty()) {
    if (const Value results = read_step_results(pod.object, path); !results.empty())
      told.set(kStepResultsAnnotation, json::write(results));
  }
  const Value patch{{"metadata", Value{{"uid", pod.uid}, {"annotations", std::move(told)}}}};
  auto written =
      client_.patch(schema::kPods, pod.object.key(), kube::PatchType::merge, patch, {.field_manager = "kubelet"});
  if (!written.ok() && written.error().code != ErrorCode::not_found) return std::move(written).error();
  if (written.ok()) pod.object = std::move(written).value();
  pod.results_written = true;
  return {};
}

Result<void> Pods::tear_down(Pod& pod) {
  pod.probes.clear();
  for (const auto& status : crew_.containers->list()) {
    if (status.label("pod") == pod.uid) TRY(crew_.containers->remove(status.id));
  }
  const std::string dir = directory(pod);
  if (!pod.object.spec()["hostNetwork"].as_bool()) {
    // Without its namespace (a reboot) nothing of it is under way.
    if (const auto told = wait_until_acknowledged(dir + "/sandbox/net", kAcknowledgementMax); told.ok() && !*told)
      log::warning("a pod's link goes before its connections' ends are acknowledged",
                   {{"pod", pod.object.key().str()}});
    TRY(parts_.network->detach(pod.uid));
  }
  if (exists(dir)) TRY(container::unmount_below(dir));  // roots, tmpfs volumes, and the pinned namespaces
  TRY(container::remove_sandbox(dir + "/sandbox"));
  TRY(container::Cgroup(options_.cgroup + "/pod" + pod.uid).remove());
  for (const char* part : {"/containers", "/volumes", "/etc", "/shm", "/sandbox"}) TRY(remove_tree(dir + part));
  pod.ready_for_containers = false;
  pod.state.sandbox = false;
  pod.torn_down = true;
  return {};
}

void Pods::delete_object(Pod& pod) {
  kube::DeleteOptions options;
  options.grace_period_seconds = 0;
  options.uid = pod.uid;
  const auto removed = client_.remove(schema::kPods, pod.object.key(), options);
  if (removed.ok() || removed.error().code == ErrorCode::not_found || removed.error().code == ErrorCode::conflict) {
    // Finalizers may keep the object; then the informer goes on showing it and nothing is left to do here.
    pod.gone = pod.object.metadata()["finalizers"].empty();
    return;
  }
  log::warning("ended pod not deleted", {{"pod", pod.object.key().str()}, {"error", removed.error()}});
  if (queue_) queue_->add_after(pod.object.key(), std::chrono::seconds(2));
}

}  // namespace caisson::node
