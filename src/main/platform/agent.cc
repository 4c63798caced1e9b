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
#include "main/platform/observe.h"
#include "main/platform/process_role.h"
#include "main/platform/up.h"

namespace caisson::platform {
namespace {

std::unique_ptr<kube::Client> connect_to_server(const Instance& instance) {
  kube::Connection connection;
  connection.server = "http://unix";
  connection.http.unix_socket = instance.path("run/api.sock");
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

node::NodeOptions node_options(const Instance& instance) {
  node::NodeOptions options;
  options.name = instance.settings.node_name;
  options.instance = instance.id;
  options.data_dir = instance.settings.data_dir;
  options.address = instance.node_address();
  options.cluster_dns = instance.service_address(10);
  options.pod_cidr = instance.settings.pod_cidr;
  return options;
}

}  // namespace

Result<void> run_agent(const Instance& instance) {
  ProcessRole role = TRY(ProcessRole::enter());
  const Settings& settings = instance.settings;

  // --- the way to the server
  const auto client = connect_to_server(instance);
  kube::Runtime runtime(*client, system_clock(), {.threads = 6, .crash_file = instance.path("run/agent.running")});
  const auto spans = kube::make_span_recorder(*client);

  // --- network
  network::PodNetwork pods = TRY(network::PodNetwork::open({.instance = instance.id,
                                                            .pod_cidr = settings.pod_cidr,
                                                            .service_cidr = settings.service_cidr,
                                                            .state_dir = instance.path("network")}));
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
  const auto node = TRY(node::Node::start({.runtime = &runtime,
                                           .images = images.get(),
                                           .network = &pods,
                                           .withdrawal = withdrawal.get(),
                                           .policies = policies.get(),
                                           .spans = spans.get()},
                                          node_options(instance)));
  // All builds together weigh as much as one pod without requests: a compiler must not starve the pod that waits for
  // its image.
  TRY(container::Cgroup("/caisson-" + instance.id + "/build").make({.cpu_shares = 2}));
  const auto builder = TRY(build::add_builder(runtime, {.blobs = blobs,
                                                        .tags = tags,
                                                        .layers = *layers,
                                                        .containers = node->containers(),
                                                        .base_image = make_base_images(*images, blobs),
                                                        .spans = spans.get(),
                                                        .directory = instance.path("builds"),
                                                        .cache_dir = instance.path("cache/build"),
                                                        .trust_host_ca = settings.trust_host_ca}));

  const auto collection = Collection::start(blobs, tags, *layers, bootstrap, runtime,
                                            {.images_directory = instance.path("cache/images"),
                                             .build_cache_directory = instance.path("cache/build"),
                                             .data_directory = instance.settings.data_dir,
                                             .every = TRY(parse_duration(settings.collect_every).in("collectEvery"))});

  const auto log_files = TRY(node::LogStream::start(instance.path("logs")));
  http::Server server = TRY(http::Server::start({}));
  const std::string socket = instance.path("run/agent.sock");
  const http::Handler requests =
      with_machine_metrics(make_agent_handler(node->handler(), *builder, *layers), runtime, instance);
  TRY(server.listen_unix(socket, log_files->before(requests), 0660));
  if (chown(socket.c_str(), 0, static_cast<gid_t>(settings.server_uid)) != 0) return errno_error("chown " + socket);
  runtime.start();
  log::info("agent started", {{"node", settings.node_name}, {"address", pods.node_address()}});
  role.wait_for_end();
  return {};
}

}  // namespace caisson::platform
