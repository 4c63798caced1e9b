// SPDX-License-Identifier: Apache-2.0
// The whole reconciler with options: dry runs, chosen resources, approvals, deletion hooks, argocd-cm, ApplicationSets.
#include <doctest/doctest.h>

#include "delivery/gitops/application_set.h"
#include "delivery/gitops/platform_test.h"
#include "delivery/gitops/sync.h"

using namespace caisson;
using namespace caisson::gitops;
using namespace caisson::gitops::testing;

namespace {

constexpr const char* kAutomated = "  syncPolicy: {automated: {prune: true, selfHeal: true}}\n";

std::string config_map(const std::string& name, const std::string& value, const std::string& annotations = "") {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", annotations: {" + annotations +
         "}}\ndata: {key: \"" + value + "\"}\n";
}

void begin(Platform& it, const std::string& name, const std::string& sync) {
  must(kube::modify(*it.client, schema::kApplications, {"argocd", name}, [&](kube::Object& one) {
    one.edit().set("operation", Value{{"sync", must(yaml::read(sync))}});
    return true;
  }));
}

void annotate(Platform& it, const std::string& name, std::string_view key, std::string_view value) {
  must(kube::modify(*it.client, schema::kApplications, {"argocd", name}, [&](kube::Object& one) {
    one.set_annotation(key, value);
    return true;
  }));
}

bool finished(Platform& it, const std::string& name) {
  const Value app = it.application(name);
  const std::string_view phase = app["status"]["operationState"]["phase"].as_string();
  return app["operation"].is_null() && !phase.empty() && phase != "Running" && phase != "Terminating";
}

std::set<std::string> touched(const Value& app) {
  std::set<std::string> out;
  for (const Value& one : app["status"]["operationState"]["syncResult"]["resources"].items())
    out.insert(one["name"].str() + " " + one["status"].str());
  return out;
}

}  // namespace

TEST_CASE("a dry run writes nothing and predicts what the sync then does") {
  Platform it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/b.yaml", config_map("b", "1")}});
  it.create_application("shop", "app", "");
  REQUIRE(it.eventually([&] { return it.is("shop", "OutOfSync", ""); }));
  begin(it, "shop", "{dryRun: true, prune: true}");
  REQUIRE(it.eventually([&] { return finished(it, "shop"); }));
  CHECK(it.data("a") == "absent");
  const auto predicted = touched(it.application("shop"));
  CHECK(predicted.size() == 2);
  CHECK(it.application("shop")["status"]["history"].empty());
  begin(it, "shop", "{prune: true}");
  REQUIRE(it.eventually([&] { return it.is("shop", "Synced", ""); }));
  CHECK(touched(it.application("shop")) == predicted);
}

TEST_CASE("a sync of chosen resources leaves the others alone") {
  Platform it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/b.yaml", config_map("b", "1")}});
  it.create_application("shop", "app", "");
  REQUIRE(it.eventually([&] { return it.is("shop", "OutOfSync", ""); }));
  begin(it, "shop", "{resources: [{kind: ConfigMap, name: b}]}");
  REQUIRE(it.eventually([&] { return finished(it, "shop") && it.data("b") == "1"; }));
  CHECK(it.data("a") == "absent");
}

TEST_CASE("a large deletion waits for its plan to be approved") {
  Platform it;
  std::map<std::string, std::string> files, none;
  for (int i = 0; i < 21; ++i) {
    const std::string name = "c" + std::to_string(i);
    files["app/" + name + ".yaml"] = config_map(name, "1");
    none["app/" + name + ".yaml"] = "";
  }
  files["app/keep.yaml"] = config_map("keep", "1");
  it.repository.push(files);
  it.create_application("shop", "app", kAutomated);
  REQUIRE(it.eventually([&] { return it.is("shop", "Synced", ""); }));
  const std::string commit = it.repository.push(none);
  it.announce(commit, {"app/c0.yaml"});
  std::string message;
  REQUIRE(it.eventually([&] {
    message = it.application("shop")["status"]["operationState"]["message"].str();
    return message.starts_with("safety catch");
  }));
  CHECK(it.data("c0") == "1");
  annotate(it, "shop", kApprovedAnnotation, message.substr(message.rfind(' ') + 1));
  CHECK(it.eventually([&] { return it.data("c0") == "absent" && it.data("keep") == "1"; }));
}

TEST_CASE("Prune=confirm waits for a confirmation that is newer than the operation") {
  Platform it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")},
                      {"app/b.yaml", config_map("b", "1", "argocd.argoproj.io/sync-options: Prune=confirm")}});
  it.create_application("shop", "app", kAutomated);
  REQUIRE(it.eventually([&] { return it.is("shop", "Synced", ""); }));
  it.announce(it.repository.push({{"app/b.yaml", ""}}), {"app/b.yaml"});
  REQUIRE(it.eventually([&] {
    return it.application("shop")["status"]["operationState"]["message"].str().find(
               "pruning confirmation of ConfigMap/shop/b") != std::string::npos;
  }));
  CHECK(it.data("b") == "1");
  annotate(it, "shop", kConfirmAnnotation, format_time(system_clock().now() + std::chrono::seconds(1)));
  CHECK(it.eventually([&] { return it.data("b") == "absent"; }));
}

