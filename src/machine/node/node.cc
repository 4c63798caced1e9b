// SPDX-License-Identifier: Apache-2.0
#include "machine/node/node.h"

#include <sys/statvfs.h>
#include <sys/utsname.h>

#include <atomic>
#include <thread>

#include "cluster/kube/quantity.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/text.h"
#include "machine/node/pods.h"
#include "machine/node/serve.h"
#include "machine/node/static_pods_reconciler.h"

namespace caisson::node {
namespace {

constexpr std::int64_t kLeaseSeconds = 40;
constexpr Duration kStatusEvery = std::chrono::minutes(5);
constexpr Duration kRotateEvery = std::chrono::seconds(2);  // a log that floods grows by gigabytes in half a minute
constexpr const char* kLeaseNamespace = "kube-node-lease";

std::string line_of(const std::string& path) {
  const auto text = read_file(path);
  return text.ok() ? std::string(trim(*text)) : "";
}

std::string os_image() {
  const auto text = read_file("/etc/os-release");
  if (!text.ok()) return "Linux";
  for (const auto line : split(*text, '\n')) {
    if (!line.starts_with("PRETTY_NAME=")) continue;
    return replace_all(std::string(line.substr(12)), "\"", "");
  }
  return "Linux";
}

class PodReconciler final : public kube::Reconciler {
 public:
  explicit PodReconciler(std::shared_ptr<Pods> pods) : pods_(std::move(pods)) {}
  std::string_view name() const override { return "kubelet"; }
  Result<kube::Requeue> reconcile(const kube::ObjectKey& key) override {
    pods_->look(key);  // the work is done on the node's own pools
    return kube::Requeue::never();
  }

 private:
  std::shared_ptr<Pods> pods_;
};

// Keeps the Node object and its Lease.
class NodeReconciler final : public kube::Reconciler {
 public:
  NodeReconciler(std::shared_ptr<Pods> pods, kube::Client& client, Clock& clock)
      : pods_(std::move(pods)), client_(client), clock_(clock) {}
  std::string_view name() const override { return "node"; }

  Result<kube::Requeue> reconcile(const kube::ObjectKey&) override {
    if (!std::exchange(looked_, true)) pods_->look_at_all();  // informers are synced: what has no object any more ends
    const Pressure pressure = pods_->pressure();
    if (status_written_ == Time{} || clock_.now() - status_written_ >= kStatusEvery || !(pressure == told_)) {
      told_ = pressure;
      TRY(write_node());
      status_written_ = clock_.now();
    }
    const auto renewed = renew_lease();
    if (!renewed.ok() && !std::exchange(lease_failed_, true))
      log::warning("node lease not renewed", {{"error", renewed.error()}});
    if (renewed.ok()) lease_failed_ = false;
    return kube::Requeue::after(options().lease_every);
  }

 private:
  Result<void> write_node() {
    const kube::ObjectKey key{"", options().name};
    auto found = client_.get(schema::kNodes, key);
    if (!found.ok() && found.error().code != ErrorCode::not_found) return std::move(found).error();
    if (!found.ok()) {
      kube::Object node = kube::Object::make(schema::kNodes, "", options().name);
      fill_metadata(node);
      auto created = client_.create(node, {.field_manager = "kubelet"});
      if (!created.ok() && created.error().code != ErrorCode::already_exists) return std::move(created).error();
    } else {
      TRY(kube::modify(client_, schema::kNodes, key,
                       [this](kube::Object& node) {
                         const Value before = node.value();
                         fill_metadata(node);
                         return !(before == node.value());
                       },
                       {.field_manager = "kubelet"}));
    }
    TRY(kube::modify(client_, schema::kNodes, key,
                     [this](kube::Object& node) {
                       fill_status(node);
                       return true;
                     },
                     {.field_manager = "kubelet", .subresource = "status"}));
    return {};
  }

