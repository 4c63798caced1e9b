// SPDX-License-Identifier: Apache-2.0
// A pod that is to run: its files and volumes, and then whatever the plan says.
#include <algorithm>

#include "artifact/container/root.h"
#include "artifact/container/sandbox.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "machine/node/launch.h"
#include "machine/node/pods.h"
#include "machine/node/steps.h"

namespace caisson::node {
namespace {

constexpr Duration kEvictionGrace = std::chrono::seconds(1);
constexpr Duration kSetUpRetryMax = std::chrono::seconds(30);

using Phase = ContainerState::Phase;
const schema::Resource kPersistentVolumes{"", "v1", "PersistentVolume", "persistentvolumes", false};

Duration retry_delay(int failures, Duration most) {
  Duration delay = std::chrono::milliseconds(500);
  for (int i = 1; i < failures && delay < most; ++i) delay *= 2;
  return std::min(delay, most);
}

}  // namespace

void Pods::run(const PodPtr& pod_ptr) {
  Pod& pod = *pod_ptr;
  if (is_finished_phase(pod.object.status()["phase"].as_string())) {
    if (pod.torn_down) return;
    const auto down = tear_down(pod);
    if (!down.ok()) {
      log::warning("ended pod not cleared", {{"pod", pod.object.key().str()}, {"error", down.error()}});
      again_after(pod_ptr, std::chrono::seconds(5));
    }
    return;
  }
  if (refused(pod) || over_deadline(pod)) {
    end(pod_ptr, grace_of(pod));
    return;
  }
  if (const std::int64_t seconds = pod.object.spec()["activeDeadlineSeconds"].as_int(); seconds > 0) {
    again_after(pod_ptr, pod.state.start + std::chrono::seconds(seconds) - now());
  }
  if (now() < pod.set_up_next) return;  // a timer is set
  if (!volume_images_ready(pod_ptr)) {
    tell_status(pod, false);
    return;
  }
  const auto up = set_up(pod_ptr);
  if (!up.ok()) {
    ++pod.set_up_failures;
    const Duration delay = retry_delay(pod.set_up_failures, kSetUpRetryMax);
    pod.set_up_next = now() + delay;
    again_after(pod_ptr, delay);
    event(pod, true, pod.state.sandbox ? "FailedMount" : "FailedCreatePodSandBox", up.error().message);
    for (const Value* container : all_containers(pod.object)) {
      ContainerState& state = pod.state.containers[(*container)["name"].str()];
      if (state.phase == Phase::waiting)
        state.waiting_reason = "ContainerCreating", state.waiting_message = up.error().message;
    }
    tell_status(pod, false);
    return;
  }
  pod.set_up_failures = 0;
  Plan todo = plan(pod.object, pod.state, now());
  for (const auto& name : todo.skip) {
    ContainerState& state = pod.state.containers[name];
    state.phase = Phase::terminated;
    state.terminated = Terminated{1, "Skipped", "a step before it failed", now(), now(), ""};
  }
  if (!todo.skip.empty()) todo = plan(pod.object, pod.state, now());
  while (pass_over_step(pod, todo)) todo = plan(pod.object, pod.state, now());
  if (!leaving_) apply(pod_ptr, todo);
  watch_probes(pod_ptr);
  if (todo.finished && !any_running(pod)) {
    finish(pod_ptr);
  } else {
    tell_status(pod, false);
  }
}

// Ends the next step where its when expressions do not hold; true: it was ended.
bool Pods::pass_over_step(Pod& pod, const Plan& todo) {
  const std::string steps = annotated_volume(pod, kStepsDirAnnotation);
  if (steps.empty() || todo.start.empty()) return false;
  const std::string& name = todo.start.front();
  const auto applies = step_applies(pod.object, steps, name);
  if (applies.ok() && *applies) return false;
  ContainerState& state = pod.state.containers[name];
  state.phase = Phase::terminated;
  state.terminated = applies.ok() ? Terminated{0, "Skipped", "its when expressions do not hold", now(), now(), ""}
                                  : Terminated{1, "Error", applies.error().message, now(), now(), ""};
  return true;
}

Duration Pods::grace_of(const Pod& pod) {
  if (pod.state.killed_reason == kEvicted) return kEvictionGrace;
  return std::chrono::seconds(pod.object.spec()["terminationGracePeriodSeconds"].as_int(30));
}

void Pods::apply(const PodPtr& pod, const Plan& todo) {
  for (const auto& name : todo.stop) {
    stop_container(pod, name, std::chrono::seconds(pod->object.spec()["terminationGracePeriodSeconds"].as_int(30)),
                   "the pod's other containers have ended");
  }
  for (const auto& [name, left] : todo.back_off) back_off(pod, name, left);
  for (const auto& name : todo.start) start_container(pod, name);
}

bool Pods::over_deadline(Pod& pod) {
  const std::int64_t seconds = pod.object.spec()["activeDeadlineSeconds"].as_int();
  if (pod.state.killed) return true;
  if (seconds <= 0 || now() < pod.state.start + std::chrono::seconds(seconds)) return false;
  pod.state.killed = true;
  pod.state.killed_reason = "DeadlineExceeded";
  pod.state.killed_message = "Pod was active on the node longer than the specified deadline";
  event(pod, false, "DeadlineExceeded", pod.state.killed_message);
  return true;
}

void Pods::back_off(const PodPtr& pod, const std::string& name, Duration left) {
  ContainerState& state = pod->state.containers[name];
  if (state.waiting_reason != "CrashLoopBackOff") {
    const std::string text = "back-off " + format_duration(restart_delay(state.crashes)) +
                             " restarting failed container=" + name + " pod=" + pod->state.name + "_" + pod->state.ns +
                             "(" + pod->uid + ")";
    state.waiting_reason = "CrashLoopBackOff";
    state.waiting_message = text;
    event(*pod, true, "BackOff",
          "Back-off restarting failed container " + name + " in pod " + pod->state.name + "_" + pod->state.ns + "(" +
              pod->uid + ")");
  }
  again_after(pod, left);
}

// --- volumes

// What the files of the volumes are made from, so that nothing is read again while nothing changed.
std::string Pods::volumes_signature(Pod& pod) {
  std::string signature = pod.uid;
  const auto add = [&](bool secret, const Value& name) {
    if (name.as_string().empty()) return;
    const auto found =
        parts_.runtime->informer(secret ? schema::kSecrets : schema::kConfigMaps).find({pod.state.ns, name.str()});
    signature += "|" + name.str() + "=" + (found ? found->resource_version() : "");
  };
  bool downward = false;
  for (const auto& volume : pod.object.spec()["volumes"].items()) {
    add(false, volume["configMap"]["name"]);
    add(true, volume["secret"]["secretName"]);
    downward = downward || volume.contains("downwardAPI");
    for (const auto& source : volume["projected"]["sources"].items()) {
      add(false, source["configMap"]["name"]);
      add(true, source["secret"]["name"]);
      downward = downward || source.contains("downwardAPI");
      if (source.contains("serviceAccountToken"))
        signature += now() >= pod.token_refresh ? "|token" + format_time(now()) : "";
    }
  }
  if (downward) {
    for (const char* map : {"labels", "annotations"}) {
      for (const auto& entry : pod.object.metadata()[map].entries())
        signature += "|" + std::string(entry.key) + "=" + entry.value.str();
    }
  }
  return signature;
}

Result<void> Pods::refresh_volumes(const PodPtr& pod_ptr) {
  Pod& pod = *pod_ptr;
  const std::string signature = volumes_signature(pod);
  if (pod.ready_for_containers && signature == pod.volumes_signature) return {};
  const Surroundings around = surroundings(pod);
  pod.token_refresh = Time{};
  auto made = make_volumes(pod.object, directory(pod) + "/volumes", volume_sources(pod, around));
  if (!made.ok()) {
    if (!pod.ready_for_containers) return std::move(made).error();
    // A running pod keeps what it has, as with the kubelet.
    log::warning("volumes not brought up to date", {{"pod", pod.object.key().str()}, {"error", made.error()}});
    again_after(pod_ptr, kSetUpRetryMax);
    return {};
  }
  pod.volumes = std::move(made).value();
  pod.volumes_signature = volumes_signature(pod);
  if (pod.token_refresh != Time{}) again_after(pod_ptr, pod.token_refresh - now());
  return {};
}

VolumeSources Pods::volume_sources(Pod& pod, const Surroundings& around) {
  VolumeSources sources;
  sources.around = &around;
  sources.token = [this, &pod](const std::string& audience, std::int64_t seconds) {
    return token(pod, audience, seconds);
  };
  sources.claim = [this, ns = pod.state.ns](const std::string& name) -> std::optional<kube::Object> {
    auto found = client_.get(schema::kPersistentVolumeClaims, {ns, name});
    if (!found.ok()) return std::nullopt;
    return std::move(found).value();
  };
  sources.volume = [this](const std::string& name) -> std::optional<kube::Object> {
    auto found = client_.get(kPersistentVolumes, {"", name});
    if (!found.ok()) return std::nullopt;
    return std::move(found).value();
  };
  sources.local_volumes = options_.data_dir + "/volumes";
  sources.ids = {pod.state.user_ids};
  sources.first = !pod.ready_for_containers;
  sources.image_trees = [&pod](const std::string& name) { return pod.volume_images[name].trees; };
  return sources;
}

// A token lives until 80 % of its life are over, then a new one is asked for (kubelet's token manager).
Result<std::string> Pods::token(Pod& pod, const std::string& audience, std::int64_t seconds) {
  const std::string key = audience + "/" + std::to_string(seconds);
  auto& [text, renew] = pod.tokens[key];
  if (text.empty() || now() >= renew) {
    Value spec{
        {"expirationSeconds", seconds},
        {"boundObjectRef", Value{{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", pod.state.name}, {"uid", pod.uid}}}};
    spec.set("audiences", audience.empty() ? Value::list() : Value::list_of({audience}));
    const Value request{{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenRequest"}, {"spec", spec}};
    std::string account = pod.object.spec()["serviceAccountName"].str();
    if (account.empty()) account = "default";
    auto answer = client_.post(schema::kServiceAccounts, {pod.state.ns, account}, "token", request);
    if (!answer.ok()) return std::move(answer).error().in("token of serviceaccount \"" + account + "\"");
    text = (*answer)["status"]["token"].str();
    const Time end = parse_time((*answer)["status"]["expirationTimestamp"].as_string())
                         .value_or(now() + std::chrono::seconds(seconds));
    renew = now() + (end - now()) * 8 / 10;
  }
  if (pod.token_refresh == Time{} || renew < pod.token_refresh) pod.token_refresh = renew;
  return text;
}

Surroundings Pods::surroundings(const Pod& pod) {
  Surroundings around;
  const auto finder = [this, ns = pod.state.ns](const schema::Resource& resource) {
    return [this, ns, resource](const std::string& name) {
      return parts_.runtime->informer(resource).find({ns, name});
    };
  };
  around.config_map = finder(schema::kConfigMaps);
  around.secret = finder(schema::kSecrets);
  kube::Informer& services = parts_.runtime->informer(schema::kServices);
  around.services = services.list(pod.state.ns);
  if (pod.state.ns != "default") {
    if (auto api = services.find({"default", "kubernetes"})) around.services.push_back(*std::move(api));
  }
  around.pod_ip = pod.state.ip;
  around.host_ip = options_.address;
  around.node_name = options_.name;
  around.cpu_milli = static_cast<std::int64_t>(std::max(1u, std::thread::hardware_concurrency())) * 1000;
  around.memory_bytes = static_cast<std::int64_t>(container::host_memory_bytes());
  return around;
}

// --- probes

void Pods::watch_probes(const PodPtr& pod_ptr) {
  Pod& pod = *pod_ptr;
  for (auto& [name, state] : pod.state.containers) {
    if (state.phase != Phase::running || pod.probes.contains(name) || pod.stopping.contains(name)) continue;
    const Value* spec = find_container(pod.object, name);
    if (!spec) continue;
    const bool has_startup = spec->contains("startupProbe"), has_readiness = spec->contains("readinessProbe");
    if (!has_startup) state.start_passed = true;
    if (!has_readiness && state.start_passed) state.ready = true;
    if (!has_startup && !has_readiness && !spec->contains("livenessProbe")) continue;
    const std::string id = state.id;
    const std::weak_ptr<Pods> weak = weak_from_this();
    // A verdict counts only for the container that it was about.
    const auto tell = [weak, uid = pod.uid, name, id](std::function<void(Pods&, Pod&, ContainerState&)> change) {
      if (const auto self = weak.lock()) {
        self->post_to(uid, [weak, name, id, change](Pod& pod) {
          const auto self = weak.lock();
          const auto it = pod.state.containers.find(name);
          if (self && it != pod.state.containers.end() && it->second.id == id && it->second.phase == Phase::running)
            change(*self, pod, it->second);
        });
      }
    };
    ProbeEvents on;
    on.started = [tell, has_readiness] {
      tell([has_readiness](Pods&, Pod&, ContainerState& state) {
        state.start_passed = true;
        if (!has_readiness) state.ready = true;
      });
    };
    on.readiness = [tell](bool ready) { tell([ready](Pods&, Pod&, ContainerState& state) { state.ready = ready; }); };
    on.failed = [tell](std::string_view probe, std::string message) {
      tell([probe = std::string(probe), message](Pods& pods, Pod& pod, ContainerState&) {
        pods.event(pod, true, "Unhealthy", probe + " probe failed: " + message);
      });
    };
    on.must_restart = [tell, name, weak_pod = std::weak_ptr<Pod>(pod_ptr)](std::string_view probe, std::string) {
      std::string kind(probe);
      kind[0] = static_cast<char>(std::tolower(kind[0]));
      tell([kind, name, weak_pod](Pods& pods, Pod& pod, ContainerState&) {
        const auto ptr = weak_pod.lock();
        const Value* spec = find_container(pod.object, name);
        if (!ptr || !spec) return;
        const Value& own = (*spec)[kind + "Probe"]["terminationGracePeriodSeconds"];
        const std::int64_t grace =
            own.is_int() ? own.as_int() : pod.object.spec()["terminationGracePeriodSeconds"].as_int(30);
        pods.stop_container(ptr, name, std::chrono::seconds(grace),
                            "Container " + name + " failed " + kind + " probe, will be restarted");
      });
    };
    pod.probes[name] =
        ContainerProbes::start(crew_.timers, crew_.probers, {crew_.containers.get(), id, pod.state.ip, *spec},
                               state.start_passed && has_startup, std::move(on));
  }
}

}  // namespace caisson::node
