// SPDX-License-Identifier: Apache-2.0
#include <future>

#include "cluster/apiserver/testing_test.h"

using namespace caisson;
using namespace caisson::apiserver;
using kube::Object;
using schema::kConfigMaps;
using schema::kDeployments;
using schema::kNamespaces;
using schema::kPods;
using schema::kServices;
using namespace std::chrono_literals;

namespace {

const char* const kPod = R"(
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop}
spec:
  terminationGracePeriodSeconds: 20
  containers: [{name: app, image: "nginx:1.27"}])";

const char* const kDeployment = R"(
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: "nginx:1.27"}]})";

Object config_map(std::string_view name, std::string_view value) {
  return Object(Value{{"apiVersion", "v1"},
                      {"kind", "ConfigMap"},
                      {"metadata", Value{{"name", name}, {"namespace", "shop"}}},
                      {"data", Value{{"k", value}}}});
}

}  // namespace

TEST_CASE("a created object has what the server owns, and comes back as it was answered") {
  TestServer s;
  s.make_namespace("shop");
  const Object made = s.create(kDeployment);
  CHECK(made.uid().size() == 36);
  CHECK(made.generation() == 1);
  CHECK(made.metadata()["creationTimestamp"].str() == "2023-11-14T22:13:20Z");
  CHECK(made.get({"spec", "strategy", "type"}).str() == "RollingUpdate");
  const auto read = s.admin->get(kDeployments, {"shop", "web"});
  REQUIRE(read.ok());
  CHECK(*read == made);
}

TEST_CASE("a status that a client sends on create is dropped") {
  TestServer s;
  s.make_namespace("shop");
  Object deployment = object(kDeployment);
  deployment.edit({"status", "replicas"}) = 7;
  CHECK(s.admin->create(deployment)->status()["replicas"].is_null());
}

TEST_CASE("refusals are said in Kubernetes' words") {
  TestServer s;
  s.make_namespace("shop");
  REQUIRE(s.admin->create(config_map("a", "1")).ok());
  CHECK(failure(s.admin->create(config_map("a", "1"))) == "configmaps \"a\" already exists");
  CHECK(failure(s.admin->get(kConfigMaps, {"shop", "b"})) == "configmaps \"b\" not found");
  CHECK(failure(s.admin->get(kDeployments, {"shop", "b"})) == "deployments.apps \"b\" not found");
  Object elsewhere = config_map("a", "1");
  elsewhere.edit({"metadata", "namespace"}) = "nowhere";
  CHECK(failure(s.admin->create(elsewhere)) == "namespaces \"nowhere\" not found");
  Object nameless = config_map("", "1");
  CHECK(failure(s.admin->create(nameless)) ==
        "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required");
  CHECK(failure(s.admin->create(config_map("Upper", "1")))
            .starts_with(
                "ConfigMap \"Upper\" is invalid: metadata.name: Invalid value: \"Upper\": a lowercase RFC 1123"));
  CHECK(failure(s.admin->update(config_map("absent", "1"))) == "configmaps \"absent\" not found");
}

TEST_CASE("generateName makes a name") {
  TestServer s;
  s.make_namespace("shop");
  Object map = config_map("", "1");
  map.edit({"metadata", "generateName"}) = "gen-";
  const auto made = s.admin->create(map);
  REQUIRE(made.ok());
  CHECK(made->name().starts_with("gen-"));
  CHECK(made->name().size() == 9);
}

TEST_CASE("an update with an old resourceVersion is a conflict; without one the last write wins") {
  TestServer s;
  s.make_namespace("shop");
  const Object first = s.admin->create(config_map("a", "1")).value();
  Object second = first;
  second.edit({"data", "k"}) = "2";
  REQUIRE(s.admin->update(second).ok());
  Object late = first;
  late.edit({"data", "k"}) = "3";
  const auto refused = s.admin->update(late);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == ErrorCode::conflict);
  CHECK(refused.error().message ==
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to "
        "the "
        "latest version and try again");
  CHECK(s.admin->update(config_map("a", "4")).ok());
}

