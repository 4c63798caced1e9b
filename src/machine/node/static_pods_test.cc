// SPDX-License-Identifier: Apache-2.0
// The last case needs root, runc, conmon and busybox (static).
#include "machine/node/static_pods.h"

#include "machine/node/testing/bench_test.h"

using namespace caisson;
using namespace caisson::node;
using caisson::node::testing::Bench;
using caisson::node::testing::why;

namespace {

const kube::Object& node() {
  static const kube::Object one(Value{{"metadata", Value{{"name", "n1"}, {"uid", "u-n1"}}}});
  return one;
}
std::string manifest(const std::string& spec, const std::string& name = "web") {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec: {" + spec + "}\n";
}
kube::Object mirror(const std::string& spec, const std::string& name = "web") {
  auto pod = mirror_pod(manifest(spec, name), node());
  REQUIRE_MESSAGE(pod.ok(), why(pod));
  return *pod;
}
std::string refusal(const std::string& text) {
  const auto pod = mirror_pod(text, node());
  return pod.ok() ? "" : pod.error().message;
}

}  // namespace

TEST_CASE("a mirror pod is named after its node, belongs to it, and is known by its manifest's hash") {
  const kube::Object pod = mirror("containers: [{name: a, image: x}]");
  CHECK(pod.key().str() == "default/web-n1");
  CHECK(pod.spec()["nodeName"].as_string() == "n1");
  CHECK(pod.annotation(kConfigSource) == "file");
  CHECK_FALSE(pod.annotation(kConfigHash).empty());
  CHECK(pod.owners().at(0).uid == "u-n1");
  CHECK(pod.spec()["tolerations"][0]["effect"].as_string() == "NoExecute");
  CHECK(pod.annotation(kConfigHash) == mirror("containers: [{name: a, image: x}]").annotation(kConfigHash));
  CHECK(pod.annotation(kConfigHash) != mirror("containers: [{name: a, image: y}]").annotation(kConfigHash));
}

TEST_CASE("a manifest that is no static pod is refused by name") {
  CHECK(refusal("kind: Deployment\napiVersion: apps/v1\n") ==
        "a manifest holds one Pod of v1, this one has kind \"Deployment\"");
  CHECK(refusal("apiVersion: v1\nkind: Pod\n") == "metadata.name is missing");
  CHECK(refusal("a: [") != "");
  CHECK(refusal(manifest("") + "---\n" + manifest("", "b")) != "");
  CHECK(refusal(std::string(2u << 20, ' ')) == "the manifest is larger than a mebibyte");
  for (const char* spec :
       {"serviceAccountName: x", "imagePullSecrets: [{name: x}]", "volumes: [{name: v, secret: {secretName: x}}]",
        "volumes: [{name: v, persistentVolumeClaim: {claimName: x}}]",
        "containers: [{name: a, envFrom: [{configMapRef: {name: x}}]}]",
        "initContainers: [{name: a, env: [{name: E, valueFrom: {secretKeyRef: {name: x, key: y}}}]}]"})
    CHECK_MESSAGE(refusal(manifest(spec)).starts_with("a static pod may not refer to API objects: "), spec);
}

TEST_CASE("what the folder holds is created, what it no longer holds goes, and what has changed goes first") {
  const auto a = mirror("containers: [{name: a, image: x}]"), changed = mirror("containers: [{name: a, image: y}]");
  const auto b = mirror("containers: [{name: b, image: x}]", "b");
  CHECK(plan_static_pods({{"a.yaml", a}}, {}).create.size() == 1);
  CHECK(plan_static_pods({{"a.yaml", a}, {"z.yaml", changed}}, {}).create.at(0) == a);  // the first file counts
  const auto same = plan_static_pods({{"a.yaml", a}}, {a});
  CHECK((same.create.empty() && same.remove.empty()));
  const auto edited = plan_static_pods({{"a.yaml", changed}}, {a, b});
  CHECK(edited.remove.size() == 2);
  CHECK(edited.create.empty());
  kube::Object ending = a;
  ending.edit({"metadata"}).set("deletionTimestamp", "2026-01-01T00:00:00Z");
  const auto waits = plan_static_pods({{"a.yaml", changed}}, {ending});
  CHECK((waits.create.empty() && waits.remove.empty()));
}

TEST_CASE("a static pod runs, comes back when it is deleted, and ends with its manifest") {
  Bench bench;
  const std::string file = bench.dir.path() + "/manifests/web.yaml";
  REQUIRE(make_dirs(bench.dir.path() + "/manifests").ok());
  REQUIRE(
      write_file(
          file,
          manifest(
              "terminationGracePeriodSeconds: 0, containers: [{name: a, image: busybox, command: [sleep, \"1000\"]}]"))
          .ok());
  bench.wait_ready("web-n1");
  const std::string uid = bench.pod("web-n1").uid();
  REQUIRE(bench.admin->remove(schema::kPods, {"default", "web-n1"}).ok());
  bench.wait("web-n1", [&](const kube::Object& p) { return !p.uid().empty() && p.uid() != uid; });
  bench.wait_ready("web-n1");
  REQUIRE(remove_file(file).ok());
  bench.wait("web-n1", [](const kube::Object& p) { return p.uid().empty(); });
}

TEST_CASE("a RuntimeClass with a handler that is not here keeps its pod from starting, and says so") {
  Bench bench;
  for (const char* text :
       {"metadata: {name: gvisor}\nhandler: runsc\n",
        "metadata: {name: plain}\nhandler: runc\noverhead: {podFixed: {memory: 16Mi, cpu: 50m}}\n"}) {
    const auto value = yaml::read("apiVersion: node.k8s.io/v1\nkind: RuntimeClass\n" + std::string(text));
    REQUIRE(value.ok());
    const auto made = bench.admin->create(kube::Object(*value), {});
    REQUIRE_MESSAGE(made.ok(), why(made));
  }
  bench.apply(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: sandboxed}
spec:
  runtimeClassName: gvisor
  containers: [{name: main, image: busybox, command: [sleep, "1000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: plain}
spec:
  runtimeClassName: plain
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: busybox, command: [sleep, "1000"], resources: {limits: {memory: 32Mi, cpu: 100m}}}]
)yaml");
  bench.wait_ready("plain");
  CHECK(bench.pod("plain").spec()["overhead"]["memory"].as_string() == "16Mi");
  bench.wait("sandboxed", [](const kube::Object& p) {
    return p.status()["containerStatuses"][0]["state"]["waiting"]["message"].as_string().find(
               "no runtime for handler \"runsc\"") != std::string_view::npos;
  });
}
