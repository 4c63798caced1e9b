// SPDX-License-Identifier: Apache-2.0
// The start of one container: its image, its specification, create and start.
#include <fcntl.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "artifact/container/root.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/document/json.h"
#include "machine/node/launch.h"
#include "machine/node/pods.h"
#include "machine/node/steps.h"

namespace caisson::node {
namespace {

constexpr int kStartErrorCode = 128;  // what containerd reports for a command that can't be run
constexpr Duration kPostStartMax = std::chrono::minutes(5);

using Phase = ContainerState::Phase;

PullPolicy policy_of(const Value& container) {
  return pull_policy(container["image"].as_string(), container["imagePullPolicy"].as_string());
}

// The log of one run, with what was rotated off it.
Result<void> remove_logs(const std::string& directory, int attempt) {
  const std::string name = std::to_string(attempt) + ".log";
  if (!exists(directory)) return {};
  const auto files = TRY(list_dir(directory));
  for (const auto& file : files) {
    if (file == name || file.starts_with(name + ".")) TRY(remove_file(path_join(directory, file)));
  }
  return {};
}

std::string fetch_reason(const Error& error, PullPolicy policy) {
  if (error.code == ErrorCode::bad_request) return "InvalidImageName";
  if (policy == PullPolicy::never) return "ErrImageNeverPull";
  return "ErrImagePull";
}

}  // namespace

PullPolicy pull_policy(std::string_view image, std::string_view policy) {
  if (policy == "Always") return PullPolicy::always;
  if (policy == "Never") return PullPolicy::never;
  if (policy == "IfNotPresent") return PullPolicy::if_not_present;
  // Admission fills it in; this is for objects that did not pass it.
  const std::size_t slash = image.rfind('/'), colon = image.rfind(':');
  const bool tagged = image.find('@') != image.npos || (colon != image.npos && (slash == image.npos || colon > slash));
  return !tagged || image.ends_with(":latest") ? PullPolicy::always : PullPolicy::if_not_present;
}

void Pods::start_container(const PodPtr& pod_ptr, const std::string& name) {
  Pod& pod = *pod_ptr;
  const Value* container = find_container(pod.object, name);
  if (!container) return;
  ContainerState& state = pod.state.containers[name];
  if (now() < pod.start_next[name]) {
    again_after(pod_ptr, pod.start_next[name] - now());
    return;
  }
  if (!image_ready(pod_ptr, name, *container)) return;
  ImageFetch& fetch = pod.fetches[name];
  const Image image = *std::move(fetch.image);
  fetch.image.reset();
  state.image_id = image.id();
  const Time began = now();
  std::string stage = "CreateContainerConfigError";
  const auto launched = launch(pod_ptr, name, *container, image, stage);
  span(pod, "start", name, began, launched.ok() ? "" : launched.error().message);
  if (!launched.ok()) {
    start_failed(pod_ptr, name, launched.error(), stage);
    return;
  }
  pod.start_failures.erase(name);
  pod.start_next.erase(name);
  if (container->get({"lifecycle", "postStart"}).is_null()) return;
  run_post_start(pod_ptr, name, *container);
}

// --- the image

bool Pods::image_ready(const PodPtr& pod_ptr, const std::string& name, const Value& container) {
  Pod& pod = *pod_ptr;
  ImageFetch& fetch = pod.fetches[name];
  if (fetch.image) return true;
  if (fetch.running) return false;
  ContainerState& state = pod.state.containers[name];
  if (now() < fetch.next_try) {
    if (state.waiting_reason == "ErrImagePull") {
      state.waiting_reason = "ImagePullBackOff";
      state.waiting_message = "Back-off pulling image \"" + container["image"].str() + "\": " + state.waiting_message;
      event(pod, false, "BackOff", "Back-off pulling image \"" + container["image"].str() + "\"");
    }
    again_after(pod_ptr, fetch.next_try - now());
    return false;
  }
  fetch.running = true;
  ImageRequest request;
  request.name = container["image"].str();
  request.policy = policy_of(container);
  request.docker_configs = pull_secrets(pod.object);
  const std::weak_ptr<Pods> weak = weak_from_this();
  request.on_pull = [weak, uid = pod.uid, image = request.name] {
    if (const auto self = weak.lock())
      self->post_to(uid, [weak, image](Pod& pod) {
        if (const auto self = weak.lock()) self->event(pod, false, "Pulling", "Pulling image \"" + image + "\"");
      });
  };
  const Time began = now();
  const auto queued =
      submit(crew_.fetchers, [weak, pod_ptr, name, request = std::move(request), began, provider = parts_.images] {
        auto image = provider->ensure(request);
        const auto self = weak.lock();
        if (!self) return;
        auto shared = std::make_shared<Result<Image>>(std::move(image));
        self->post(pod_ptr, [weak, pod_ptr, name, shared, began](Pod&) {
          if (const auto self = weak.lock()) self->image_fetched(pod_ptr, name, std::move(*shared), began);
        });
      });
  if (!queued.ok()) fetch.running = false;
  return false;
}

void Pods::image_fetched(const PodPtr& pod_ptr, const std::string& name, Result<Image> image, Time began) {
  Pod& pod = *pod_ptr;
  ImageFetch& fetch = pod.fetches[name];
  fetch.running = false;
  ContainerState& state = pod.state.containers[name];
  const Value* container = find_container(pod.object, name);
  if (!container) return;
  const std::string wanted = (*container)["image"].str();
  span(pod, "image", name, began, image.ok() ? "" : image.error().message);
  if (image.ok()) {
    const std::string took = format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(now() - began));
    const std::string what = image->stand_in.empty() ? "" : " (a stand-in made from " + image->stand_in + ")";
    event(pod, false, "Pulled", "Container image \"" + wanted + "\" is present" + what + " after " + took);
    fetch.failures = 0;
    fetch.next_try = Time{};
    fetch.image = std::move(image).value();
    return;
  }
  ++fetch.failures;
  const Duration delay = restart_delay(fetch.failures + 1);
  fetch.next_try = now() + delay;
  state.waiting_reason = fetch_reason(image.error(), policy_of(*container));
  state.waiting_message = image.error().message;
  event(pod, true, "Failed", "Failed to pull image \"" + wanted + "\": " + image.error().message);
  event(pod, true, "Failed", "Error: " + state.waiting_reason);
  // Told as ErrImagePull now, and as ImagePullBackOff from the next look on.
  tell_status(pod, false);
}

