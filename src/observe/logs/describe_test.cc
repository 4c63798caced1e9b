// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "cluster/schema/resource.h"
#include "core/document/yaml.h"
#include "observe/logs/server.h"

namespace caisson::logs {
namespace {

// Every object of one text, by kind.
metrics::ObjectLister lister(const char* text) {
  const auto documents = yaml::read(text, {.name = "objects"}).value();
  return [documents](const kube::Resource& kind) {
    std::vector<kube::Object> out;
    for (const Value& one : documents.items())
      if (one["kind"].as_string() == kind.kind) out.emplace_back(one);
    return out;
  };
}

constexpr const char* kObjects = R"(
- kind: Pod
  metadata: {name: web-1-x, namespace: shop, labels: {app: web}, ownerReferences: [{kind: ReplicaSet, name: web-1, controller: true}]}
- kind: Pod
  metadata: {name: plain, namespace: shop, ownerReferences: [{kind: ReplicaSet, name: web-1, controller: true}]}
- kind: Pod
  metadata: {name: alone, namespace: shop}
- kind: ReplicaSet
  metadata: {name: web-1, namespace: shop, ownerReferences: [{kind: Deployment, name: web, controller: true}]}
- kind: Deployment
  metadata:
    name: web
    namespace: shop
    annotations: {argocd.argoproj.io/tracking-id: 'shop-dev:apps/Deployment:shop/web', caisson.dev/traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01}
- kind: Application
  metadata: {name: shop-dev, namespace: argocd}
  status: {sync: {revision: c0ffee}}
)";

}  // namespace

TEST_CASE("a container is described by its pod, its workload and the Application that applied it") {
  const auto list = lister(kObjects);
  const auto describe = [&](const char* pod) { return describe_container(list, {"shop", pod, "uid", "main"}, "n1"); };
  const Labels metadata = Labels::from(
      {{"application", "shop-dev"}, {"commit", "c0ffee"}, {"trace_id", "0af7651916cd43dd8448eb211c80319c"}});
  CHECK(
      describe("web-1-x").labels ==
      Labels::from({{"namespace", "shop"}, {"pod", "web-1-x"}, {"container", "main"}, {"app", "web"}, {"node", "n1"}}));
  CHECK(describe("web-1-x").metadata == metadata);
  CHECK(describe("plain").labels.get("app") == "web");  // its workload's name
  CHECK(describe("alone").labels.get("app") == "alone");
  CHECK(describe("alone").metadata.empty());
  CHECK(describe("gone").labels.get("app") == "gone");
}

TEST_CASE("a source is a container's file or none") {
  const auto source = ContainerSource::parse("shop_web-1_0b7e/main/3.log");
  REQUIRE(source);
  CHECK(source->ns == "shop");
  CHECK(source->pod == "web-1");
  CHECK(source->uid == "0b7e");
  CHECK(source->container == "main");
  for (const char* none : {"platform/caisson.log", "", "a_b/c/0.log", "a_b_c/0.log"})
    CHECK_FALSE(ContainerSource::parse(none));
}

}  // namespace caisson::logs
