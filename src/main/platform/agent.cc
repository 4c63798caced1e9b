// SPDX-License-Identifier: Apache-2.0
// The map of the agent: declaration order is start order; C++ destroys in reverse. It knows the server only through its
// Client.
#include <unistd.h>

#include "artifact/bootstrap/bootstrap.h"
#include "artifact/build/builder.h"
#include "artifact/container/cgroup.h"
#include "artifact/content/layer_store.h"
#include "cluster/kube/http_client.h"
#include "cluster/kube/reconciler.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/http/server.h"
#include "core/http/tls.h"
#include "machine/network/network.h"
#include "machine/node/log_stream.h"
#include "machine/node/node.h"
#include "main/platform/agent_handler.h"
#include "main/platform/collection.h"
#include "main/platform/images.h"
#include "main/platform/images_upstreams.h"
#include "main/platform/machine_service.h"
#include "main/platform/nodes.h"
#include "main/platform/observe.h"
#include "main/platform/process_role.h"
#include "main/platform/up.h"

namespace caisson::platform {
namespace {

constexpr int kWorkersPerNode = 24;  // as many of a node's threads may wait: for images, withdrawals, policies

std::unique_ptr<kube::Client> connect_to_server(const NodePlace& place) {
  kube::Connection connection;
  connection.server = "http://unix";
  connection.http.unix_socket = place.api_socket;
  return kube::make_http_client(std::move(connection));
}

node::ImageOptions image_options(const Instance& instance) {
  node::ImageOptions options;
  options.directory = instance.path("cache/images");
  options.registry = registry_names(instance);
  const std::string& wanted = instance.settings.stand_ins;
  options.stand_ins = wanted == "always"  ? node::StandIns::always
                      : wanted == "never" ? node::StandIns::never
                                          : node::StandIns::automatic;
  return options;
}

network::IngressOptions ingress_options(const Instance& instance, std::string certificate, std::string key) {
  network::IngressOptions options;
  options.instance = instance.id;
  options.directory = instance.path("nginx");
  options.address = instance.settings.listen;
  options.http_port = instance.settings.ports.http;
  options.https_port = instance.settings.ports.https;
  options.status_address = instance.settings.listen;
  options.default_certificate_pem = std::move(certificate);
  options.default_key_pem = std::move(key);
  return options;
}

// RUN steps are linked as pods are, from the same range.
class BuildNetwork : public build::StepNetwork {
 public:
  BuildNetwork(network::PodNetwork& pods, std::string dns) : pods_(pods), dns_(std::move(dns)) {}
  Result<void> attach(const std::string& id, const std::string& network_namespace) override {
    TRY(pods_.attach(id, network_namespace));
    return {};
  }
  Result<void> detach(const std::string& id) override { return pods_.detach(id); }
  std::string resolv_conf() const override { return "nameserver " + dns_ + "\n"; }

