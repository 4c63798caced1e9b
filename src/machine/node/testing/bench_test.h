// SPDX-License-Identifier: Apache-2.0
// For tests (the name says so to script/check-layers): a node with the real API server, runc and a network of its own,
// all gone at the end. Needs root, runc, conmon and busybox (static).
#pragma once
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "artifact/container/cleanup.h"
#include "artifact/container/root.h"
#include "cluster/apiserver/api_server.h"
#include "cluster/kube/reconciler.h"
#include "cluster/schema/schema.h"
#include "cluster/store/store.h"
#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/process.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/http/client.h"
#include "core/http/server.h"
#include "core/http/tls.h"
#include "machine/network/pod_network.h"
#include "machine/node/node.h"

namespace caisson::node::testing {

using namespace std::chrono_literals;

template <class T>
std::string why(const Result<T>& result) {
  return result.ok() ? "" : result.error().message;
}

// One layer of busybox for every image name.
class BusyboxImages : public ImageProvider {
 public:
  explicit BusyboxImages(const std::string& directory) : tree_(directory + "/busybox") {
    for (const char* name : {"/bin", "/tmp", "/etc", "/proc", "/dev", "/sys"}) REQUIRE(make_dirs(tree_ + name).ok());
    const auto busybox = read_file("/bin/busybox");
    REQUIRE(busybox.ok());
    REQUIRE(write_file_unsynced(tree_ + "/bin/busybox", *busybox, 0755).ok());
    for (const char* name : {"sh",    "echo", "cat",   "sleep", "true", "false", "id",   "hostname", "grep",
                             "httpd", "env",  "mkdir", "touch", "test", "ls",    "wget", "nc",       "wc",
                             "ps",    "kill", "dd",    "stat",  "tail", "yes",   "head"}) {
      REQUIRE(::symlink("busybox", (tree_ + "/bin/" + name).c_str()) == 0);
    }
    REQUIRE(write_file_unsynced(tree_ + "/etc/passwd", "root:x:0:0::/:/bin/sh\n").ok());
  }
  Result<Image> ensure(const ImageRequest& request) override {
    if (request.name.find("absent") != std::string::npos)
      return Error{ErrorCode::not_found, "image " + request.name + " is nowhere"};
    Image image;
    image.reference = *content::parse_reference(request.name, {});
    image.digest = content::Digest::of("busybox");
    image.config.env = {"PATH=/bin", "FROM_IMAGE=yes"};
    image.config.cmd = {"sh"};
    image.trees = {tree_};
    return image;
  }

 private:
  std::string tree_;
};

// A pair of the ranges for benchmarks (RFC 2544), 198.18.X.0/24 and 198.19.X.0/24, that this host does not route: tests
// may run beside others.
inline std::string free_range() {
  const auto text = read_file("/proc/net/route");  // destinations in hex, the last byte first: "001212C6"
  REQUIRE(text.ok());
  const std::string routes = to_lower(*text);
  for (;;) {
    const std::string byte = random_bytes(1);
    const std::string tail = hex(byte);
    if (routes.find("\t00" + tail + "12c6") != std::string::npos ||
        routes.find("\t00" + tail + "13c6") != std::string::npos)
      continue;
    return std::to_string(static_cast<unsigned char>(byte[0]));
  }
}

class Spans : public SpanSink {
 public:
  void record(Span span) override {
    const std::scoped_lock lock(mutex_);
    spans_.push_back(std::move(span));
    changed_.notify_all();
  }
  bool come(std::size_t count) {  // waits for so many
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return spans_.size() >= count; });
  }
  std::size_t size() {
    const std::scoped_lock lock(mutex_);
    return spans_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Span> spans_;  // GUARDED_BY(mutex_)
};

struct Bench {
  Spans spans;
  TempDir dir = std::move(TempDir::make("node")).value();
  std::string instance = hex(random_bytes(3));
  const std::string range = free_range();
  const std::string pod_cidr = "198.18." + range + ".0/24", service_cidr = "198.19." + range + ".0/24";
  const std::string cluster_dns = "198.19." + range + ".10";
  // The real API server in process; the test acts as the administrator, the node as itself.
  std::unique_ptr<store::Store> store;
  std::optional<schema::Schema> schema;
  std::unique_ptr<apiserver::ApiServer> api;
  std::unique_ptr<kube::Client> admin, own;
  BusyboxImages images{dir.path()};
  std::optional<network::PodNetwork> network;
  std::unique_ptr<kube::Runtime> runtime;
  std::unique_ptr<Node> node;

