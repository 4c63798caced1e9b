// SPDX-License-Identifier: Apache-2.0
// Hooks and crashes: what was made before one is known for what it is, and commits that do not concern an Application
// cost no rendering.
#include <doctest/doctest.h>

#include "delivery/gitops/platform_test.h"
#include "delivery/gitops/sync.h"

using namespace caisson;
using namespace caisson::gitops;
using namespace caisson::gitops::testing;

namespace {

constexpr const char* kHook =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hook, annotations: {argocd.argoproj.io/hook: PreSync}}\n"
    "data: {key: \"1\"}\n";
constexpr const char* kPlain = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {key: \"1\"}\n";

std::string uid_of(Platform& it, const std::string& name) {
  const auto got = it.client->get(schema::kConfigMaps, {"shop", name});
  return got.ok() ? got->uid() : "";
}

bool succeeded(Platform& it) {
  const Value app = it.application("shop");
  return app["operation"].is_null() && app["status"]["operationState"]["phase"].as_string() == "Succeeded";
}

}  // namespace

TEST_CASE("a hook that an interrupted operation made is not made again; the next operation's is") {
  Platform it;
  it.repository.push({{"app/hook.yaml", kHook}, {"app/a.yaml", kPlain}});
  kube::Object made(must(yaml::read(kHook)));
  made.edit({"metadata"}).set("namespace", "shop");
  made.set_annotation(kHookOperationAnnotation, "abc-0");
  must(it.client->create(made));
  const std::string before = uid_of(it, "hook");
  // As it was recorded before the process was killed: begun, with no results yet.
  it.create_application("shop", "app",
                        "status:\n  operationState:\n    phase: Running\n    startedAt: \"2026-01-01T00:00:00Z\"\n"
                        "    operation: {sync: {}, info: [{name: caisson.dev/operation, value: abc}]}\n"
                        "    syncResult: {revision: \"\", resources: []}\n");
  REQUIRE(it.eventually([&] { return succeeded(it) && it.data("a") == "1"; }));
  CHECK(uid_of(it, "hook") == before);
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [](kube::Object& one) {
    one.edit().set("operation", Value{{"sync", Value::map()}});
    return true;
  }));
  REQUIRE(it.eventually([&] { return succeeded(it) && uid_of(it, "hook") != before && !uid_of(it, "hook").empty(); }));
}

TEST_CASE("a commit that touches nothing of an Application renders nothing, and is still its revision") {
  Platform it;
  const std::string first = it.repository.push({{"app/a.yaml", kPlain}, {"other/b.yaml", kPlain}});
  Renderer renderer(it.repositories, std::chrono::seconds(10));
  Source source;
  source.repo_url = std::string(kUrl);
  source.path = "app";
  const RenderedPtr known = must(renderer.render(source, first));
  const std::string second = it.repository.push({{"other/b.yaml", ""}});
  const RenderedPtr same = renderer.carried_over(source, *known, second);
  REQUIRE(same);
  CHECK(same->commit == second);
  CHECK(same->objects == known->objects);
  const std::string third = it.repository.push({{"app/c.yaml", kHook}});
  CHECK_FALSE(renderer.carried_over(source, *known, third));
  CHECK_FALSE(renderer.carried_over(source, *known, std::string(40, '1')));
}
