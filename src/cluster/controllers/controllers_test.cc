// SPDX-License-Identifier: Apache-2.0
// All controllers against the real API server, in this process. A kubelet of a few lines makes bound pods ready and
// lets deleted ones go.
#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "cluster/apiserver/api_server.h"
#include "cluster/controllers/controllers.h"
#include "cluster/controllers/testing_objects.h"
#include "cluster/schema/schema.h"
#include "cluster/store/store.h"
#include "core/base/file.h"
#include "core/http/tls.h"

namespace caisson::controllers {
using namespace testing;

namespace {

using kube::ObjectList;

template <class T>
T must(Result<T> result) {
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? std::string() : result.error().message));
  return std::move(result).value();
}

struct Spans : SpanSink {
  std::mutex mutex;
  std::vector<Span> told;
  void record(Span span) override {
    const std::lock_guard lock(mutex);
    told.push_back(std::move(span));
  }
};

// Runs what is bound: gives it an address and readiness, and ends it when it is being deleted. What it saw at most is
// kept.
class Kubelet : public kube::Reconciler {
 public:
  explicit Kubelet(kube::Runtime& runtime) : client_(runtime.client()), pods_(runtime.informer(schema::kPods)) {}
  std::string_view name() const override { return "kubelet"; }
  Result<kube::Requeue> reconcile(const ObjectKey& key) override {
    const auto pod = pods_.find(key);
    if (!pod || pod->spec()["nodeName"].as_string().empty() || is_finished(*pod)) return kube::Requeue::never();
    if (pod->deleting()) {
      kube::DeleteOptions now;
      now.grace_period_seconds = 0;
      const auto removed = client_.remove(schema::kPods, key, now);
      if (!removed.ok() && removed.error().code != ErrorCode::not_found) return removed.error();
    } else if (!is_ready(*pod) && pod->annotation("test/hold").empty()) {
      Object after = *pod;
      after.edit({"status"}).set("phase", "Running");
      after.edit({"status"}).set("podIP", "10.42.0." + std::to_string(++address_));
      kube::set_condition(after, "Ready", true, "", "", Time(std::chrono::seconds(1'700'000'000)));
      const auto written = client_.update_status(after);
      if (!written.ok() && written.error().code != ErrorCode::not_found) return written.error();
    }
    return kube::Requeue::never();
  }

 private:
  kube::Client& client_;
  kube::Informer& pods_;
  std::atomic<int> address_ = 1;
};

struct World {
  TempDir dir = must(TempDir::make());
  FakeClock clock;
  std::unique_ptr<store::Store> store;
  std::optional<schema::Schema> schema;
  std::unique_ptr<apiserver::ApiServer> api;
  std::unique_ptr<kube::Client> client;
  Spans spans;
  std::unique_ptr<kube::Runtime> runtime;

  World() {
    store = must(store::Store::open(dir.path() + "/store.db", clock));
    schema.emplace(must(schema::Schema::built_in()));
    apiserver::ApiServerOptions options;
    options.clock = &clock;
    options.service_account_key_pem = SecretBytes(must(http::make_key_pem()));
    api = must(apiserver::ApiServer::open(*store, *schema, std::move(options)));
    client = api->client({.name = "system:caisson", .groups = {"system:masters"}});
    runtime = std::make_unique<kube::Runtime>(*client, clock);
    add_controllers(*runtime, {.ca_pem = "CA", .volumes_root = dir.path(), .spans = &spans});
    const kube::Queue kubelet = runtime->add(std::make_unique<Kubelet>(*runtime));
    runtime->watch(schema::kPods, kubelet);
    runtime->start();
    make("{apiVersion: v1, kind: Node, metadata: {name: n1}}");
    until([&] {  // the node lifecycle writes it too: a conflict is tried again, as a kubelet does
      Object node = must(client->get(schema::kNodes, {"", "n1"}));
      node.edit().set(
          "status",
          read("{allocatable: {cpu: '4', memory: 8Gi, pods: '110'}, capacity: {cpu: '4', memory: 8Gi, pods: '110'}, "
               "conditions: [{type: Ready, status: 'True', lastHeartbeatTime: '" +
               ago(0) + "'}]}"));
      return client->update_status(node).ok();
    });
    make("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}");
    until([&] { return get(schema::kServiceAccounts, "default").has_value(); });
  }

  Object make(std::string_view text) { return must(client->create(object(text))); }
  std::optional<Object> get(const schema::Resource& resource, const std::string& name, const std::string& ns = "shop") {
    auto got = client->get(resource, {resource.namespaced ? ns : "", name});
    return got.ok() ? std::optional(*got) : std::nullopt;
  }
  std::vector<Object> list(const schema::Resource& resource) {
    kube::ListOptions options;
    options.ns = "shop";
    return must(client->list(resource, options)).items;
  }
  void change(const schema::Resource& resource, const std::string& name, std::string_view merge_patch) {
    must(client->patch(resource, {resource.namespaced ? "shop" : "", name}, kube::PatchType::merge, read(merge_patch)));
  }
  // The clock goes as fast as time while we wait, so that pauses end.
  void until(const std::function<bool()>& condition) {
    const auto begun = std::chrono::steady_clock::now();
    for (auto last = begun; !condition();) {
      const auto now = std::chrono::steady_clock::now();
      if (now - begun > std::chrono::seconds(20)) FAIL("the condition did not come true");
      clock.advance(now - last);
      last = now;
      std::this_thread::yield();
    }
  }
  bool rolled_out(const std::string& name) {
    const auto d = get(schema::kDeployments, name);
    return d && kube::condition(*d, "Progressing")["reason"].as_string() == "NewReplicaSetAvailable" &&
           d->status()["observedGeneration"].as_int() == d->generation() &&
           d->status()["updatedReplicas"].as_int() == d->spec()["replicas"].as_int() &&
           d->status()["replicas"].as_int() == d->spec()["replicas"].as_int() &&
           d->status()["availableReplicas"].as_int() == d->spec()["replicas"].as_int();
  }
};

constexpr const char* kWeb = R"(apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, annotations: {caisson.dev/traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01}}
spec:
  replicas: 3
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: 'web:1', ports: [{name: http, containerPort: 8080}]}]}
)";

}  // namespace