std::vector<Value> Pods::pull_secrets(const kube::Object& pod) {
  std::vector<Value> configs;
  kube::Informer& secrets = parts_.runtime->informer(schema::kSecrets);
  for (const auto& reference : pod.spec()["imagePullSecrets"].items()) {
    const auto secret = secrets.find({pod.ns(), reference["name"].str()});
    if (!secret) continue;
    const auto text = unbase64((*secret)["data"][".dockerconfigjson"].as_string());
    const auto config = text.ok() ? json::parse(*text) : Result<Value>(text.error());
    if (config.ok()) configs.push_back((*config)["auths"]);
  }
  return configs;
}

// --- create and start

Result<std::vector<container::Mount>> Pods::mounts(Pod& pod, const Value& container, const std::string& id) {
  const std::string dir = directory(pod);
  std::vector<container::Mount> mounts;
  const bool writable_hosts = !container["securityContext"]["readOnlyRootFilesystem"].as_bool();
  mounts.push_back({dir + "/etc/hosts", "/etc/hosts", !writable_hosts});
  mounts.push_back({dir + "/etc/resolv.conf", "/etc/resolv.conf", !writable_hosts});
  mounts.push_back({dir + "/etc/hostname", "/etc/hostname", !writable_hosts});
  mounts.push_back({pod.object.spec()["hostIPC"].as_bool() ? "/dev/shm" : dir + "/shm", "/dev/shm"});
  const std::string message = dir + "/containers/" + id + "/message";
  TRY(write_file_unsynced(message, "", 0666));
  std::string target = container["terminationMessagePath"].str();
  mounts.push_back({message, target.empty() ? "/dev/termination-log" : target});
  const Env none;
  const Env env = pod.volumes.empty() ? none : TRY(container_env(pod.object, container, {}, surroundings(pod)));
  for (const auto& mount : container["volumeMounts"].items()) {
    const auto volume = pod.volumes.find(mount["name"].str());
    if (volume == pod.volumes.end())
      return Error{ErrorCode::invalid, "volumeMounts: the pod has no volume \"" + mount["name"].str() + "\""};
    std::string sub = mount["subPath"].str();
    if (sub.empty()) sub = expand(mount["subPathExpr"].as_string(), env);
    container::Mount one{TRY(mount_source(volume->second, sub)), mount["mountPath"].str(), mount["readOnly"].as_bool()};
    const std::string_view propagation = mount["mountPropagation"].as_string();
    if (propagation == "HostToContainer") one.options.emplace_back("rslave");
    if (propagation == "Bidirectional") {
      TRY(container::check_shared(one.source));
      one.options.emplace_back("rshared");
    }
    const std::string_view recursive = mount["recursiveReadOnly"].as_string();
    if (one.read_only && (recursive == "Enabled" || recursive == "IfPossible")) one.options.emplace_back("rro");
    if (pod.volume_images.contains(volume->first)) {
      one.read_only = true;
      one.options.emplace_back("noexec");
    }
    std::erase_if(mounts, [&one](const container::Mount& m) { return path_clean(m.target) == path_clean(one.target); });
    mounts.push_back(std::move(one));
  }
  return mounts;
}