  void fill_metadata(kube::Object& node) {
    node.set_label("kubernetes.io/hostname", options().name);
    node.set_label("kubernetes.io/os", "linux");
#if defined(__x86_64__)
    node.set_label("kubernetes.io/arch", "amd64");
#else
    node.set_label("kubernetes.io/arch", "arm64");
#endif
    if (options().control_plane) node.set_label("node-role.kubernetes.io/control-plane", "");
    node.edit({"spec", "podCIDR"}) = options().pod_cidr;
    node.edit({"spec", "podCIDRs"}) = Value::list_of({options().pod_cidr});
  }

  void fill_status(kube::Object& node) {
    struct statvfs disk {};
    ::statvfs(options().data_dir.c_str(), &disk);
    const std::int64_t disk_bytes = static_cast<std::int64_t>(disk.f_blocks) * static_cast<std::int64_t>(disk.f_frsize);
    const std::int64_t memory = static_cast<std::int64_t>(container::host_memory_bytes());
    const std::int64_t cpus = std::max(1u, std::thread::hardware_concurrency());
    const auto offered = [&](std::int64_t shares) {  // "2", or "666m"
      const std::int64_t milli = cpus * 1000 / shares;
      return Value{{"cpu", milli % 1000 == 0 ? std::to_string(milli / 1000) : std::to_string(milli) + "m"},
                   {"memory", std::to_string(memory / 1024 / shares) + "Ki"},
                   {"ephemeral-storage", std::to_string(disk_bytes / 1024 / shares) + "Ki"},
                   {"pods", std::to_string(options().pods_max)}};
    };
    Value& status = node.edit({"status"});
    status.set("capacity", offered(1)).set("allocatable", offered(options().machine_shares));
    status.set("addresses", Value(std::vector<Value>{Value{{"type", "InternalIP"}, {"address", options().address}},
                                                     Value{{"type", "Hostname"}, {"address", options().name}}}));
    utsname host{};
    ::uname(&host);
    status.set("nodeInfo", Value{{"machineID", line_of("/etc/machine-id")},
                                 {"systemUUID", line_of("/sys/class/dmi/id/product_uuid")},
                                 {"bootID", line_of("/proc/sys/kernel/random/boot_id")},
                                 {"kernelVersion", host.release},
                                 {"osImage", os_image()},
                                 {"containerRuntimeVersion",
                                  "caisson://" + options().version.substr(options().version.starts_with('v') ? 1 : 0)},
                                 {"kubeletVersion", options().version},
                                 {"kubeProxyVersion", options().version},
                                 {"operatingSystem", "linux"},
                                 {"architecture", std::string(node.label("kubernetes.io/arch"))}});
    const Time now = clock_.now();
    const struct {
      const char *type, *reason, *message;
      bool value;
    } kConditions[] = {
        {"MemoryPressure", told_.memory ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
         told_.memory ? "kubelet has insufficient memory available" : "kubelet has sufficient memory available",
         told_.memory},
        {"DiskPressure", told_.disk ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
         told_.disk ? "kubelet has disk pressure" : "kubelet has no disk pressure", told_.disk},
        {"PIDPressure", told_.pids ? "KubeletHasInsufficientPID" : "KubeletHasSufficientPID",
         told_.pids ? "kubelet has insufficient PID available" : "kubelet has sufficient PID available", told_.pids},
        {"Ready", "KubeletReady", "the node runs pods", true}};
    for (const auto& condition : kConditions) {
      kube::set_condition(node, condition.type, condition.value, condition.reason, condition.message, now);
    }
    for (std::size_t i = 0; i < node.status()["conditions"].size(); ++i) {
      node.edit({"status", "conditions"}).edit(i).set("lastHeartbeatTime", format_time(now));
    }
  }

