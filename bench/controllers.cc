// SPDX-License-Identifier: Apache-2.0
// controllers_bench: how long a Deployment of 1 and of 300 takes from its creation until it says that all are
// available, for docs/benchmarks.md. API server, store (on disk) and all controllers run in this process, with three
// nodes whose kubelet makes a bound pod ready at once, as the fake nodes do that upstream was measured with.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>

#include "cluster/apiserver/api_server.h"
#include "cluster/controllers/controllers.h"
#include "cluster/controllers/pods.h"
#include "cluster/schema/schema.h"
#include "cluster/store/store.h"
#include "core/base/file.h"
#include "core/document/yaml.h"
#include "core/http/tls.h"

namespace {

using namespace caisson;
using kube::Object;
using kube::Requeue;
using Steady = std::chrono::steady_clock;

constexpr auto kReadyMax = std::chrono::seconds(60);

template <class T>
T must(Result<T> result) {
  if (result.ok()) return std::move(result).value();
  std::fprintf(stderr, "controllers_bench: %s\n", result.error().message.c_str());
  std::exit(1);
}

Object object(const std::string& text) {
  return Object(must(yaml::read(text)));
}

class Kubelet : public kube::Reconciler {
 public:
  explicit Kubelet(kube::Runtime& runtime) : client_(runtime.client()), pods_(runtime.informer(schema::kPods)) {}
  std::string_view name() const override { return "kubelet"; }
  Result<Requeue> reconcile(const kube::ObjectKey& key) override {
    const auto pod = pods_.find(key);
    if (!pod || pod->spec()["nodeName"].as_string().empty()) return Requeue::never();
    if (pod->deleting()) {
      const auto removed = client_.remove(schema::kPods, key, {.grace_period_seconds = 0});
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    } else if (!controllers::is_ready(*pod)) {
      Object after = *pod;
      after.edit({"status"}).set("phase", "Running");
      kube::set_condition(after, "Ready", true, "", "", system_clock().now());
      const auto written = client_.update_status(after);
      if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
    }
    return Requeue::never();
  }

 private:
  kube::Client& client_;
  kube::Informer& pods_;
};

struct Cluster {
  TempDir dir = must(TempDir::make("controllers-bench"));
  std::unique_ptr<store::Store> store = must(store::Store::open(dir.path() + "/store.db", system_clock()));
  schema::Schema schema = must(schema::Schema::built_in());
  std::unique_ptr<apiserver::ApiServer> api;
  std::unique_ptr<kube::Client> client;
  std::unique_ptr<kube::Runtime> runtime;

  Cluster() {
    apiserver::ApiServerOptions options;
    options.service_account_key_pem = SecretBytes(must(http::make_key_pem()));
    options.warn_unserved = false;
    api = must(apiserver::ApiServer::open(*store, schema, std::move(options)));
    client = api->client({.name = "bench", .groups = {"system:masters"}});
    runtime = std::make_unique<kube::Runtime>(*client, system_clock());
    controllers::add_controllers(*runtime, {});
    const kube::Queue kubelet = runtime->add(std::make_unique<Kubelet>(*runtime), 6);
    runtime->watch(schema::kPods, kubelet);
    runtime->start();
    for (const char* name : {"node-1", "node-2", "node-3"}) {
      must(client->create(object("{apiVersion: v1, kind: Node, metadata: {name: " + std::string(name) +
                                 ", labels: {kubernetes.io/hostname: " + name + "}}}")));
      const Value status = must(yaml::read(
          "{allocatable: {cpu: '64', memory: 256Gi, pods: '500'}, capacity: {cpu: '64', memory: 256Gi, pods: '500'}, "
          "conditions: [{type: Ready, status: 'True', reason: KubeletReady}]}"));
      must(kube::modify(*client, schema::kNodes, {"", name},
                        [&](Object& node) {
                          node.edit().set("status", status);
                          return true;
                        },
                        {.subresource = "status"}));
      must(client->create(
          object("{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: " + std::string(name) +
                 ", namespace: kube-node-lease}, spec: {leaseDurationSeconds: 3600, renewTime: '" +
                 format_time_micros(system_clock().now()) + "'}}")));
    }
    must(client->create(object("{apiVersion: v1, kind: Namespace, metadata: {name: bench}}")));
  }

  // From the create until status.availableReplicas is the number, seen by a watch.
  double time_deployment(int replicas, const std::string& name) {
    std::mutex mutex;
    std::condition_variable changed;
    std::int64_t available = 0;
    const auto watch = must(client->watch(
        schema::kDeployments, {.ns = "bench", .field_selector = "metadata.name=" + name},
        [&](const kube::WatchEvent& event) {
          if (event.type != kube::WatchEvent::Type::added && event.type != kube::WatchEvent::Type::modified) return;
          const std::lock_guard lock(mutex);
          available = event.object.status()["availableReplicas"].as_int();
          changed.notify_all();
        }));
    const auto start = Steady::now();
    must(client->create(object("{apiVersion: apps/v1, kind: Deployment, metadata: {name: " + name +
                               ", namespace: bench}, spec: {replicas: " + std::to_string(replicas) +
                               ", selector: {matchLabels: {app: " + name + "}}, template: {metadata: {labels: {app: " +
                               name + "}}, spec: {containers: [{name: c, image: i}]}}}}")));
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, kReadyMax, [&] { return available == replicas; })) {
      std::fprintf(stderr, "controllers_bench: %lld of %d are available after a minute\n",
                   static_cast<long long>(available), replicas);
      std::exit(1);
    }
    return std::chrono::duration<double, std::milli>(Steady::now() - start).count();
  }
};

double cpu_ms() {
  return static_cast<double>(std::clock()) * 1000.0 / CLOCKS_PER_SEC;
}

}  // namespace

int main() {
  Cluster cluster;
  cluster.time_deployment(1, "warm-up");
  for (const auto& [replicas, rounds] : {std::pair(1, 30), {300, 5}}) {
    std::vector<double> times;
    const double before = cpu_ms();
    for (int round = 0; round < rounds; ++round) {
      const std::string name = "d" + std::to_string(replicas) + "-" + std::to_string(round);
      times.push_back(cluster.time_deployment(replicas, name));
      must(cluster.client->remove(schema::kDeployments, {"bench", name}));
      const auto end = Steady::now() + kReadyMax;
      while (Steady::now() < end &&
             must(cluster.client->list(schema::kPods, {.ns = "bench", .label_selector = "app=" + name})).items.size() >
                 0) {
        std::mutex unused;
        std::unique_lock lock(unused);
        std::condition_variable().wait_for(lock, std::chrono::milliseconds(20));
      }
    }
    const double cpu = (cpu_ms() - before) / rounds;
    std::sort(times.begin(), times.end());
    std::printf(
        "Deployment of %d available: least %.1f ms, median %.1f ms of %d; CPU %.0f ms each, deletion included\n",
        replicas, times[0], times[times.size() / 2], rounds, cpu);
    std::fflush(stdout);
  }
  return 0;
}