Result<std::vector<container::Mount>> Pods::map_ids(Pod& pod, std::vector<container::Mount> mounts,
                                                    const std::string& own) {
  const UniqueFd user_namespace(::open(pod.sandbox.user.c_str(), O_RDONLY | O_CLOEXEC));
  if (!user_namespace) return errno_error("open " + pod.sandbox.user);
  int number = 0;
  for (container::Mount& mount : mounts) {
    const bool of_image = std::any_of(pod.volume_images.begin(), pod.volume_images.end(), [&](const auto& volume) {
      return mount.source.starts_with(directory(pod) + "/volumes/" + volume.first);
    });
    if (of_image) continue;  // its layers have mapped ids already
    // What the host's mount forbids stays forbidden: in a user namespace it could not be taken away.
    struct statvfs host {};
    if (::statvfs(mount.source.c_str(), &host) != 0) return errno_error("look at " + mount.source);
    if (host.f_flag & ST_NOSUID) mount.options.emplace_back("nosuid");
    if (host.f_flag & ST_NODEV) mount.options.emplace_back("nodev");
    if (host.f_flag & ST_NOEXEC) mount.options.emplace_back("noexec");
    const std::string mapped = own + "/mapped/" + std::to_string(number++);
    TRY(container::mount_mapped(mount.source, mapped, user_namespace).in("mount " + mount.target));
    mount.source = mapped;
  }
  return mounts;
}