TEST_CASE("a deployment rolls out, rolls over without a gap, back, up and down, and carries its trace to its pods") {
  World world;
  std::mutex mutex;
  std::int64_t most = 0, least = 100;
  std::map<ObjectKey, Object> seen;
  bool counting = false;
  world.make(kWeb);
  world.until([&] { return world.rolled_out("web"); });
  const auto first = world.list(schema::kPods);
  REQUIRE_EQ(first.size(), 3);
  CHECK_EQ(first[0].trace().trace_id, "0af7651916cd43dd8448eb211c80319c");
  CHECK_FALSE(first[0].spec()["nodeName"].as_string().empty());
  world.until([&] {  // a span is told after its pod is bound
    const std::lock_guard lock(world.spans.mutex);
    return world.spans.told.size() == 3;
  });
  {
    const std::lock_guard lock(world.spans.mutex);
    CHECK_EQ(world.spans.told[0].name, "schedule");
    CHECK_EQ(world.spans.told[0].parent_span_id, "b7ad6b7169203331");
  }

  auto watch = must(world.client->watch(schema::kPods, {.ns = "shop"}, [&](const kube::WatchEvent& event) {
    const std::lock_guard lock(mutex);
    if (event.type == kube::WatchEvent::Type::bookmark || event.type == kube::WatchEvent::Type::closed) return;
    if (event.type == kube::WatchEvent::Type::deleted)
      seen.erase(event.object.key());
    else
      seen[event.object.key()] = event.object;
    std::int64_t present = 0, ready = 0;
    for (const auto& [key, pod] : seen) {
      present += pod.deleting() ? 0 : 1;
      ready += is_ready(pod) && !pod.deleting() ? 1 : 0;
    }
    counting |= ready == 3;
    most = std::max(most, present);
    if (counting) least = std::min(least, ready);
  }));
  world.until([&] {
    const std::lock_guard lock(mutex);
    return counting;
  });
  world.change(schema::kDeployments, "web", "{spec: {template: {spec: {containers: [{name: c, image: 'web:2'}]}}}}");
  world.until([&] { return world.rolled_out("web"); });
  CHECK_EQ(world.get(schema::kDeployments, "web")->annotation("deployment.kubernetes.io/revision"), "2");
  {
    const std::lock_guard lock(mutex);
    CHECK_LE(most, 4);
    CHECK_GE(least, 3);
  }

  // What `kubectl rollout undo` does: the old template again.
  world.change(schema::kDeployments, "web",
               "{spec: {template: {spec: {containers: [{name: c, image: 'web:1', ports: [{name: http, containerPort: "
               "8080}]}]}}}}");
  world.until([&] {
    return world.rolled_out("web") &&
           world.get(schema::kDeployments, "web")->annotation("deployment.kubernetes.io/revision") == "3";
  });
  CHECK_EQ(world.list(schema::kReplicaSets).size(), 2);

  world.change(schema::kDeployments, "web", "{spec: {replicas: 5}}");
  world.until([&] { return world.rolled_out("web") && active(world.list(schema::kPods)).size() == 5; });
  world.change(schema::kDeployments, "web", "{spec: {replicas: 1}}");
  world.until([&] { return world.rolled_out("web") && world.list(schema::kPods).size() == 1; });

  // A pod that goes comes again; a deployment that goes takes everything along.
  const std::string victim = world.list(schema::kPods)[0].name();
  must(Result<bool>(world.client->remove(schema::kPods, {"shop", victim}).ok()));
  world.until([&] { return !world.get(schema::kPods, victim) && world.rolled_out("web"); });
  REQUIRE(world.client->remove(schema::kDeployments, {"shop", "web"}).ok());
  world.until([&] { return world.list(schema::kReplicaSets).empty() && world.list(schema::kPods).empty(); });
}