TEST_CASE("an update that changes nothing writes nothing") {
  TestServer s;
  s.make_namespace("shop");
  const Object made = s.create(kDeployment);
  const store::Revision before = s.store->revision();
  const auto same = s.admin->update(made);
  REQUIRE(same.ok());
  CHECK(same->resource_version() == made.resource_version());
  CHECK(s.store->revision() == before);
}

TEST_CASE("spec and status are written by their own doors, and generation counts spec") {
  TestServer s;
  s.make_namespace("shop");
  Object web = s.create(kDeployment);
  web.edit({"status", "replicas"}) = 2;
  web.edit({"spec", "replicas"}) = 5;
  const auto by_main = s.admin->update(web);
  REQUIRE(by_main.ok());
  CHECK(by_main->status()["replicas"].is_null());
  CHECK(by_main->generation() == 2);
  web = *by_main;
  web.edit({"status", "replicas"}) = 2;
  web.edit({"spec", "replicas"}) = 9;
  const auto by_status = s.admin->update_status(web);
  REQUIRE_MESSAGE(by_status.ok(), failure(by_status));
  CHECK(by_status->status()["replicas"].as_int() == 2);
  CHECK(by_status->spec()["replicas"].as_int() == 5);
  CHECK(by_status->generation() == 2);
}

TEST_CASE("patches: merge, JSON, strategic") {
  TestServer s;
  s.make_namespace("shop");
  s.create(kDeployment);
  const auto patch = [&](kube::PatchType type, std::string_view yaml) {
    return s.admin->patch(kDeployments, {"shop", "web"}, type, yaml::read(yaml).value());
  };
  CHECK(patch(kube::PatchType::merge, "{spec: {replicas: 3}}")->spec()["replicas"].as_int() == 3);
  CHECK(patch(kube::PatchType::json,
              "[{op: test, path: /spec/replicas, value: 3}, {op: replace, path: /spec/replicas, value: 4}]")
            ->spec()["replicas"]
            .as_int() == 4);
  CHECK(patch(kube::PatchType::json, "[{op: test, path: /spec/replicas, value: 99}]").error().code ==
        ErrorCode::invalid);
  const auto merged =
      patch(kube::PatchType::strategic, "{spec: {template: {spec: {containers: [{name: app, image: 'nginx:2'}]}}}}");
  REQUIRE(merged.ok());
  CHECK(merged->get({"spec", "template", "spec", "containers"})[0]["image"].str() == "nginx:2");
  CHECK(merged->get({"spec", "template", "spec", "containers"})[0]["imagePullPolicy"].str() == "IfNotPresent");
  CHECK(patch(kube::PatchType::merge, "{metadata: {resourceVersion: '1'}, spec: {replicas: 8}}").error().code ==
        ErrorCode::conflict);
}