Result<void> Pods::launch(const PodPtr& pod_ptr, const std::string& name, const Value& declared, const Image& image,
                          std::string& stage) {
  Pod& pod = *pod_ptr;
  Value container = declared;
  if (const std::string steps = annotated_volume(pod, kStepsDirAnnotation); !steps.empty()) {
    TRY(write_last_streams(pod));
    TRY(prepare_step(pod.object, pod.state, steps, name));
    container = TRY(with_step_results(declared, steps));
  }
  ContainerState& state = pod.state.containers[name];
  const bool again = state.phase == Phase::terminated;
  const int attempt = again ? state.restarts + 1 : state.restarts;
  const std::string id = hex(random_bytes(32));
  const std::string own = directory(pod) + "/containers/" + id;
  TRY(make_dirs(own, 0711));
  if (!image.config.stop_signal.empty()) TRY(write_file_unsynced(own + "/stop-signal", image.config.stop_signal));
  LaunchInput in;
  in.pod = &pod.object;
  in.container = &container;
  in.image = &image.config;
  in.id = id;
  in.root = own + "/root";
  in.sandbox = pod.sandbox;
  in.log_path = log_directory(pod.state.ns, pod.state.name, pod.uid, name) + "/" + std::to_string(attempt) + ".log";
  if (attempt >= 2) TRY(remove_logs(path_dir(in.log_path), attempt - 2));  // this run's and the one before are kept
  in.pid_namespace = TRY(process_namespace(pod, container));
  in.seccomp_directory = options_.data_dir + "/seccomp";
  in.memory_bytes = static_cast<std::int64_t>(container::host_memory_bytes());
  in.env = TRY(container_env(pod.object, container, image.config.env, surroundings(pod)));
  if (!pod.object.annotation(kTraceparentAnnotation).empty()) {
    const bool has =
        std::any_of(in.env.begin(), in.env.end(), [](const auto& v) { return v.first == kTraceparentVariable; });
    if (!has && pod.object.annotation(kStepsAnnotation) == "ordered") {
      in.env.emplace_back(kTraceparentVariable, pod.object.annotation(kTraceparentAnnotation));
    }
  }
  const bool has_hostname =
      std::any_of(in.env.begin(), in.env.end(), [](const auto& v) { return v.first == "HOSTNAME"; });
  if (!has_hostname && !pod.object.spec()["hostNetwork"].as_bool())
    in.env.emplace_back("HOSTNAME", hostname_of(pod.object));
  in.mounts = TRY(mounts(pod, container, id));
  const container::IdRange ids{pod.state.user_ids};
  TRY(container::mount_root(
      {.lowers = image.trees, .upper = own + "/upper", .work = own + "/work", .merged = in.root, .ids = ids}));
  const auto abandon = [&own](Error error) -> Error {
    const auto unmounted = container::unmount_below(own);
    const auto removed = unmounted.ok() ? remove_tree(own) : Result<void>(unmounted.error());
    if (!removed.ok()) log::warning("root not removed", {{"path", own}, {"error", removed.error()}});
    return error;
  };
  const std::string user = user_text(pod.object, container, image.config);
  auto looked_up = container::resolve_user(in.root, user);
  if (!looked_up.ok()) return abandon(std::move(looked_up).error());
  auto effective = effective_user(pod.object, container, *looked_up, user);
  if (!effective.ok()) return abandon(std::move(effective).error());
  in.user = *effective;
  in.user_ids = ids;
  if (ids) {
    auto mapped = map_ids(pod, std::move(in.mounts), own);
    if (!mapped.ok()) return abandon(std::move(mapped).error());
    in.mounts = std::move(mapped).value();
  }
  auto spec = container_spec(in);
  if (!spec.ok()) return abandon(std::move(spec).error());

  stage = "CreateContainerError";
  const ContainerState before = state;
  if (again) {
    state.last = state.terminated;
    state.terminated.reset();
    state.restarts = attempt;
  }
  state.id = id;
  state.phase = Phase::waiting;
  state.waiting_reason.clear();
  state.waiting_message.clear();
  state.start_passed = state.ready = false;
  save(pod);  // before the container is there: a kill in between must leave its id
  const auto created = crew_.containers->create(*spec);
  if (!created.ok()) {
    if (created.error().code == ErrorCode::invalid) stage = "StartError";
    if (stage != "StartError") state = before;
    return abandon(created.error());
  }
  event(pod, false, "Created", "Created container: " + name);
  stage = "StartError";
  const auto started = crew_.containers->start(id);
  if (!started.ok()) {
    const auto removed = crew_.containers->remove(id);
    if (!removed.ok()) log::warning("container not removed", {{"container", id}, {"error", removed.error()}});
    return abandon(started.error());
  }
  state.phase = Phase::running;
  state.started = now();
  event(pod, false, "Started", "Started container " + name);
  save(pod);
  return {};
}

void Pods::start_failed(const PodPtr& pod_ptr, const std::string& name, const Error& error, const std::string& stage) {
  Pod& pod = *pod_ptr;
  ContainerState& state = pod.state.containers[name];
  event(pod, true, "Failed", "Error: " + error.message);
  if (stage == "StartError") {  // the container was made of what the pod says, and can't run: an end like another
    state.phase = Phase::terminated;
    state.crashes = crashes_after(state.crashes, Duration(0));
    state.terminated = Terminated{kStartErrorCode, "StartError", error.message, now(), now(), state.id};
    again_after(pod_ptr, Duration(0));
    return;
  }
  state.waiting_reason = stage;
  state.waiting_message = error.message;
  const Duration delay = std::max<Duration>(restart_delay(++pod.start_failures[name]), std::chrono::seconds(2));
  pod.start_next[name] = now() + delay;
  again_after(pod_ptr, delay);
}

void Pods::run_post_start(const PodPtr& pod_ptr, const std::string& name, const Value& container) {
  Pod& pod = *pod_ptr;
  const ActionTarget target{crew_.containers.get(), pod.state.containers[name].id, pod.state.ip, container};
  const auto done = run_action(target, container.get({"lifecycle", "postStart"}), kPostStartMax);
  if (done.ok() && done->success) return;
  const std::string why = done.ok() ? done->message : done.error().message;
  event(pod, true, "FailedPostStartHook", "PostStartHook failed: " + why);
  stop_container(pod_ptr, name, std::chrono::seconds(pod.object.spec()["terminationGracePeriodSeconds"].as_int(30)),
                 "FailedPostStartHook");
}

}  // namespace caisson::node
