// SPDX-License-Identifier: Apache-2.0
// Cluster DNS over the runtime's informers: a name is answered from the objects as they are when it is asked for.
#include "machine/network/dns_server.h"
#include "machine/network/endpoints.h"
#include "machine/network/network.h"

namespace caisson::network {
namespace {

constexpr char kAddressIndex[] = "cluster-ip";

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
  const auto zone = [source, &services, &slices](const std::string& name, std::uint16_t type) {
    dns::ZoneAnswer answer = dns::resolve(source, name, type);
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