TEST_CASE("an operation that somebody terminates fails as terminated") {
  Platform it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")},
                      {"app/job.yaml",
                       "apiVersion: batch/v1\nkind: Job\nmetadata: {name: before, annotations: "
                       "{argocd.argoproj.io/hook: PreSync}}\nspec: {template: {spec: {restartPolicy: Never, "
                       "containers: [{name: c, image: x}]}}}\n"}});
  it.create_application("shop", "app", "");
  REQUIRE(it.eventually([&] { return it.is("shop", "OutOfSync", ""); }));
  begin(it, "shop", "{}");
  REQUIRE(it.eventually([&] {
    return it.application("shop")["status"]["operationState"]["message"].str().find("completion of hook") !=
           std::string::npos;
  }));
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [](kube::Object& one) {
    one.edit({"status", "operationState"}).set("phase", "Terminating");
    return true;
  }));
  REQUIRE(it.eventually([&] { return finished(it, "shop"); }));
  CHECK(it.application("shop")["status"]["operationState"]["message"].as_string() == "Operation terminated");
  CHECK(it.data("a") == "absent");
  const auto job = it.client->get(schema::kJobs, {"shop", "before"});
  CHECK((!job.ok() || job->deleting()));
}

TEST_CASE("PostDelete hooks run when all else is gone") {
  Platform it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")},
                      {"app/z.yaml", config_map("farewell", "1", "argocd.argoproj.io/hook: PostDelete")}});
  it.create_application("shop", "app", kAutomated);
  REQUIRE(it.eventually([&] {
    return it.is("shop", "Synced", "") &&
           kube::Object(it.application("shop")).has_finalizer("post-delete-finalizer.argocd.argoproj.io");
  }));
  CHECK(it.data("farewell") == "absent");
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [](kube::Object& one) {
    one.add_finalizer(std::string(kFinalizer) + "/background");  // no garbage collector runs here
    return true;
  }));
  must(it.client->remove(schema::kApplications, {"argocd", "shop"}));
  CHECK(it.eventually([&] { return it.application("shop").is_null() && it.data("farewell") == "1"; }));
  CHECK(it.data("a") == "absent");
}

TEST_CASE("argocd-cm's health and exclusions count as soon as it is written") {
  Platform it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")}});
  it.create_application("shop", "app", kAutomated);
  REQUIRE(it.eventually([&] { return it.is("shop", "Synced", ""); }));
  kube::Object map = kube::Object::make(schema::kConfigMaps, "argocd", "argocd-cm");
  map.edit().set("data", Value{{"resource.customizations.health.ConfigMap",
                                "return {status = 'Degraded', message = 'key is ' .. obj.data.key}"}});
  must(it.client->create(map));
  CHECK(it.eventually([&] { return it.application("shop")["status"]["health"]["status"].as_string() == "Degraded"; }));
  CHECK(it.application("shop")["status"]["resources"][0]["health"]["message"].as_string() == "key is 1");
}

TEST_CASE("a source that changes at the same commit is synced by itself, without self-heal too") {
  Platform it;
  it.repository.push({{"app/kustomization.yaml", "resources: [a.yaml]\n"}, {"app/a.yaml", config_map("a", "1")}});
  it.create_application("shop", "app", "  syncPolicy: {automated: {}}\n");
  REQUIRE(it.eventually([&] { return it.data("a") == "1" && it.is("shop", "Synced", ""); }));
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [](kube::Object& one) {
    one.edit({"spec", "source"}).set("kustomize", Value{{"namePrefix", "new-"}});
    return true;
  }));
  CHECK(it.eventually([&] { return it.data("new-a") == "1"; }));
  // Live drift stays what it is: nobody asked for self-heal.
  must(kube::modify(*it.client, schema::kConfigMaps, {"shop", "new-a"}, [](kube::Object& one) {
    one.edit({"data"}).set("key", "edited");
    return true;
  }));
  CHECK(it.eventually([&] { return it.is("shop", "OutOfSync", ""); }));
  CHECK(it.data("new-a") == "edited");
}

TEST_CASE("a push that nobody told of is found by polling") {
  Platform it;
  must(
      it.client->create(kube::Object(must(yaml::read("{apiVersion: v1, kind: ConfigMap, metadata: {name: argocd-cm, "
                                                     "namespace: argocd}, data: {timeout.reconciliation: "
                                                     "100ms}}")))));
  it.repository.push({{"app/a.yaml", config_map("a", "1")}});
  it.create_application("shop", "app", kAutomated);
  REQUIRE(it.eventually([&] { return it.data("a") == "1" && it.is("shop", "Synced", ""); }));
  it.repository.push({{"app/a.yaml", config_map("a", "2")}});
  CHECK(it.eventually([&] { return it.data("a") == "2"; }));
}

