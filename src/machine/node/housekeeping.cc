// SPDX-License-Identifier: Apache-2.0
// What the node does every ten seconds besides its pods: looks at what they use, ends those that use too much, and
// tells what is used.
#include "artifact/container/cgroup.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "machine/node/pods.h"

namespace caisson::node {
namespace {

using Phase = ContainerState::Phase;

constexpr Duration kRatesKept = std::chrono::minutes(2);
constexpr Duration kEvictionMax = std::chrono::seconds(30);  // the kubelet's podCleanupTimeout
constexpr std::string_view kNodeItself = "";  // the node's key among the rates, beside those of containers

Value cpu_value(std::uint64_t ns, std::uint64_t nanocores, Time now) {
  return Value{{"time", format_time(now)},
               {"usageNanoCores", static_cast<std::int64_t>(nanocores)},
               {"usageCoreNanoSeconds", static_cast<std::int64_t>(ns)}};
}

Value container_value(const std::string& name, const ContainerUsage& use, Time now) {
  return Value{{"name", name},
               {"startTime", format_time(use.started)},
               {"cpu", cpu_value(use.cpu_ns, use.nanocores, now)},
               {"memory", Value{{"time", format_time(now)},
                                {"usageBytes", static_cast<std::int64_t>(use.memory_usage_bytes)},
                                {"workingSetBytes", static_cast<std::int64_t>(use.memory_working_set_bytes)},
                                {"rssBytes", static_cast<std::int64_t>(use.memory_rss_bytes)}}},
               {"rootfs", Value{{"time", format_time(now)}, {"usedBytes", static_cast<std::int64_t>(use.disk_bytes)}}},
               {"logs", Value{{"time", format_time(now)}, {"usedBytes", static_cast<std::int64_t>(use.log_bytes)}}}};
}

// "pvc-UID_NAMESPACE_CLAIM", the folder of a local volume (cluster/controllers/volumes.h): the volume's name.
std::string volume_of_folder(const std::string& folder) {
  constexpr std::string_view kShape = "pvc-00000000-0000-0000-0000-000000000000_";
  if (folder.size() <= kShape.size() || !folder.starts_with("pvc-")) return {};
  for (std::size_t i = 0; i < kShape.size(); ++i)
    if (kShape[i] != '0' && folder[i] != kShape[i]) return {};
  return folder.substr(0, kShape.size() - 1);
}

}  // namespace

std::vector<PodUse> Pods::usage(const std::function<bool(const kube::Object&)>& walk) {
  std::vector<std::pair<kube::Object, PodState>> pods;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [uid, pod] : pods_) {
      const std::lock_guard pod_lock(pod->mutex);
      if (!pod->published_object.uid().empty() && pod->published.sandbox)
        pods.emplace_back(pod->published_object, pod->published);
    }
  }
  std::vector<PodUse> out;
  for (auto& [object, state] : pods) {
    PodUse use{object, {}};
    const std::string directory = options_.state_dir + "/pods/" + state.uid;
    const bool with_disk = walk(object);
    for (const auto& [name, container] : state.containers) {
      if (container.phase != Phase::running) continue;
      const auto status = crew_.containers->find(container.id);
      const auto read = status ? container::Cgroup(status->cgroup).stats()
                               : Result<container::CgroupStats>(Error{ErrorCode::not_found, "gone"});
      if (!read.ok()) continue;  // it ends just now
      ContainerUsage& one = use.usage.containers[name];
      one = {.cpu_ns = read->cpu_usage_ns,
             .memory_usage_bytes = read->memory_usage_bytes,
             .memory_working_set_bytes = read->memory_working_set_bytes,
             .memory_rss_bytes = read->memory_rss_bytes,
             .pids = read->pids,
             .nanocores = rates_.look(state.uid + "/" + name, read->cpu_usage_ns, container.started, now()),
             .started = container.started};
      if (!with_disk) continue;
      one.disk_bytes = disk_usage(directory + "/containers/" + container.id + "/upper");
      one.log_bytes = disk_usage(log_directory(state.ns, state.name, state.uid, name));
    }
    for (const auto& volume : object.spec()["volumes"].items()) {
      const Value& empty = volume["emptyDir"];
      if (with_disk && !empty.is_null() && empty["medium"].as_string() != "Memory")
        use.usage.volumes[volume["name"].str()] = disk_usage(directory + "/volumes/" + volume["name"].str());
    }
    out.push_back(std::move(use));
  }
  return out;
}

Pressure Pods::pressure() const {
  const std::lock_guard lock(pressure_mutex_);
  return pressure_;
}