TEST_CASE("a rollout that makes no progress says so when its deadline has passed") {
  World world;
  Object web = object(kWeb);
  web.edit({"spec"}).set("progressDeadlineSeconds", 60);
  web.edit({"spec", "template", "metadata"}).set("annotations", Value{{"test/hold", "1"}});
  must(world.client->create(web));
  world.until([&] { return world.list(schema::kPods).size() == 3; });
  const auto reason = [&] {
    return kube::condition(*world.get(schema::kDeployments, "web"), "Progressing")["reason"].str();
  };
  world.until([&] { return reason() == "ReplicaSetUpdated"; });
  world.clock.advance(std::chrono::seconds(65));
  world.until([&] { return reason() == "ProgressDeadlineExceeded"; });
}

TEST_CASE("a service's endpoints follow its pods, and leave one that is being deleted before it ends") {
  World world;
  world.make(
      "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {selector: {app: web}, ports: "
      "[{port: 80, targetPort: http}]}}");
  world.make(kWeb);
  const auto ready = [&] {
    std::size_t count = 0;
    for (const Object& slice : world.list(schema::kEndpointSlices)) {
      for (const Value& endpoint : slice["endpoints"].items())
        count += endpoint["conditions"]["ready"].as_bool() ? 1 : 0;
    }
    return count;
  };
  world.until([&] { return ready() == 3; });
  CHECK_EQ(world.list(schema::kEndpointSlices).size(), 1);
  world.until([&] {
    return world.get(schema::kEndpoints, "web") &&
           world.get(schema::kEndpoints, "web")->get({"subsets"})[0]["addresses"].size() == 3;
  });

  // A finalizer holds the pod, as a slow end does.
  const std::string name = world.list(schema::kPods)[0].name();
  world.change(schema::kPods, name, "{metadata: {finalizers: [test/slow]}}");
  REQUIRE(world.client->remove(schema::kPods, {"shop", name}).ok());
  world.until([&] {
    for (const Object& slice : world.list(schema::kEndpointSlices)) {
      for (const Value& e : slice["endpoints"].items()) {
        if (e["targetRef"]["name"].as_string() == name)
          return e["conditions"]["terminating"].as_bool() && !e["conditions"]["ready"].as_bool();
      }
    }
    return false;
  });
  world.change(schema::kPods, name, "{metadata: {finalizers: null}}");
  world.until([&] { return ready() == 3 && !world.get(schema::kPods, name); });
  REQUIRE(world.client->remove(schema::kServices, {"shop", "web"}).ok());
  world.until([&] { return world.list(schema::kEndpointSlices).empty() && world.list(schema::kEndpoints).empty(); });
}