TEST_CASE("an ApplicationSet makes an Application for each directory and takes it away with it") {
  Platform it;
  it.repository.push({{"apps/one/a.yaml", config_map("one", "1")}, {"apps/two/a.yaml", config_map("two", "1")}});
  must(it.client->create(kube::Object(must(yaml::read(R"(
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: team, namespace: argocd}
spec:
  goTemplate: true
  generators:
  - git: {repoURL: "http://localhost:8080/shop/deploy.git", revision: main, directories: [{path: "apps/*"}]}
  template:
    metadata: {name: "{{ .path.basename }}", finalizers: [resources-finalizer.argocd.argoproj.io/background]}
    spec:
      project: default
      source: {repoURL: "http://localhost:8080/shop/deploy.git", path: "{{ .path.path }}", targetRevision: main}
      destination: {server: "https://kubernetes.default.svc", namespace: shop}
      syncPolicy: {automated: {prune: true}}
)")))));
  REQUIRE(it.eventually([&] { return it.data("one") == "1" && it.data("two") == "1"; }));
  const std::string commit = it.repository.push({{"apps/two/a.yaml", ""}});
  it.announce(commit, {"apps/two/a.yaml"});
  CHECK(it.eventually([&] { return it.application("two").is_null() && it.data("two") == "absent"; }));
  CHECK(it.data("one") == "1");
}

TEST_CASE("a dry run of an ApplicationSet says what it would do, and does it when the annotation goes") {
  Platform it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")}});
  const std::string text = R"(
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: team, namespace: argocd, annotations: {caisson.dev/dry-run: "true"}}
spec:
  generators: [{list: {elements: [{name: one}, {name: two}]}}]
  template:
    metadata: {name: "{{name}}"}
    spec:
      project: default
      source: {repoURL: "http://localhost:8080/shop/deploy.git", path: app, targetRevision: main}
      destination: {server: "https://kubernetes.default.svc", namespace: shop}
)";
  must(it.client->create(kube::Object(must(yaml::read(text)))));
  const kube::Resource sets{"argoproj.io", "v1alpha1", "ApplicationSet", "applicationsets"};
  it.runtime.informer(sets).on_change([&](const kube::Object*, const kube::Object*) {
    const std::lock_guard lock(it.mutex);
    ++it.changes;
    it.changed.notify_all();
  });
  const auto says = [&](const std::string& message) {
    return it.eventually([&] {
      const kube::Object set = must(it.client->get(sets, {"argocd", "team"}));
      return json::write(set.status()["conditions"]).find(message) != std::string::npos;
    });
  };
  CHECK(says("dry run: would create Applications one, two"));
  CHECK(it.application("one").is_null());
  const auto edit = [&](const std::function<void(kube::Object&)>& change) {
    must(kube::modify(*it.client, sets, {"argocd", "team"}, [&](kube::Object& one) {
      change(one);
      return true;
    }));
  };
  edit([](kube::Object& one) { one.set_annotation(kDryRunAnnotation, ""); });
  CHECK(it.eventually([&] { return !it.application("one").is_null() && !it.application("two").is_null(); }));
  edit([](kube::Object& one) {
    one.set_annotation(kDryRunAnnotation, "true");
    one.edit().set("spec", [&] {
      Value spec = one.spec();
      spec.set("generators", *yaml::read("[{list: {elements: [{name: two}, {name: three}]}}]"));
      return spec;
    }());
  });
  CHECK(says("dry run: would create Applications three; would delete Applications one"));
  CHECK_FALSE(it.application("one").is_null());
  CHECK(it.application("three").is_null());
}

TEST_CASE("a sync goes on where it was when the process ends in the middle of a hook") {
  const TempDir directory = must(TempDir::make("gitops-restart"));
  const std::string job =
      "apiVersion: batch/v1\nkind: Job\nmetadata: {name: before, annotations: {argocd.argoproj.io/hook: PreSync, "
      "argocd.argoproj.io/hook-delete-policy: BeforeHookCreation}}\nspec: {template: {spec: {restartPolicy: Never, "
      "containers: [{name: c, image: x}]}}}\n";
  std::string uid, started;
  {
    Platform it(directory.path());
    it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/job.yaml", job}});
    it.create_application("shop", "app", kAutomated);
    REQUIRE(it.eventually([&] {
      return it.application("shop")["status"]["operationState"]["message"].str().find("completion of hook") !=
             std::string::npos;
    }));
    uid = must(it.client->get(schema::kJobs, {"shop", "before"})).uid();
    started = it.application("shop")["status"]["operationState"]["startedAt"].str();
  }
  Platform it(directory.path());
  must(kube::modify(*it.client, schema::kJobs, {"shop", "before"},
                    [&](kube::Object& one) {
                      CHECK(one.uid() == uid);  // it did not run twice
                      Value conditions = Value::list();
                      conditions.push_back(Value{{"type", "Complete"}, {"status", "True"}});
                      one.edit().set("status", Value{{"conditions", std::move(conditions)}});
                      return true;
                    },
                    {.subresource = "status"}));
  REQUIRE(it.eventually([&] { return it.is("shop", "Synced", "") && it.data("a") == "1"; }));
  CHECK(it.application("shop")["status"]["operationState"]["startedAt"].as_string() == started);
  CHECK(must(it.client->get(schema::kJobs, {"shop", "before"})).uid() == uid);
}
