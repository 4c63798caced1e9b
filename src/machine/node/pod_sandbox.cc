// SPDX-License-Identifier: Apache-2.0
// What the containers of a pod share: namespaces, address, cgroup, files, and the images of its volumes.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <thread>

#include "artifact/container/root.h"
#include "artifact/container/sandbox.h"
#include "artifact/container/seccomp.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "machine/network/sysctl.h"
#include "machine/node/admit.h"
#include "machine/node/launch.h"
#include "machine/node/mount_point.h"
#include "machine/node/pods.h"

namespace caisson::node {
namespace {

constexpr std::uint64_t kShmBytes = 64u << 20;
constexpr std::uint32_t kPauseUser = 65'535;
// Nobody's by convention (systemd's UIDS-GIDS): above what containers of others use, below 2^31.
constexpr std::uint32_t kUserIdsFirst = 0x7000'0000, kUserIdsLast = 0x7fff'0000;
constexpr unsigned char kPauseProgram[] = {
#include "pause_program.inc"
};

// Writes settings of the namespaces behind the paths, from a thread that has entered them.
Result<void> write_in_namespaces(const container::Sandbox& sandbox, const Value& sysctls) {
  Result<void> result;
  std::thread([&] {
    for (const auto& [path, kind] :
         {std::pair{&sandbox.network, CLONE_NEWNET}, std::pair{&sandbox.ipc, CLONE_NEWIPC}}) {
      if (path->empty()) continue;
      const UniqueFd ns(::open(path->c_str(), O_RDONLY | O_CLOEXEC));
      if (ns && ::setns(ns.get(), kind) == 0) continue;
      result = errno_error("enter " + *path);
      return;
    }
    for (const auto& sysctl : sysctls.items()) {
      result = network::write_sysctl(replace_all(sysctl["name"].str(), "/", "."), sysctl["value"].as_string());
      if (!result.ok()) return;
    }
  }).join();
  return result;
}

// Only runc runs here: a class that names another handler (gvisor, kata) would promise more isolation than there is.
Result<void> check_runtime_class(kube::Client& client, const kube::Object& pod) {
  static const schema::Resource kRuntimeClasses{"node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", false};
  const std::string name = pod.spec()["runtimeClassName"].str();
  if (name.empty()) return {};
  const auto found = client.get(kRuntimeClasses, {"", name});
  if (!found.ok()) return Error(found.error()).in("RuntimeClass \"" + name + "\"");
  const std::string handler = (*found)["handler"].str();
  if (handler.empty() || handler == "runc") return {};
  return Error{ErrorCode::invalid,
               "no runtime for handler \"" + handler + "\" of RuntimeClass \"" + name +
                   "\": this node has runc only; give the class the handler runc, or the pod another class"};
}

}  // namespace

Result<void> Pods::set_up(const PodPtr& pod_ptr) {
  Pod& pod = *pod_ptr;
  if (pod.ready_for_containers) return refresh_volumes(pod_ptr);
  if (!pod.state.sandbox) TRY(check_runtime_class(client_, pod.object));
  const Time began = now();
  const Value& spec = pod.object.spec();
  const bool host_network = spec["hostNetwork"].as_bool();
  const std::string dir = directory(pod);
  TRY(make_dirs(dir, 0711));
  save(pod);
  const container::IdRange ids = TRY(user_ids(pod));
  const container::SandboxSpec wanted{.directory = dir + "/sandbox",
                                      .hostname = hostname_of(pod.object),
                                      .host_network = host_network,
                                      .host_ipc = spec["hostIPC"].as_bool(),
                                      .ids = ids};
  pod.sandbox = TRY(container::make_sandbox(wanted));
  if (host_network) {
    pod.state.ip = options_.address;
  } else {
    pod.state.ip = TRY(parts_.network->attach(pod.uid, pod.sandbox.network, pod.state.ip));
    if (parts_.policies) TRY(parts_.policies->admit(pod.object, pod.state.ip));
  }
  const container::Cgroup cgroup(options_.cgroup + "/pod" + pod.uid);
  TRY(cgroup.make(pod_limits(pod.object)));
  TRY(set_sysctls(pod));
  if (spec["shareProcessNamespace"].as_bool()) TRY(make_process_namespace(pod));
  const bool fresh = !pod.state.sandbox;
  pod.state.sandbox = true;
  TRY(make_files(pod));
  TRY(refresh_volumes(pod_ptr));
  pod.ready_for_containers = true;
  if (fresh) span(pod, "sandbox", "", began);
  return {};
}

Result<container::IdRange> Pods::user_ids(Pod& pod) {
  if (pod.object.spec()["hostUsers"].as_bool(true)) return container::IdRange{};
  if (pod.state.user_ids == 0) {
    const auto step = container::kUserRange * static_cast<std::uint32_t>(options_.machine_shares);
    std::uint32_t first = kUserIdsFirst + container::kUserRange * static_cast<std::uint32_t>(options_.machine_part);
    const std::lock_guard lock(mutex_);
    while (user_ids_.contains(first)) first += step;
    if (first > kUserIdsLast - container::kUserRange)
      return Error{ErrorCode::unavailable, "user namespaces: every range of ids is in use"};
    user_ids_[first] = pod.uid;
    pod.state.user_ids = first;
  }
  save(pod);  // before anything belongs to them
  return container::IdRange{pod.state.user_ids};
}

Result<void> Pods::make_files(Pod& pod) {
  const std::string dir = directory(pod), etc = dir + "/etc";
  const bool host_network = pod.object.spec()["hostNetwork"].as_bool();
  TRY(make_dirs(etc));
  const std::string hostname = hostname_of(pod.object);
  std::string hosts = hosts_file(pod.object, pod.state.ip, hostname);
  if (host_network && pod.object.spec()["hostAliases"].empty()) {
    const auto own = read_file("/etc/hosts");
    if (own.ok()) hosts = *own;
  }
  const auto resolvers = read_file("/etc/resolv.conf");
  TRY(write_file_unsynced(etc + "/hosts", hosts));
  TRY(write_file_unsynced(etc + "/hostname", hostname + "\n"));
  TRY(write_file_unsynced(etc + "/resolv.conf", resolv_conf(pod.object, options_.cluster_dns, options_.cluster_domain,
                                                            resolvers.ok() ? *resolvers : "")));
  if (!is_mount_point(dir + "/shm") && !pod.object.spec()["hostIPC"].as_bool())
    TRY(container::mount_tmpfs(dir + "/shm", 01777, kShmBytes));
  return {};
}

Result<void> Pods::set_sysctls(const Pod& pod) {
  const Value& sysctls = pod.object.spec()["securityContext"]["sysctls"];
  if (sysctls.empty()) return {};
  return write_in_namespaces(pod.sandbox, sysctls).in("sysctls of the pod");
}

bool Pods::refused(Pod& pod) {
  if (pod.state.killed || pod.state.sandbox) return false;
  auto refusal = refusal_of(pod.object, host_abilities(pod.object, options_.state_dir + "/pods"));
  if (!refusal) refusal = refusal_under_pressure(pod.object, pressure());
  if (!refusal) return false;
  pod.state.killed = true;
  pod.state.killed_reason = refusal->reason;
  pod.state.killed_message = "Pod was rejected: " + refusal->message;
  event(pod, true, refusal->reason, refusal->message);
  return true;
}

// --- shareProcessNamespace

// A container without capabilities whose only process reaps what others leave; its pid namespace is everybody's.
Result<void> Pods::make_process_namespace(Pod& pod) {
  if (!pod.state.pause_id.empty()) {
    const auto status = crew_.containers->find(pod.state.pause_id);
    if (status && status->started && !status->exit) return {};
    TRY(crew_.containers->remove(pod.state.pause_id));
  }
  pod.state.pause_id = hex(random_bytes(32));
  save(pod);  // before the container is there: a kill in between must leave its id
  container::ContainerSpec spec;
  spec.id = pod.state.pause_id;
  spec.root = directory(pod) + "/containers/" + spec.id + "/root";
  TRY(make_dirs(spec.root, 0711));
  const std::uint32_t ids = pod.state.user_ids;  // whoever sets the container up makes /proc and so on there
  if (ids != 0 && ::chown(spec.root.c_str(), ids, ids) != 0) return errno_error("chown " + spec.root);
  const std::string_view program(reinterpret_cast<const char*>(kPauseProgram), sizeof kPauseProgram);
  TRY(write_file_unsynced(spec.root + "/pause", program, 0755));
  spec.read_only_root = true;
  spec.args = {"/pause"};
  spec.user = {kPauseUser, kPauseUser, {}};
  spec.namespaces = {.network = pod.sandbox.network,
                     .ipc = pod.sandbox.ipc,
                     .uts = pod.sandbox.uts,
                     .pid = "",
                     .host_network = pod.sandbox.network.empty(),
                     .host_ipc = pod.sandbox.ipc.empty(),
                     .host_uts = pod.sandbox.uts.empty()};
  spec.namespaces.user = pod.sandbox.user;
  spec.namespaces.ids = {pod.state.user_ids};
  spec.seccomp = container::default_seccomp({});
  spec.cgroup = "pod" + pod.uid + "/" + spec.id;
  spec.labels = {{"pod", pod.uid}};
  TRY(crew_.containers->create(spec).in("shared process namespace"));
  return crew_.containers->start(spec.id).in("shared process namespace");
}

Result<std::string> Pods::process_namespace(const Pod& pod, const Value& container) const {
  std::string id = pod.object.spec()["shareProcessNamespace"].as_bool() ? pod.state.pause_id : "";
  if (const std::string target = container["targetContainerName"].str(); !target.empty()) {
    const auto it = pod.state.containers.find(target);
    if (it == pod.state.containers.end() || it->second.phase != ContainerState::Phase::running)
      return Error{ErrorCode::unavailable, "container " + target + ", whose processes are to be seen, does not run"};
    id = it->second.id;
  }
  if (id.empty()) return std::string();
  const auto status = crew_.containers->find(id);
  if (!status || status->pid <= 0) return Error{ErrorCode::unavailable, "the shared process namespace is gone"};
  return "/proc/" + std::to_string(status->pid) + "/ns/pid";
}

// --- images of volumes

bool Pods::volume_images_ready(const PodPtr& pod_ptr) {
  Pod& pod = *pod_ptr;
  bool ready = true;
  for (const auto& volume : pod.object.spec()["volumes"].items()) {
    const std::string name = volume["name"].str(), reference = volume["image"]["reference"].str();
    if (reference.empty() || pod.volume_images.contains(name)) continue;
    ready = false;
    ImageFetch& fetch = pod.fetches["volume " + name];
    if (fetch.running) continue;
    if (now() < fetch.next_try) {
      again_after(pod_ptr, fetch.next_try - now());
      continue;
    }
    fetch.running = true;
    ImageRequest request;
    request.name = reference;
    request.policy = pull_policy(reference, volume["image"]["pullPolicy"].as_string());
    request.docker_configs = pull_secrets(pod.object);
    const std::weak_ptr<Pods> weak = weak_from_this();
    const auto queued =
        submit(crew_.fetchers, [weak, pod_ptr, name, request = std::move(request), provider = parts_.images] {
          auto image = std::make_shared<Result<Image>>(provider->ensure(request));
          const auto self = weak.lock();
          if (!self) return;
          self->post(pod_ptr, [weak, name, image](Pod& pod) {
            if (const auto self = weak.lock()) self->volume_image_fetched(pod, name, std::move(*image));
          });
        });
    if (!queued.ok()) fetch.running = false;
  }
  return ready;
}

void Pods::volume_image_fetched(Pod& pod, const std::string& name, Result<Image> image) {
  ImageFetch& fetch = pod.fetches["volume " + name];
  fetch.running = false;
  if (image.ok()) {
    pod.volume_images[name] = std::move(image).value();
    return;
  }
  ++fetch.failures;
  fetch.next_try = now() + restart_delay(fetch.failures + 1);
  event(pod, true, "Failed", "Failed to pull the image of volume \"" + name + "\": " + image.error().message);
}

}  // namespace caisson::node