TEST_CASE("deleting: at once, held by finalizers, gracefully for bound pods") {
  TestServer s;
  s.make_namespace("shop");
  s.create(kPod);
  const kube::ObjectKey key{"shop", "p"};
  SUBCASE("a pod without a node goes at once") {
    REQUIRE(s.admin->remove(kPods, key).ok());
    CHECK(s.admin->get(kPods, key).error().code == ErrorCode::not_found);
  }
  SUBCASE("a bound pod is marked, and gone when the kubelet says so") {
    REQUIRE(s.admin->post(kPods, key, "binding", Value{{"target", Value{{"kind", "Node"}, {"name", "n"}}}}).ok());
    REQUIRE(s.admin->remove(kPods, key).ok());
    const Object marked = s.admin->get(kPods, key).value();
    CHECK(marked.deleting());
    CHECK(marked.metadata()["deletionGracePeriodSeconds"].as_int() == 20);
    CHECK(marked.metadata()["deletionTimestamp"].str() == "2023-11-14T22:13:40Z");
    REQUIRE(s.admin->remove(kPods, key, {.grace_period_seconds = 5}).ok());
    CHECK(s.admin->get(kPods, key)->metadata()["deletionGracePeriodSeconds"].as_int() == 5);
    REQUIRE(s.admin->remove(kPods, key, {.grace_period_seconds = 0, .uid = marked.uid()}).ok());
    CHECK(s.admin->get(kPods, key).error().code == ErrorCode::not_found);
  }
  SUBCASE("a finalizer holds it until it is taken away, and no new one may come") {
    REQUIRE(
        s.admin
            ->patch(kPods, key, kube::PatchType::merge, yaml::read("{metadata: {finalizers: [example.com/f]}}").value())
            .ok());
    REQUIRE(s.admin->remove(kPods, key).ok());
    CHECK(s.admin->get(kPods, key)->deleting());
    CHECK(s.admin
              ->patch(kPods, key, kube::PatchType::merge,
                      yaml::read("{metadata: {finalizers: [example.com/f, example.com/g]}}").value())
              .error()
              .code == ErrorCode::invalid);
    REQUIRE(
        s.admin->patch(kPods, key, kube::PatchType::merge, yaml::read("{metadata: {finalizers: null}}").value()).ok());
    CHECK(s.admin->get(kPods, key).error().code == ErrorCode::not_found);
  }
  SUBCASE("preconditions hold or nothing happens") {
    CHECK(s.admin->remove(kPods, key, {.uid = "other"}).error().code == ErrorCode::conflict);
    CHECK(s.admin->remove(kPods, key, {.resource_version = "1"}).error().code == ErrorCode::conflict);
    CHECK(s.admin->get(kPods, key).ok());
  }
  SUBCASE("propagation is left to the garbage collector as a finalizer") {
    REQUIRE(s.admin->remove(kPods, key, {.propagation = kube::Propagation::foreground}).ok());
    CHECK(s.admin->get(kPods, key)->has_finalizer("foregroundDeletion"));
  }
}

TEST_CASE("a pod gets its account, its token, tolerations and priority") {
  TestServer s;
  s.make_namespace("shop");
  const Object pod = s.create(kPod);
  CHECK(pod.spec()["serviceAccountName"].str() == "default");
  CHECK(pod.spec()["tolerations"].size() == 2);
  CHECK(pod.spec()["priority"].as_int(-1) == 0);
  CHECK(pod.status()["qosClass"].str() == "BestEffort");
  REQUIRE(pod.spec()["volumes"].size() == 1);
  CHECK(pod.spec()["volumes"][0]["name"].str().starts_with("kube-api-access-"));
  CHECK(pod.spec()["containers"][0]["volumeMounts"][0]["mountPath"].str() ==
        "/var/run/secrets/kubernetes.io/serviceaccount");
  Object other = object(kPod);
  other.edit({"spec", "serviceAccountName"}) = "absent";
  other.edit({"metadata", "name"}) = "q";
  CHECK(failure(s.admin->create(other)) ==
        "pods \"q\" is forbidden: error looking up service account shop/absent: serviceaccount \"absent\" not found");
}

TEST_CASE("a pod right behind its namespace waits for the default account, which is on its way") {
  TestServer s;
  s.create("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}");
  auto pod = std::async(std::launch::async, [&] { return s.admin->create(object(kPod)); });
  s.create("{apiVersion: v1, kind: ServiceAccount, metadata: {name: default, namespace: shop}}");
  CHECK(failure(pod.get()) == "");
}