// The folders are read before the volumes are: whoever has a folder had its volume by then.
void Pods::clear_local_volumes() {
  const std::string root = options_.data_dir + "/volumes";
  std::map<std::string, std::string> folders;  // by their volume
  const Result<std::vector<std::string>> names = list_dir(root);
  if (!names.ok()) return;  // no volume was ever made here
  for (const std::string& name : *names)
    if (const std::string volume = volume_of_folder(name); !volume.empty()) folders[volume] = name;
  if (folders.empty()) return;
  const Result<kube::ObjectList> volumes = client_.list({"", "v1", "PersistentVolume", "persistentvolumes", false}, {});
  if (!volumes.ok()) return log::warning("which volumes there are is not known", {{"error", volumes.error()}});
  for (const kube::Object& volume : volumes->items) folders.erase(volume.name());
  for (const auto& [volume, name] : folders) {
    const Result<void> removed = remove_tree(path_join(root, name));
    if (!removed.ok()) log::warning("a volume's data is not removed", {{"volume", volume}, {"error", removed.error()}});
  }
}

void Pods::keep_house() {
  clear_local_volumes();
  const HostResources host = read_host(options_.data_dir);
  const Pressure seen = pressure_of(host, options_.eviction);
  rates_.look(std::string(kNodeItself), host.cpu_ns, host.booted, now());
  rates_.forget_before(now() - kRatesKept);
  {
    const std::lock_guard lock(pressure_mutex_);
    pressure_ = pressure_history_.update(seen, now());
  }
  const std::vector<PodUse> pods = usage([&](const kube::Object& pod) { return seen.disk || has_disk_limit(pod); });
  for (const auto& eviction : over_own_limits(pods)) evict(eviction);
  if (!seen.any() || eviction_under_way()) return;
  const auto first = first_under_pressure(pods, seen);
  if (!first) return;
  evicted_ = first->uid;
  evicted_until_ = now() + kEvictionMax;
  evict(*first);
}

// What a pod used comes back only when the pod is cleared: until then the pressure says nothing about the others.
bool Pods::eviction_under_way() {
  if (evicted_.empty() || now() >= evicted_until_) return false;
  const std::lock_guard lock(mutex_);
  const auto it = pods_.find(evicted_);
  if (it == pods_.end()) return false;
  const std::lock_guard pod_lock(it->second->mutex);
  return it->second->published.sandbox;
}

void Pods::evict(const Eviction& eviction) {
  post_to(eviction.uid, [this, message = eviction.message](Pod& pod) {
    if (pod.state.killed || pod.object.deleting()) return;
    pod.state.killed = true;
    pod.state.killed_reason = std::string(kEvicted);
    pod.state.killed_message = message;
    event(pod, true, kEvicted, message);
    log::warning("pod evicted", {{"pod", pod.object.key().str()}, {"because", message}});
  });
}

Value Pods::stats_summary(bool with_disk) {
  const Time at = now();
  const HostResources host = read_host(options_.data_dir);
  Value pods = Value::list();
  for (const auto& [object, use] : usage([with_disk](const kube::Object&) { return with_disk; })) {
    Value containers = Value::list(), volumes = Value::list();
    std::uint64_t cpu_ns = 0, nanocores = 0;
    for (const auto& [name, one] : use.containers) {
      containers.push_back(container_value(name, one, at));
      cpu_ns += one.cpu_ns;
      nanocores += one.nanocores;
    }
    for (const auto& [name, bytes] : use.volumes)
      volumes.push_back(Value{{"name", name}, {"usedBytes", static_cast<std::int64_t>(bytes)}});
    Value pod{{"podRef", Value{{"name", object.name()}, {"namespace", object.ns()}, {"uid", object.uid()}}},
              {"startTime", object.status()["startTime"]},
              {"containers", std::move(containers)},
              {"cpu", cpu_value(cpu_ns, nanocores, at)},
              {"memory",
               Value{{"time", format_time(at)}, {"workingSetBytes", static_cast<std::int64_t>(use.memory_bytes())}}},
              {"ephemeral-storage",
               Value{{"time", format_time(at)}, {"usedBytes", static_cast<std::int64_t>(use.disk_bytes())}}}};
    if (!volumes.empty()) pod.set("volume", std::move(volumes));
    pods.push_back(std::move(pod));
  }
  const Value node{
      {"nodeName", options_.name},
      {"cpu", cpu_value(host.cpu_ns, rates_.look(std::string(kNodeItself), host.cpu_ns, host.booted, at), at)},
      {"memory",
       Value{{"time", format_time(at)},
             {"availableBytes", static_cast<std::int64_t>(host.memory_available_bytes)},
             {"workingSetBytes", static_cast<std::int64_t>(host.memory_bytes - host.memory_available_bytes)}}},
      {"fs", Value{{"time", format_time(at)},
                   {"availableBytes", static_cast<std::int64_t>(host.disk_available_bytes)},
                   {"capacityBytes", static_cast<std::int64_t>(host.disk_bytes)}}},
      {"rlimit", Value{{"time", format_time(at)},
                       {"maxpid", static_cast<std::int64_t>(host.pids_max)},
                       {"curproc", static_cast<std::int64_t>(host.pids)}}}};
  return Value{{"node", node}, {"pods", std::move(pods)}};
}

}  // namespace caisson::node
