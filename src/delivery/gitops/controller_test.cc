// SPDX-License-Identifier: Apache-2.0
// Applications over a real repository and the API server in this process: created, synced, healed, pruned, rolled back,
// broken, deleted.
#include <doctest/doctest.h>

#include "delivery/gitops/platform_test.h"

using namespace caisson;
using namespace caisson::gitops::testing;

namespace {

std::string config_map(const std::string& name, const std::string& value, const std::string& annotations = "") {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n" + annotations + "data: {key: \"" + value +
         "\"}\n";
}

constexpr const char* kAutomated = "  syncPolicy: {automated: {prune: true, selfHeal: true}}\n";

}  // namespace

TEST_CASE("an Application follows its repository: sync, heal, push, prune, roll back, delete") {
  Platform it;
  const std::string first =
      it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/b.yaml", config_map("b", "1")}});
  it.create_application("shop", "app", kAutomated);
  REQUIRE(it.eventually([&] { return it.is("shop", "Synced", first); }));
  CHECK(it.data("a") == "1");
  const Value app = it.application("shop");
  CHECK(app["status"]["health"]["status"].as_string() == "Healthy");
  CHECK(app["status"]["operationState"]["phase"].as_string() == "Succeeded");
  CHECK(app["status"]["history"].size() == 1);
  CHECK(app["status"]["sourceType"].as_string() == "Directory");

  // Drift heals; so does deletion.
  must(it.client->patch(schema::kConfigMaps, {"shop", "a"}, kube::PatchType::merge,
                        Value{{"data", Value{{"key", "edited"}}}}));
  CHECK(it.eventually([&] { return it.data("a") == "1"; }));
  must(it.client->remove(schema::kConfigMaps, {"shop", "b"}));
  CHECK(it.eventually([&] { return it.data("b") == "1"; }));

  // A push changes and prunes, and its trace is carried on.
  const std::string second = it.repository.push({{"app/a.yaml", config_map("a", "2")}, {"app/b.yaml", ""}});
  it.announce(second, {"app/a.yaml", "app/b.yaml"});
  REQUIRE(it.eventually([&] { return it.is("shop", "Synced", second) && it.data("b") == "absent"; }));
  CHECK(it.data("a") == "2");
  const auto a = must(it.client->get(schema::kConfigMaps, {"shop", "a"}));
  CHECK(a.trace().trace_id == it.trace.trace_id);
  CHECK(it.application("shop")["metadata"]["annotations"][kTraceparentAnnotation].as_string() ==
        it.trace.traceparent());
  {
    const std::lock_guard lock(it.spans.mutex);
    for (const char* name : {"render", "diff", "apply", "healthy"}) {
      const bool recorded = std::find(it.spans.names.begin(), it.spans.names.end(), name) != it.spans.names.end();
      CHECK_MESSAGE(recorded, std::string(name));
    }
  }

  // Back to the first revision, by hand.
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [&](kube::Object& object) {
    object.edit({"spec", "syncPolicy"}).erase("automated");
    object.edit({"operation"}) = Value{{"sync", Value{{"revision", first}, {"prune", true}}}};
    return true;
  }));
  REQUIRE(
      it.eventually([&] { return it.data("a") == "1" && it.data("b") == "1" && it.is("shop", "OutOfSync", second); }));
  CHECK(it.application("shop")["status"]["operationState"]["syncResult"]["revision"].as_string() == first);
  const Value history = it.application("shop")["status"]["history"];
  CHECK(history[history.size() - 1]["revision"].as_string() == first);

  // With the finalizer, what it made goes with it (in the background: no garbage collector runs here).
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [](kube::Object& object) {
    object.add_finalizer(std::string(gitops::kFinalizer) + "/background");
    return true;
  }));
  must(it.client->remove(schema::kApplications, {"argocd", "shop"}));
  CHECK(it.eventually(
      [&] { return it.application("shop").is_null() && it.data("a") == "absent" && it.data("b") == "absent"; }));
}

TEST_CASE("a broken source is a condition that names the file, and other Applications go on") {
  Platform it;
  const std::string first =
      it.repository.push({{"good/a.yaml", config_map("a", "1")}, {"bad/b.yaml", config_map("b", "1")}});
  it.create_application("good", "good", kAutomated);
  it.create_application("bad", "bad", kAutomated);
  REQUIRE(it.eventually([&] { return it.is("good", "Synced", first) && it.is("bad", "Synced", first); }));
  const std::string second =
      it.repository.push({{"bad/b.yaml", "apiVersion: v1\nkind: [\n"}, {"good/a.yaml", config_map("a", "2")}});
  it.announce(second, {"bad/b.yaml", "good/a.yaml"});
  REQUIRE(it.eventually([&] {
    return it.data("a") == "2" &&
           it.application("bad")["status"]["conditions"][0]["type"].as_string() == "ComparisonError";
  }));
  CHECK(it.application("bad")["status"]["conditions"][0]["message"].as_string().find("b.yaml") !=
        std::string_view::npos);
  CHECK(it.data("b") == "1");
  const std::string third = it.repository.push({{"bad/b.yaml", config_map("b", "3")}});
  it.announce(third, {"bad/b.yaml"});
  CHECK(it.eventually([&] { return it.data("b") == "3" && it.application("bad")["status"]["conditions"].empty(); }));
}

TEST_CASE("App of Apps: waves wait for the health of what stands before them") {
  Platform it;
  const auto child = [](const std::string& name, const std::string& wave) {
    return "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: " + name +
           "\n  namespace: argocd\n  annotations: {argocd.argoproj.io/sync-wave: \"" + wave +
           "\"}\nspec:\n  project: default\n  source: {repoURL: \"" + std::string(kUrl) + "\", path: " + name +
           "}\n  destination: {server: \"https://kubernetes.default.svc\", namespace: shop}\n" + kAutomated;
  };
  const std::string commit = it.repository.push({{"apps/one.yaml", child("one", "0")},
                                                 {"apps/two.yaml", child("two", "1")},
                                                 {"one/a.yaml", config_map("a", "1")},
                                                 {"two/b.yaml", config_map("b", "1")}});
  it.create_application("root", "apps", kAutomated);
  REQUIRE(it.eventually(
      [&] { return it.is("root", "Synced", commit) && it.is("two", "Synced", commit) && it.data("b") == "1"; }));
  const Value one = it.application("one"), two = it.application("two");
  CHECK(one["status"]["operationState"]["finishedAt"].as_string() <= two["metadata"]["creationTimestamp"].as_string());
  CHECK(it.eventually([&] { return it.application("root")["status"]["health"]["status"].as_string() == "Healthy"; }));
}

TEST_CASE("an object that the server refuses fails the sync by name") {
  Platform it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/b.yaml", config_map("Not_A_Name", "1")}});
  it.create_application("shop", "app", "  syncPolicy: {automated: {}, retry: {limit: 0}}\n");
  REQUIRE(it.eventually(
      [&] { return it.application("shop")["status"]["operationState"]["phase"].as_string() == "Failed"; }));
  CHECK(it.application("shop")["status"]["operationState"]["message"].as_string().find("Not_A_Name") !=
        std::string_view::npos);
  CHECK(it.data("a") == "1");
}