TEST_CASE("namespaces: label, no content while terminating, gone after finalize, built-in ones stay") {
  TestServer s;
  s.make_namespace("shop");
  CHECK(s.admin->get(kNamespaces, {"", "shop"})->label("kubernetes.io/metadata.name") == "shop");
  REQUIRE(s.admin->remove(kNamespaces, {"", "shop"}).ok());
  Object ns = s.admin->get(kNamespaces, {"", "shop"}).value();
  CHECK(ns.status()["phase"].str() == "Terminating");
  CHECK(failure(s.admin->create(config_map("a", "1"))) ==
        "configmaps \"a\" is forbidden: unable to create new content in namespace shop because it is being terminated");
  ns.edit({"spec", "finalizers"}) = Value::list();
  REQUIRE(s.admin->update(ns, {.subresource = "finalize"}).ok());
  CHECK(s.admin->get(kNamespaces, {"", "shop"}).error().code == ErrorCode::not_found);
  CHECK(failure(s.admin->remove(kNamespaces, {"", "default"})) ==
        "namespaces \"default\" is forbidden: this namespace may not be deleted");
}

TEST_CASE("services get addresses and ports from the pool, fixed ones when asked") {
  TestServer s;
  s.make_namespace("shop");
  const auto service = [](std::string_view name, std::string_view spec) {
    return object("{apiVersion: v1, kind: Service, metadata: {name: " + std::string(name) +
                  ", namespace: shop}, spec: " + std::string(spec) + "}");
  };
  CHECK(s.admin->get(kServices, {"default", "kubernetes"})->spec()["clusterIP"].str() == "10.43.0.1");
  CHECK(s.admin->create(service("a", "{ports: [{port: 80}]}"))->spec()["clusterIP"].str().starts_with("10.43."));
  CHECK(s.admin->create(service("b", "{clusterIP: 10.43.0.2, ports: [{port: 80}]}"))->spec()["clusterIPs"][0].str() ==
        "10.43.0.2");
  CHECK(failure(s.admin->create(service("c", "{clusterIP: 10.43.0.2, ports: [{port: 80}]}")))
            .find("provided IP is already allocated") != std::string::npos);
  CHECK(failure(s.admin->create(service("c", "{clusterIP: 10.1.0.2, ports: [{port: 80}]}")))
            .find("does not match the current range") != std::string::npos);
  CHECK(s.admin->create(service("none", "{clusterIP: None, ports: [{port: 80}]}"))->spec()["clusterIP"].str() ==
        "None");
  const Object np = s.admin->create(service("np", "{type: NodePort, ports: [{port: 80, nodePort: 30999}]}")).value();
  CHECK(np.spec()["ports"][0]["nodePort"].as_int() == 30999);
  CHECK(failure(s.admin->create(service("np2", "{type: NodePort, ports: [{port: 80, nodePort: 30999}]}")))
            .find("already allocated") != std::string::npos);
  REQUIRE(s.admin->remove(kServices, {"shop", "b"}).ok());
  CHECK(s.admin->create(service("c", "{clusterIP: 10.43.0.2, ports: [{port: 80}]}")).ok());
  // An update that leaves the address out keeps it, one that changes it is refused.
  CHECK(s.admin->update(service("a", "{ports: [{port: 81}]}"))->spec()["clusterIP"] ==
        s.admin->get(kServices, {"shop", "a"})->spec()["clusterIP"]);
  CHECK(s.admin->update(service("a", "{clusterIP: 10.43.9.9, ports: [{port: 81}]}")).error().code ==
        ErrorCode::invalid);
}

TEST_CASE("scale is read and written through its sub-resource") {
  TestServer s;
  s.make_namespace("shop");
  s.create(kDeployment);
  const auto scaled = s.admin->patch(kDeployments, {"shop", "web"}, kube::PatchType::merge,
                                     yaml::read("{spec: {replicas: 6}}").value(), {.subresource = "scale"});
  REQUIRE_MESSAGE(scaled.ok(), failure(scaled));
  CHECK(scaled->kind() == "Scale");
  CHECK(scaled->status()["selector"].str() == "app=web");
  CHECK(s.admin->get(kDeployments, {"shop", "web"})->spec()["replicas"].as_int() == 6);
}