TEST_CASE("a namespace goes with all that is in it, when nothing holds it any more") {
  World world;
  world.make(kWeb);
  world.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: held, namespace: shop, finalizers: [x.io/f]}}");
  world.until([&] { return world.rolled_out("web"); });
  REQUIRE(world.client->remove(schema::kNamespaces, {"", "shop"}).ok());
  world.until([&] {
    const auto ns = world.get(schema::kNamespaces, "shop");
    return ns && kube::condition_is_true(*ns, "NamespaceFinalizersRemaining");
  });
  world.until([&] { return world.list(schema::kPods).empty() && world.list(schema::kDeployments).empty(); });
  world.change(schema::kConfigMaps, "held", "{metadata: {finalizers: null}}");
  world.until([&] { return !world.get(schema::kNamespaces, "shop"); });
}

TEST_CASE("garbage collection: in the background, in the foreground, not at all") {
  World world;
  const auto child_of = [&](const Object& owner, const std::string& name) {
    Object child = object("{apiVersion: v1, kind: ConfigMap, metadata: {name: " + name + ", namespace: shop}}");
    child.set_controller(owner);
    return must(world.client->create(child));
  };
  for (const kube::Propagation propagation :
       {kube::Propagation::background, kube::Propagation::foreground, kube::Propagation::orphan}) {
    const Object owner = world.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: owner, namespace: shop}}");
    child_of(owner, "child");
    kube::DeleteOptions options;
    options.propagation = propagation;
    REQUIRE(world.client->remove(schema::kConfigMaps, owner.key(), options).ok());
    world.until([&] { return !world.get(schema::kConfigMaps, "owner"); });
    if (propagation == kube::Propagation::orphan) {
      CHECK(world.get(schema::kConfigMaps, "child")->owners().empty());
    } else {
      world.until([&] { return !world.get(schema::kConfigMaps, "child"); });
    }
  }
  Object lost = object(
      "{apiVersion: v1, kind: ConfigMap, metadata: {name: lost, namespace: shop, ownerReferences: [{apiVersion: v1, "
      "kind: ConfigMap, "
      "name: never, uid: 11111111-2222-4333-8444-555555555555}]}}");
  must(world.client->create(lost));
  world.until([&] { return !world.get(schema::kConfigMaps, "lost"); });
}

TEST_CASE("what a namespace must have comes again, and a silent node takes no pods") {
  World world;
  world.until([&] { return world.get(schema::kConfigMaps, "kube-root-ca.crt").has_value(); });
  REQUIRE(world.client->remove(schema::kConfigMaps, {"shop", "kube-root-ca.crt"}).ok());
  REQUIRE(world.client->remove(schema::kServiceAccounts, {"shop", "default"}).ok());
  world.until([&] {
    return world.get(schema::kConfigMaps, "kube-root-ca.crt") && world.get(schema::kServiceAccounts, "default");
  });
  CHECK_EQ(world.get(schema::kConfigMaps, "kube-root-ca.crt")->get({"data", "ca.crt"}).str(), "CA");

  // It is the only node: nothing new comes to it, and its pods stay.
  world.clock.advance(std::chrono::seconds(45));
  world.until([&] {
    const auto node = world.get(schema::kNodes, "n1");
    return kube::condition(*node, "Ready")["status"].as_string() == "Unknown" && node->spec()["taints"].size() == 1;
  });
  world.make(
      "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, spec: {containers: [{name: c, image: i}]}}");
  world.until([&] {
    const auto pod = world.get(schema::kPods, "p");
    return kube::condition(*pod, "PodScheduled")["message"].as_string().starts_with(
        "0/1 nodes are available: 1 node(s) had untolerated taint {");
  });
  Object node = *world.get(schema::kNodes, "n1");
  kube::set_condition(node, "Ready", true, "KubeletReady", "", world.clock.now());
  node.edit({"status", "conditions"}).edit(std::size_t{0}).set("lastHeartbeatTime", format_time(world.clock.now()));
  must(world.client->update_status(node));
  world.until([&] { return !world.get(schema::kPods, "p")->spec()["nodeName"].as_string().empty(); });
}