  Bench() {
    auto opened = store::Store::open(dir.path() + "/store.db", system_clock());
    REQUIRE_MESSAGE(opened.ok(), why(opened));
    store = std::move(opened).value();
    schema.emplace(std::move(schema::Schema::built_in()).value());
    auto key = http::make_key_pem();
    REQUIRE_MESSAGE(key.ok(), why(key));
    apiserver::ApiServerOptions options;
    options.service_account_key_pem = SecretBytes(std::move(key).value());
    options.ca_pem = "the platform's CA\n";
    options.service_cidr = service_cidr;
    options.node_name = "n1";
    auto served = apiserver::ApiServer::open(*store, *schema, std::move(options));
    REQUIRE_MESSAGE(served.ok(), why(served));
    api = std::move(served).value();
    admin = api->client({.name = "admin", .groups = {"system:masters"}});
    own = api->client({.name = "system:node:n1", .groups = {"system:nodes", "caisson:agents"}});
    // What the controllers make in a namespace.
    kube::Object ca = kube::Object::make(schema::kConfigMaps, "default", "kube-root-ca.crt");
    ca.edit({"data"}).set("ca.crt", "the platform's CA\n");
    for (const auto& object : {kube::Object::make(schema::kServiceAccounts, "default", "default"), ca}) {
      const auto made = admin->create(object, {});
      REQUIRE_MESSAGE(made.ok(), why(made));
    }
    start();
  }
  ~Bench() {
    stop();
    network.reset();
    const auto cleaned = container::cleanup({"/caisson-" + instance, dir.path() + "/containers", {dir.path()}});
    CHECK_MESSAGE(cleaned.ok(), why(cleaned));
    const auto unlinked = network::cleanup(instance, dir.path());
    CHECK_MESSAGE(unlinked.ok(), why(unlinked));
  }

  void start() {
    auto opened = network::PodNetwork::open({.instance = instance,
                                             .pod_cidr = pod_cidr,
                                             .service_cidr = service_cidr,
                                             .state_dir = dir.path() + "/network"});
    REQUIRE_MESSAGE(opened.ok(), why(opened));
    network.emplace(std::move(opened).value());
    runtime = std::make_unique<kube::Runtime>(*own, system_clock());
    auto started =
        Node::start({.runtime = runtime.get(), .images = &images, .network = &*network, .spans = &spans},
                    {.name = "n1",
                     .instance = instance,
                     .data_dir = dir.path(),
                     .address = network->node_address(),
                     .cluster_dns = cluster_dns,
                     .eviction = {.memory_bytes = 0, .disk_bytes = 0, .pids_share = 0},  // of the test's machine
                     .housekeeping_every = 200ms});
    REQUIRE_MESSAGE(started.ok(), why(started));
    node = std::move(started).value();
    runtime->start();
  }
  void stop() {
    node.reset();
    runtime.reset();
  }

  void apply(const std::string& text) {
    const auto documents = yaml::read_all(text);
    REQUIRE_MESSAGE(documents.ok(), why(documents));
    for (const auto& document : *documents) {
      kube::Object object(document);
      object.edit({"metadata"}).set("namespace", "default");
      if (object.kind() == "Pod") object.edit({"spec"}).set("nodeName", "n1");
      const auto made = admin->create(object, {});
      REQUIRE_MESSAGE(made.ok(), why(made));
    }
  }
  kube::Object pod(const std::string& name) {
    const auto found = admin->get(schema::kPods, {"default", name});
    return found.ok() ? *found : kube::Object();
  }
  // Blocks until the pod is so; says how it is when it does not come.
  void wait(const std::string& name, const std::function<bool(const kube::Object&)>& condition,
            std::chrono::seconds most = 30s) {
    const auto end = std::chrono::steady_clock::now() + most;
    while (!condition(pod(name))) {
      if (std::chrono::steady_clock::now() > end)
        FAIL("pod " << name << " is " << json::write(pod(name).status(), {.indent = 2}));
      std::this_thread::yield();
    }
  }
  void wait_phase(const std::string& name, const std::string& phase) {
    wait(name, [&](const kube::Object& p) { return p.status()["phase"].as_string() == phase; });
  }
  void wait_ready(const std::string& name) {
    wait(name, [](const kube::Object& p) { return kube::condition_is_true(p, "Ready"); });
  }
  std::string log(const std::string& name, const std::string& container, int attempt = 0) {
    const auto text = read_file(dir.path() + "/logs/pods/default_" + name + "_" + pod(name).uid() + "/" + container +
                                "/" + std::to_string(attempt) + ".log");
    return text.ok() ? *text : "";
  }
  const Value& container_status(const kube::Object& p, int index = 0) { return p.status()["containerStatuses"][index]; }
};

}  // namespace caisson::node::testing