TEST_CASE("a transaction stores all or nothing, and later objects see the earlier ones") {
  TestServer s;
  const auto write = [](kube::Write::Verb verb, const Object& o) { return kube::Write{verb, o, {}, {}}; };
  const Object ns = object("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}");
  const auto good =
      s.admin->transact({write(kube::Write::Verb::create, ns), write(kube::Write::Verb::apply, config_map("a", "1"))});
  REQUIRE_MESSAGE(good.ok(), failure(good));
  CHECK((*good)[0].resource_version() == (*good)[1].resource_version());
  const auto bad = s.admin->transact({write(kube::Write::Verb::update, config_map("a", "2")),
                                      write(kube::Write::Verb::create, config_map("Wrong", "2"))});
  CHECK_FALSE(bad.ok());
  CHECK(s.admin->get(kConfigMaps, {"shop", "a"})->get({"data", "k"}).str() == "1");
}

TEST_CASE("a definition is served as soon as it is made, also in its own transaction, and takes its objects with it") {
  TestServer s;
  s.make_namespace("shop");
  const Object crd = object(R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer, default: 3}}}}}})");
  const Object widget =
      object("{apiVersion: example.com/v1, kind: Widget, metadata: {name: w, namespace: shop}, spec: {}}");
  CHECK(s.admin->create(widget).error().code == ErrorCode::not_found);
  const auto made =
      s.admin->transact({{kube::Write::Verb::create, crd, {}, {}}, {kube::Write::Verb::create, widget, {}, {}}});
  REQUIRE_MESSAGE(made.ok(), failure(made));
  CHECK((*made)[1].spec()["size"].as_int() == 3);
  const auto resource = s.admin->resource_for("example.com/v1", "Widget");
  REQUIRE(resource.ok());
  const schema::Resource crds = s.admin->resource_for("apiextensions.k8s.io/v1", "CustomResourceDefinition").value();
  REQUIRE(s.admin->remove(crds, {"", "widgets.example.com"}).ok());
  CHECK(s.admin->get(*resource, {"shop", "w"}).error().code == ErrorCode::not_found);
  CHECK(s.store->get("widgets.example.com", "shop", "w") == nullptr);
}

TEST_CASE("concurrent patches of one object lose no update") {
  TestServer s;
  s.make_namespace("shop");
  REQUIRE(s.admin->create(config_map("a", "1")).ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&s, t] {
      for (int i = 0; i < 5; ++i) {
        const std::string key = "k" + std::to_string(t) + "-" + std::to_string(i);
        const auto done =
            s.admin->patch(kConfigMaps, {"shop", "a"}, kube::PatchType::merge, Value{{"data", Value{{key, "x"}}}});
        if (!done.ok()) std::fprintf(stderr, "%s\n", done.error().message.c_str());
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(s.admin->get(kConfigMaps, {"shop", "a"})->get({"data"}).size() == 41);
}

TEST_CASE("a watch in process begins with what is there, follows selectors, and hands out the store's own objects") {
  TestServer s;
  s.make_namespace("shop");
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> seen;
  Object map = config_map("a", "1");
  map.set_label("app", "web");
  REQUIRE(s.admin->create(map).ok());
  auto watch =
      s.admin->watch(kConfigMaps, {.ns = "shop", .label_selector = "app=web"}, [&](const kube::WatchEvent& event) {
        static const char* const names[] = {"added", "modified", "deleted", "bookmark", "closed"};
        const std::lock_guard lock(mutex);
        seen.push_back(std::string(names[static_cast<int>(event.type)]) + " " + event.object.name());
        changed.notify_all();
      });
  REQUIRE(watch.ok());
  map.edit({"data", "k"}) = "2";
  REQUIRE(s.admin->update(map).ok());
  REQUIRE(s.admin->create(config_map("b", "1")).ok());
  map.set_label("app", "other");
  REQUIRE(s.admin->update(map).ok());
  std::unique_lock lock(mutex);
  changed.wait_for(lock, 10s, [&] { return seen.size() >= 4; });
  CHECK(seen == std::vector<std::string>{"added a", "bookmark ", "modified a", "deleted a"});
}
