// SPDX-License-Identifier: Apache-2.0
// Admission plug-ins through the server, in process: what they fill in and what they refuse. The recorded conversations
// (tests/conformance/kubeapi_test.cc) hold the messages to the reference's.
#include "cluster/apiserver/testing_test.h"

using namespace caisson;
using namespace caisson::apiserver;

namespace {

std::string pod(const std::string& name, const std::string& spec) {
  return "{apiVersion: v1, kind: Pod, metadata: {name: " + name + ", namespace: a}, spec: {" + spec + "}}";
}
const std::string kPlain = "containers: [{name: c, image: i}]";

// The message of a refused creation; empty when it was not refused.
std::string refused(TestServer& server, const std::string& yaml) {
  return failure(server.admin->create(object(yaml)));
}

}  // namespace

TEST_CASE("a LimitRange gives what a container does not state and refuses what is out of bounds") {
  TestServer server;
  server.make_namespace("a");
  server.create(
      "{apiVersion: v1, kind: LimitRange, metadata: {name: l, namespace: a}, spec: {limits: [{type: Container, "
      "default: {cpu: 500m}, defaultRequest: {cpu: 100m}, max: {cpu: '1'}}]}}");
  const kube::Object made = server.create(pod("p", kPlain));
  CHECK(made.spec()["containers"][0]["resources"]["limits"]["cpu"].as_string() == "500m");
  CHECK(made.spec()["containers"][0]["resources"]["requests"]["cpu"].as_string() == "100m");
  CHECK(made.metadata()["annotations"]["kubernetes.io/limit-ranger"].as_string() ==
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c");
  CHECK(refused(server, pod("q", "containers: [{name: c, image: i, resources: {limits: {cpu: '2'}}}]")) ==
        "pods \"q\" is forbidden: maximum cpu usage per Container is 1, but limit is 2");
}

TEST_CASE("a quota counts what is admitted and refuses what is too much") {
  TestServer server;
  server.make_namespace("a");
  server.create(
      "{apiVersion: v1, kind: ResourceQuota, metadata: {name: q, namespace: a}, spec: {hard: {configmaps: '1'}}}");
  const std::string map = "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: ";
  CHECK(refused(server, map + "x}}") ==
        "configmaps \"x\" is forbidden: status unknown for quota: q, resources: configmaps");
  const schema::Resource quotas{"", "v1", "ResourceQuota", "resourcequotas"};
  kube::Object quota = server.admin->get(quotas, {"a", "q"}).value();
  quota.edit({"status"}) = yaml::read("{hard: {configmaps: '1'}, used: {configmaps: '0'}}").value();
  REQUIRE(server.admin->update_status(quota).ok());

  kube::WriteOptions dry;
  dry.dry_run = true;
  CHECK(server.admin->create(object(map + "dry}}"), dry).ok());
  CHECK(refused(server, map + "x}}").empty());
  CHECK(server.admin->get(quotas, {"a", "q"}).value()["status"]["used"]["configmaps"].as_string() == "1");
  CHECK(refused(server, map + "y}}") ==
        "configmaps \"y\" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: "
        "configmaps=1");
}

TEST_CASE("the namespace's level of Pod security is enforced for Pods, whichever way they come") {
  TestServer server;
  server.make_namespace("a");
  kube::Object ns = server.admin->get(schema::kNamespaces, {"", "a"}).value();
  ns.edit({"metadata", "labels"}).set("pod-security.kubernetes.io/enforce", "baseline");
  REQUIRE(server.admin->update(ns).ok());
  CHECK(refused(server, pod("p", "hostNetwork: true, " + kPlain)) ==
        "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)");
  CHECK(refused(server, pod("p", kPlain)).empty());
  ns = server.admin->get(schema::kNamespaces, {"", "a"}).value();
  ns.edit({"metadata", "labels"}).set("pod-security.kubernetes.io/enforce", "odd");
  CHECK(failure(server.admin->update(ns)).find("must be one of privileged, baseline, restricted") != std::string::npos);
}

TEST_CASE("priorities come from classes, of which one is the default") {
  TestServer server;
  server.make_namespace("a");
  const auto priority_class = [](const std::string& name, const std::string& rest) {
    return "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: " + name + "}, " + rest + "}";
  };
  CHECK(server.create(pod("none", kPlain)).spec()["priority"].as_int(-1) == 0);
  server.create(priority_class("usual", "value: 7, globalDefault: true"));
  const kube::Object made = server.create(pod("p", kPlain));
  CHECK(made.spec()["priority"].as_int() == 7);
  CHECK(made.spec()["priorityClassName"].as_string() == "usual");
  CHECK(refused(server, priority_class("other", "value: 8, globalDefault: true")).find("Only one default can exist") !=
        std::string::npos);
  CHECK(refused(server, pod("q", "priority: 5, " + kPlain)).find("must not be provided in pod spec") !=
        std::string::npos);
}

TEST_CASE("a claim and an Ingress that name no class get the default one, the newest of several") {
  TestServer server;
  server.make_namespace("a");
  const auto storage_class = [](const std::string& name) {
    return "{apiVersion: storage.k8s.io/v1, kind: StorageClass, provisioner: p, metadata: {name: " + name +
           ", annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}}";
  };
  server.create(storage_class("old"));
  server.clock.advance(std::chrono::seconds(2));
  server.create(storage_class("new"));
  const std::string rest = "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}";
  const std::string claim = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {namespace: a, name: ";
  CHECK(server.create(claim + "c}, " + rest + "}}").spec()["storageClassName"].as_string() == "new");
  CHECK(server.create(claim + "d}, " + rest + ", storageClassName: ''}}")
            .spec()["storageClassName"]
            .as_string("?")
            .empty());
}

TEST_CASE("a RuntimeClass adds its overhead and its scheduling, and nobody else does") {
  TestServer server;
  server.make_namespace("a");
  server.create(
      "{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: vm}, handler: kata, overhead: {podFixed: "
      "{memory: 64Mi}}, scheduling: {nodeSelector: {vm: 'yes'}}}");
  const kube::Object made = server.create(pod("p", "runtimeClassName: vm, " + kPlain));
  CHECK(made.spec()["overhead"]["memory"].as_string() == "64Mi");
  CHECK(made.spec()["nodeSelector"]["vm"].as_string() == "yes");
  CHECK(refused(server, pod("q", "runtimeClassName: none, " + kPlain)) ==
        "pods \"q\" is forbidden: pod rejected: RuntimeClass \"none\" not found");
  CHECK(refused(server, pod("r", "overhead: {cpu: '1'}, " + kPlain)).find("Pod Overhead set without") !=
        std::string::npos);
}

TEST_CASE("a new Node takes no Pods before it is ready") {
  TestServer server;
  const kube::Object node = server.create("{apiVersion: v1, kind: Node, metadata: {name: n}}");
  REQUIRE(node.spec()["taints"].size() == 1);
  CHECK(node.spec()["taints"][0]["key"].as_string() == "node.kubernetes.io/not-ready");
}