TEST_CASE("a claim of the local class is bound when a pod uses it, and its volume goes with it") {
  World world;
  world.make(
      "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: shop}, spec: {storageClassName: "
      "local, accessModes: "
      "[ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}");
  world.make(
      "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, spec: {containers: [{name: c, image: i}], "
      "volumes: [{name: v, "
      "persistentVolumeClaim: {claimName: data}}]}}");
  world.until([&] { return !world.get(schema::kPods, "p")->spec()["nodeName"].as_string().empty(); });
  const auto claim = world.get(schema::kPersistentVolumeClaims, "data");
  CHECK_EQ(claim->status()["phase"].str(), "Bound");
  const schema::Resource volumes{"", "v1", "PersistentVolume", "persistentvolumes", false};
  CHECK_EQ(world.get(volumes, claim->spec()["volumeName"].str())->spec()["hostPath"]["path"].str(),
           world.dir.path() + "/" + claim->spec()["volumeName"].str() + "_shop_data");

  must(world.client->remove(schema::kPersistentVolumeClaims, claim->key()));
  REQUIRE(world.runtime->wait_idle(std::chrono::seconds(10)));
  CHECK(world.get(schema::kPersistentVolumeClaims, "data")->deleting());  // while a pod names it
  must(world.client->remove(volumes, {"", claim->spec()["volumeName"].str()}));
  REQUIRE(world.runtime->wait_idle(std::chrono::seconds(10)));
  CHECK(world.get(volumes, claim->spec()["volumeName"].str())->deleting());  // while a claim is bound to it
  must(world.client->remove(schema::kPods, {"shop", "p"}, {.grace_period_seconds = 0}));
  world.until([&] { return !world.get(schema::kPersistentVolumeClaims, "data"); });
  world.until([&] { return !world.get(volumes, claim->spec()["volumeName"].str()); });
}

TEST_CASE("a deleted local claim takes its volume along, and no claim has the folder of one before it") {
  World world;
  const schema::Resource volumes{"", "v1", "PersistentVolume", "persistentvolumes", false};
  const auto claim_volume = [&] {
    world.make(
        "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: shop}, spec: "
        "{storageClassName: local, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}");
    world.make(
        "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, spec: {containers: [{name: c, image: i}], "
        "volumes: [{name: v, persistentVolumeClaim: {claimName: data}}]}}");
    world.until(
        [&] { return world.get(schema::kPersistentVolumeClaims, "data")->status()["phase"].as_string() == "Bound"; });
    return *world.get(volumes, world.get(schema::kPersistentVolumeClaims, "data")->spec()["volumeName"].str());
  };
  const auto let_go = [&] {
    must(world.client->remove(schema::kPods, {"shop", "p"}, {.grace_period_seconds = 0}));
    must(world.client->remove(schema::kPersistentVolumeClaims, {"shop", "data"}));
    world.until([&] { return !world.get(schema::kPersistentVolumeClaims, "data"); });
  };
  const Object first = claim_volume();
  let_go();
  world.until([&] { return !world.get(volumes, first.name()); });

  const Object kept = claim_volume();
  must(world.client->patch(volumes, {"", kept.name()}, kube::PatchType::merge,
                           Value{{"spec", Value{{"persistentVolumeReclaimPolicy", "Retain"}}}}));
  let_go();
  world.until([&] { return world.get(volumes, kept.name())->status()["phase"].as_string() == "Released"; });
  CHECK(claim_volume().spec()["hostPath"]["path"].str() != kept.spec()["hostPath"]["path"].str());
}

TEST_CASE("an Event lives for an hour") {
  World world;
  world.make(
      "{apiVersion: v1, kind: Event, metadata: {name: e, namespace: shop}, involvedObject: {kind: Pod, namespace: "
      "shop, name: p}, reason: R, "
      "message: m, type: Normal, lastTimestamp: '" +
      format_time(world.clock.now()) + "'}");
  world.clock.advance(std::chrono::minutes(50));
  REQUIRE(world.runtime->wait_idle(std::chrono::seconds(10)));
  CHECK(world.get(schema::kEvents, "e"));
  world.clock.advance(std::chrono::minutes(11));
  world.until([&] { return !world.get(schema::kEvents, "e"); });
}

}  // namespace caisson::controllers