 private:
  network::PodNetwork& pods_;
  const std::string dns_;
};

// Four heartbeats fit into the grace, so that one which comes late is no lost node.
Result<Duration> lease_every(const Settings& settings) {
  const Duration grace = TRY(parse_duration(settings.node_monitor_grace).in("nodeMonitorGracePeriod"));
  return std::min<Duration>(std::chrono::seconds(10), grace / 4);
}

Result<node::NodeOptions> node_options(const Instance& instance, const NodePlace& place) {
  node::NodeOptions options;
  options.name = place.name;
  options.instance = instance.id;
  options.cgroup = place.cgroup;
  options.data_dir = instance.settings.data_dir;
  options.state_dir = place.directory;
  options.address = place.address;
  options.cluster_dns = instance.service_address(10);
  options.pod_cidr = place.pod_cidr;
  options.machine_shares = std::max(instance.settings.nodes, 1);
  options.machine_part = place.number - 1;
  options.control_plane = place.first;
  options.lease_every = TRY(lease_every(instance.settings));
  return options;
}

network::PodNetwork::Options pod_network_options(const Instance& instance, const NodePlace& place) {
  return {.instance = instance.id,
          .pod_cidr = instance.settings.pod_cidr,
          .service_cidr = instance.settings.service_cidr,
          .node_cidr = place.pod_cidr,
          .state_dir = path_join(place.directory, "network")};
}

Result<void> serve_to_server(http::Server& server, const Instance& instance, const NodePlace& place,
                             http::Handler requests) {
  TRY(server.listen_unix(place.socket, std::move(requests), 0660));
  if (chown(place.socket.c_str(), 0, static_cast<gid_t>(instance.settings.server_uid)) != 0)
    return errno_error("chown " + place.socket);
  return {};
}

}  // namespace

// A node beside the first: pods only. What there is one of on a machine it asks the first node's agent for.
Result<void> run_node_agent(const Instance& instance, const std::string& name) {
  ProcessRole role = TRY(ProcessRole::enter());
  const NodePlace place = TRY(find_node(instance, name));
  TRY(make_dirs(place.directory, 0711));
  const auto client = connect_to_server(place);
  kube::Runtime runtime(*client, system_clock(), {.threads = 4, .crash_file = path_join(place.directory, "running")});
  const auto spans = kube::make_span_recorder(*client);
  network::PodNetwork pods = TRY(network::PodNetwork::open(pod_network_options(instance, place)));
  const std::string machine = instance.path("run/machine.sock");
  const auto withdrawal = make_remote_withdrawal(machine);
  const auto policies = make_remote_policies(machine);
  const auto images = make_remote_images(machine, registry_names(instance));
  node::NodeOptions options = TRY(node_options(instance, place));
  const auto node = TRY(node::Node::start({.runtime = &runtime,
                                           .images = images.get(),
                                           .network = &pods,
                                           .withdrawal = withdrawal.get(),
                                           .policies = policies.get(),
                                           .spans = spans.get()},
                                          std::move(options)));
  http::Server server = TRY(http::Server::start({}));
  TRY(serve_to_server(server, instance, place, with_machine_metrics(make_node_handler(*node), runtime, place)));
  runtime.start();
  log::info("agent started", {{"node", place.name}, {"address", place.address}});
  role.wait_for_end();
  return {};
}

Result<void> run_agent(const Instance& instance) {
  ProcessRole role = TRY(ProcessRole::enter());
  const Settings& settings = instance.settings;
  const NodePlace place = TRY(find_node(instance, settings.node_name));

  // --- the way to the server
  const auto client = connect_to_server(place);
  kube::Runtime runtime(*client, system_clock(), {.threads = 6, .crash_file = instance.path("run/agent.running")});
  const auto spans = kube::make_span_recorder(*client);

  // --- network
  network::PodNetwork pods = TRY(network::PodNetwork::open(pod_network_options(instance, place)));
  const network::ServiceOptions ranges{.instance = instance.id,
                                       .pod_cidr = settings.pod_cidr,
                                       .service_cidr = settings.service_cidr,
                                       .node_address = pods.node_address()};
  const auto services = TRY(network::add_services(runtime, ranges));
  network::add_load_balancer(runtime, {.instance = instance.id, .node_name = settings.node_name});
  const auto policies = TRY(network::add_policies(runtime, ranges));
  const auto dns =
      TRY(network::add_dns(runtime, {.address = pods.node_address(), .registry_address = instance.service_address(3)}));
  std::string certificate = TRY(read_file(instance.path("pki/server.crt")));
  std::string key = TRY(read_file(instance.path("pki/server.key")));
  const auto ingress =
      TRY(network::add_ingress(runtime, ingress_options(instance, std::move(certificate), std::move(key))));
  const auto withdrawal = network::both(services, ingress);

  // --- images
  content::BlobStore blobs = TRY(content::BlobStore::open(instance.path("content")));
  content::TagIndex tags = TRY(content::TagIndex::open(instance.path("content")));
  const auto layers = TRY(content::LayerStore::open(instance.path("layers")));
  const std::string cache = settings.package_cache.empty() ? instance.path("cache/debs") : settings.package_cache;
  bootstrap::Bootstrap bootstrap =
      TRY(bootstrap::Bootstrap::open({.directory = instance.path("images"), .cache_directory = cache}, blobs, *layers));
  const auto upstream = make_upstream(blobs, tags, *client);
  const auto stand_ins = make_stand_ins(bootstrap);
  const auto known_images =
      node::make_image_provider(blobs, tags, *layers, upstream.get(), stand_ins.get(), image_options(instance));
  const auto images = make_proxied_images(*known_images, *client, registry_names(instance));

  // --- pods and builds
  node::NodeOptions options = TRY(node_options(instance, place));
  const auto node = TRY(node::Node::start({.runtime = &runtime,
                                           .images = images.get(),
                                           .network = &pods,
                                           .withdrawal = withdrawal.get(),
                                           .policies = policies.get(),
                                           .spans = spans.get()},
                                          std::move(options)));
  // All builds together weigh as much as one pod without requests: a compiler must not starve the pod that waits for
  // its image.
  TRY(container::Cgroup("/caisson-" + instance.id + "/build").make({.cpu_shares = 2}));
  BuildNetwork build_network(pods, instance.service_address(10));
  const auto builder = TRY(build::add_builder(runtime, {.blobs = blobs,
                                                        .tags = tags,
                                                        .layers = *layers,
                                                        .containers = node->containers(),
                                                        .base_image = make_base_images(*images, blobs),
                                                        .spans = spans.get(),
                                                        .directory = instance.path("builds"),
                                                        .cache_dir = instance.path("cache/build"),
                                                        .trust_host_ca = settings.trust_host_ca,
                                                        .network = &build_network}));

  const auto collection = Collection::start(blobs, tags, *layers, bootstrap, runtime,
                                            {.images_directory = instance.path("cache/images"),
                                             .build_cache_directory = instance.path("cache/build"),
                                             .data_directory = instance.settings.data_dir,
                                             .every = TRY(parse_duration(settings.collect_every).in("collectEvery")),
                                             .is_proxied = make_is_proxied(*client)});

  const auto log_files = TRY(node::LogStream::start(instance.path("logs")));
  http::Server server = TRY(http::Server::start({}));
  const http::Handler requests = with_machine_metrics(make_agent_handler(*node, *builder, *layers), runtime, place);
  TRY(serve_to_server(server, instance, place, log_files->before(requests)));
  // --- what the other nodes ask for; a group of its own, as their requests wait for images and withdrawals
  http::Server to_nodes = TRY(http::Server::start({.workers = kWorkersPerNode * settings.nodes}));
  if (settings.nodes > 1)
    TRY(to_nodes.listen_unix(instance.path("run/machine.sock"),
                             make_machine_service(*withdrawal, *policies, *images, blobs), 0600));
  runtime.start();
  log::info("agent started", {{"node", place.name}, {"address", pods.node_address()}});
  role.wait_for_end();
  return {};
}

}  // namespace caisson::platform
