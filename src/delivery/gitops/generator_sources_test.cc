// SPDX-License-Identifier: Apache-2.0
// What generators read of the cluster and of plug-ins: a real API server, a plug-in on loopback.
#include "delivery/gitops/generator_sources.h"

#include "delivery/gitops/fake_host_test.h"
#include "delivery/gitops/platform_test.h"

namespace caisson::gitops {
namespace {

using namespace testing;

struct Sources {
  Platform it;
  FakeClock clock;
  GeneratorSources sources{*it.client, clock, it.repositories};
  kube::Object set{must(yaml::read(
      "{apiVersion: argoproj.io/v1alpha1, kind: ApplicationSet, metadata: {name: team, namespace: argocd}}"))};
  GeneratorWorld world = sources.world_of(set);

  void create(const std::string& text) { must(it.client->create(kube::Object(must(yaml::read(text))))); }
  Result<std::vector<Value>> plugin(const std::string& text) { return world.plugin(must(yaml::read(text))); }
};

TEST_CASE("a plug-in is asked with its token, and again when its time is over") {
  Sources f;
  FakeHost host;
  host.header = "Authorization";
  host.wanted = "Bearer hush";
  host.answers = {{"/api/v1/getparams.execute", R"({"output": {"parameters": [{"key": "a"}]}})"}};
  const std::string config = "{configMapRef: {name: plugin}, requeueAfterSeconds: 60}";
  CHECK(f.plugin(config).error().code == ErrorCode::not_found);
  f.create(
      "{apiVersion: v1, kind: ConfigMap, metadata: {name: plugin, namespace: argocd}, data: {token: '$kept:token', "
      "baseUrl: '" +
      host.url() + "'}}");
  f.create("{apiVersion: v1, kind: Secret, metadata: {name: kept, namespace: argocd}, stringData: {token: hush}}");
  CHECK(f.plugin(config).error().message.find("part-of") != std::string::npos);
  must(f.it.client->patch(schema::kSecrets, {"argocd", "kept"}, kube::PatchType::merge,
                          must(yaml::read("{metadata: {labels: {app.kubernetes.io/part-of: argocd}}}"))));
  REQUIRE(f.plugin(config).ok());
  CHECK(must(f.plugin(config))[0]["key"].as_string() == "a");
  CHECK(host.asked.size() == 1);
  host.answers = {{"/api/v1/getparams.execute", R"({"output": {}})"}};
  f.clock.advance(std::chrono::seconds(61));
  CHECK(f.plugin(config).error().message.find("output.parameters") != std::string::npos);
}

TEST_CASE("decisions are read from the status of whatever the ConfigMap names") {
  Sources f;
  f.create(
      "{apiVersion: v1, kind: ConfigMap, metadata: {name: decisions, namespace: argocd}, data: {apiVersion: apps/v1, "
      "kind: deployments, statusListKey: conditions, matchKey: type}}");
  const auto ask = [&](const std::string& text) { return f.world.decisions(must(yaml::read(text))); };
  CHECK(ask("{configMapRef: decisions, name: none}").error().code == ErrorCode::not_found);
  CHECK(ask("{configMapRef: decisions}").error().code == ErrorCode::invalid);
  f.create(
      "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: argocd, labels: {a: b}}, spec: "
      "{selector: "
      "{matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}");
  auto live = must(f.it.client->get({"apps", "v1", "Deployment", "deployments"}, {"argocd", "d"}));
  live.edit().set("status", must(yaml::read("{conditions: [{type: dev, status: 'True', reason: near}]}")));
  must(f.it.client->update_status(live));
  for (const char* text :
       {"{configMapRef: decisions, name: d}", "{configMapRef: decisions, labelSelector: {matchLabels: {a: b}}}"}) {
    const auto found = must(ask(text));
    REQUIRE(found.size() == 1);
    CHECK(found[0]["cluster"].as_string() == "dev");
    CHECK(found[0]["decision"]["reason"].as_string() == "near");
  }
}

}  // namespace
}  // namespace caisson::gitops
