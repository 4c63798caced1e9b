// SPDX-License-Identifier: Apache-2.0
// Cluster DNS over the runtime's informers: a name is answered from the objects as they are when it is asked for.
#include <map>
#include <mutex>

#include "machine/network/dns_config.h"
#include "machine/network/dns_server.h"
#include "machine/network/endpoints.h"
#include "machine/network/network.h"

namespace caisson::network {
namespace {

using kube::ObjectKey;

constexpr char kAddressIndex[] = "cluster-ip";

const ObjectKey& coredns_key() {
  static const ObjectKey key{"kube-system", "coredns"};
  return key;
}
const ObjectKey& custom_key() {
  static const ObjectKey key{"kube-system", "coredns-custom"};
  return key;
}

// The configuration in force, shared by the DNS thread and the reconciler.
class SharedConfig {
 public:
  std::shared_ptr<const dns::Config> get() const {
    const std::lock_guard lock(mutex_);
    return config_;
  }
  void set(std::shared_ptr<const dns::Config> config) {
    const std::lock_guard lock(mutex_);
    config_ = std::move(config);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const dns::Config> config_ = std::make_shared<const dns::Config>();  // GUARDED_BY(mutex_)
};

// Reads the two ConfigMaps anew when one changes, and tells what in them has no effect.
class ConfigReconciler : public kube::Reconciler {
 public:
  ConfigReconciler(kube::Runtime& runtime, std::shared_ptr<SharedConfig> shared)
      : maps_(runtime.informer(schema::kConfigMaps)),
        shared_(std::move(shared)),
        events_(runtime.client(), runtime.clock(), "caisson-dns") {}
  std::string_view name() const override { return "network-dns-config"; }
  Result<kube::Requeue> reconcile(const ObjectKey&) override {
    const auto coredns = maps_.find(coredns_key()), custom = maps_.find(custom_key());
    auto config = dns::read_config(coredns ? (*coredns)["data"] : Value(), custom ? (*custom)["data"] : Value());
    if (config == *shared_->get()) return kube::Requeue::never();
    for (const auto& problem : config.problems)
      events_.record(coredns ? *coredns : *custom, kube::EventRecorder::Type::warning, "NotSupported", problem);
    shared_->set(std::make_shared<const dns::Config>(std::move(config)));
    return kube::Requeue::never();
  }

 private:
  kube::Informer& maps_;
  std::shared_ptr<SharedConfig> shared_;
  kube::EventRecorder events_;
};

// The cluster's own names first, so that nobody can take them away; then what people added.
dns::ZoneAnswer answer_of(const dns::ZoneSource& source, const dns::Config& config, const std::string& name,
                          std::uint16_t type) {
  dns::ZoneAnswer own = dns::resolve(source, name, type);
  if (own.ours) return own;
  dns::Lookup added = dns::look_up(config, name, type);
  if (added.answer.ours || added.meant == name) return std::move(added.answer);
  // Another name is meant: a cluster's under the name that was asked for, any other by an alias.
  dns::ZoneAnswer meant = dns::resolve(source, added.meant, type);
  if (!meant.ours || !meant.alias.empty()) {
    meant = {};
    meant.ours = true;
    meant.alias = added.meant;
    meant.resolvers = std::move(added.answer.resolvers);
    meant.answer.answers.push_back(dns::make_name(name, dns::kCname, 5, added.meant));
  }
  for (dns::Record& record : meant.answer.answers)
    if (record.name == added.meant) record.name = name;
  return meant;
}

class ClusterDns : public Dns {
 public:
  explicit ClusterDns(std::unique_ptr<dns::Server> server) : server_(std::move(server)) {}
  int port() const override { return server_->port(); }

 private:
  std::unique_ptr<dns::Server> server_;
};

}  // namespace

Result<std::shared_ptr<Dns>> add_dns(kube::Runtime& runtime, const DnsOptions& options) {
  kube::Informer& services = runtime.informer(schema::kServices);
  kube::Informer& slices = runtime.informer(schema::kEndpointSlices);
  slices.add_index(kServiceIndex, service_index);
  services.add_index(kAddressIndex, [](const kube::Object& service) {
    return has_cluster_ip(service) ? std::vector<std::string>{service.spec()["clusterIP"].str()}
                                   : std::vector<std::string>{};
  });
  dns::ZoneSource source;
  source.domain = options.domain;
  source.registry_address = options.registry_address;
  source.service = [&services](const kube::ObjectKey& key) { return services.find(key); };
  source.slices = [&slices](const kube::ObjectKey& key) { return slices.by_index(kServiceIndex, key.str()); };
  source.service_by_ip = [&services](const std::string& ip) -> std::optional<kube::Object> {
    const auto found = services.by_index(kAddressIndex, ip);
    return found.empty() ? std::nullopt : std::optional<kube::Object>(found.front());
  };
  const auto shared = std::make_shared<SharedConfig>();
  const ObjectKey config_key{"", "dns-config"};
  const kube::Queue queue = runtime.add(std::make_unique<ConfigReconciler>(runtime, shared), 1);
  runtime.watch(schema::kConfigMaps, queue, [config_key](const kube::Object& map) {
    const bool ours = map.key() == coredns_key() || map.key() == custom_key();
    return ours ? std::vector<ObjectKey>{config_key} : std::vector<ObjectKey>{};
  });
  const auto zone = [source, shared, &services, &slices](const std::string& name, std::uint16_t type) {
    dns::ZoneAnswer answer = answer_of(source, *shared->get(), name, type);
    // Before the informers are synced "no such name" would be a guess, and resolvers remember it.
    if (answer.ours && !answer.answer.answers.empty()) return answer;
    if (answer.ours && !(services.synced() && slices.synced())) {
      answer = {};
      answer.ours = true;
      answer.answer.code = dns::Code::server_failure;
    }
    return answer;
  };
  std::unique_ptr<dns::Server> server =
      TRY(dns::Server::start({options.address, options.port, options.resolv_conf}, zone).in("cluster DNS"));
  return std::shared_ptr<Dns>(std::make_shared<ClusterDns>(std::move(server)));
}

}  // namespace caisson::network