  Result<void> renew_lease() {
    const kube::ObjectKey key{kLeaseNamespace, options().name};
    const Value spec{{"holderIdentity", options().name},
                     {"leaseDurationSeconds", kLeaseSeconds},
                     {"renewTime", format_time_micros(clock_.now())}};
    const auto patched = client_.patch(schema::kLeases, key, kube::PatchType::merge, Value{{"spec", spec}},
                                       {.field_manager = "kubelet"});
    if (patched.ok()) return {};
    if (patched.error().code != ErrorCode::not_found) return patched.error();
    kube::Object lease = kube::Object::make(schema::kLeases, key.ns, key.name);
    lease.edit().set("spec", spec);
    TRY(client_.create(lease, {.field_manager = "kubelet"}));
    return {};
  }

  const NodeOptions& options() const {
    return pods_->options();
  }

  std::shared_ptr<Pods> pods_;
  kube::Client& client_;
  Clock& clock_;
  Time status_written_{};
  Pressure told_;
  bool looked_ = false, lease_failed_ = false;
};

}  // namespace

struct Node::Impl {
  NodeOptions options;
  Crew crew;
  std::shared_ptr<Pods> pods;
  std::unique_ptr<Serving> serving;

  // On a pool: counting what pods wrote may take longer than the pause between two rounds.
  void keep_house_later() {
    crew.timers.after(options.housekeeping_every, [this] {
      // The pods are held: this may still run while the node is taken down, which waits for the pool last.
      const auto queued = pods->submit(crew.fetchers, [this, held = pods] {
        held->keep_house();
        keep_house_later();
      });
      if (!queued.ok() && queued.error().code != ErrorCode::unavailable)
        keep_house_later();  // too much to do: next time
    });
  }

  void rotate_later() {
    crew.timers.after(kRotateEvery, [this] {
      pods->rotate_logs();
      rotate_later();
    });
  }
};

Result<std::unique_ptr<Node>> Node::start(const NodeParts& parts, NodeOptions options) {
  auto impl = std::make_shared<Impl>();
  impl->options = std::move(options);
  if (impl->options.state_dir.empty()) impl->options.state_dir = impl->options.data_dir;
  if (impl->options.cgroup.empty()) impl->options.cgroup = "/caisson-" + impl->options.instance;
  kube::Runtime& runtime = *parts.runtime;
  for (const auto& resource : {schema::kPods, schema::kConfigMaps, schema::kSecrets, schema::kServices})
    runtime.informer(resource);
  impl->crew.follower = TRY(LogFollower::start());
  impl->pods = std::make_shared<Pods>(parts, impl->options, impl->crew);
  TRY(impl->pods->open());
  const auto pods = impl->pods;
  const kube::Queue queue = runtime.add(std::make_unique<PodReconciler>(pods), 4);
  pods->attach(queue);
  runtime.watch(schema::kPods, queue);
  const auto users = [pods](bool secret) {
    return [pods, secret](const kube::Object& object) { return pods->pods_using(secret, object); };
  };
  runtime.watch(schema::kConfigMaps, queue, users(false));
  runtime.watch(schema::kSecrets, queue, users(true));
  const kube::Queue node_queue =
      runtime.add(std::make_unique<NodeReconciler>(pods, runtime.client(), runtime.clock()), 1);
  node_queue.add({"", impl->options.name});
  add_static_pods(runtime, impl->options.state_dir + "/manifests", impl->options.name);
  impl->serving = std::make_unique<Serving>(pods);
  impl->rotate_later();
  impl->keep_house_later();
  return std::unique_ptr<Node>(new Node(std::move(impl)));
}

Node::Node(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Node::~Node() {
  impl_->pods->close();
  impl_->crew.timers.stop();
}

http::Handler Node::handler() {
  return [impl = impl_](http::ExchangePtr exchange) { impl->serving->handle(std::move(exchange)); };
}

std::vector<std::string> Node::shut_down(const ShutdownGrace& grace) {
  return impl_->pods->shut_down(grace);
}

container::Containers& Node::containers() {
  return impl_->pods->containers();
}

}  // namespace caisson::node
