// SPDX-License-Identifier: Apache-2.0
// syncOptions that say how objects are written and deleted, of the Application and as annotations of one object.
#include "cluster/kube/reconciler.h"
#include "delivery/gitops/platform_test.h"
#include "delivery/gitops/sync.h"

using namespace caisson;
using namespace caisson::gitops;
using namespace caisson::gitops::testing;

namespace {

constexpr const char* kAutomated = "  syncPolicy: {automated: {prune: true, selfHeal: true}, retry: {limit: 0}}\n";

std::string automated(const std::string& options) {
  return "  syncPolicy: {automated: {prune: true}, retry: {limit: 0}, syncOptions: [" + options + "]}\n";
}

std::string config_map(const std::string& name, const std::string& value, const std::string& options = "",
                       const std::string& more = "") {
  const std::string annotations = options.empty() ? "" : ", annotations: {argocd.argoproj.io/sync-options: \"" + options + "\"}";
  return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + annotations + "}\ndata: {key: \"" + value +
         "\"}\n" + more;
}

struct Options : Platform {
  kube::Object live(const std::string& name) { return must(client->get(schema::kConfigMaps, {"shop", name})); }
  void push_and_announce(const std::string& path, const std::string& text) {
    announce(repository.push({{path, text}}), {path});
  }
  std::string message(const std::string& name) {
    return application(name)["status"]["operationState"]["message"].str();
  }
  bool fails(const std::string& name, const std::string& words) {
    const bool failed = eventually([&] {
      return application(name)["status"]["operationState"]["phase"].as_string() == "Failed" &&
             message(name).find(words) != std::string::npos;
    });
    if (!failed) MESSAGE(json::write(application(name)["status"]["operationState"]));
    return failed;
  }
  bool is_synced(const std::string& name) {
    const bool there = eventually([&] { return is(name, "Synced", ""); });
    if (!there) MESSAGE(json::write(application(name)["status"]));
    return there;
  }
  // A field of somebody else's.
  void add_extra(const std::string& name) {
    must(client->patch(schema::kConfigMaps, {"shop", name}, kube::PatchType::merge,
                       Value{{"data", Value{{"extra", "of somebody"}}}}));
  }
};

}  // namespace

TEST_CASE("Replace=true writes the whole object, of the Application or of one object; otherwise others keep their fields") {
  Options it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/b.yaml", config_map("b", "1", "Replace=true")}});
  it.create_application("shop", "app", kAutomated);
  REQUIRE(it.is_synced("shop"));
  it.add_extra("a");
  it.add_extra("b");
  it.announce(it.repository.push({{"app/a.yaml", config_map("a", "2")}, {"app/b.yaml", config_map("b", "2", "Replace=true")}}),
              {"app/a.yaml"});
  REQUIRE(it.eventually([&] { return it.data("a") == "2" && it.data("b") == "2"; }));
  CHECK(it.live("a")["data"].contains("extra"));
  CHECK_FALSE(it.live("b")["data"].contains("extra"));
}

TEST_CASE("Force=true makes anew what can't be changed; without it the sync fails in the server's words") {
  Options it;
  const std::string fixed = "immutable: true\n";
  it.repository.push({{"app/a.yaml", config_map("a", "1", "Force=true", fixed)}, {"two/b.yaml", config_map("b", "1", "", fixed)}});
  it.create_application("shop", "app", kAutomated);
  it.create_application("two", "two", kAutomated);
  REQUIRE(it.is_synced("shop"));
  REQUIRE(it.is_synced("two"));
  const std::string uid = it.live("a").uid();
  it.announce(it.repository.push({{"app/a.yaml", config_map("a", "2", "Force=true", fixed)},
                                  {"two/b.yaml", config_map("b", "2", "", fixed)}}),
              {"app/a.yaml", "two/b.yaml"});
  REQUIRE(it.eventually([&] { return it.data("a") == "2"; }));
  CHECK(it.live("a").uid() != uid);
  CHECK(it.fails("two", "immutable"));
  CHECK(it.data("b") == "1");
}

TEST_CASE("Force=true and Replace=true together make every changed object anew") {
  Options it;
  it.repository.push({{"app/a.yaml", config_map("a", "1", "Force=true,Replace=true")}, {"app/b.yaml", config_map("b", "1")}});
  it.create_application("shop", "app", kAutomated);
  REQUIRE(it.is_synced("shop"));
  const std::string a = it.live("a").uid(), b = it.live("b").uid();
  it.announce(it.repository.push({{"app/a.yaml", config_map("a", "2", "Force=true,Replace=true")},
                                  {"app/b.yaml", config_map("b", "2")}}),
              {"app/a.yaml"});
  REQUIRE(it.eventually([&] { return it.data("a") == "2" && it.data("b") == "2"; }));
  CHECK(it.live("a").uid() != a);
  CHECK(it.live("b").uid() == b);
}

TEST_CASE("a field that the kind does not have fails the sync before anything is written, unless Validate=false") {
  Options it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/b.yaml", config_map("b", "1", "", "dta: {x: y}\n")},
                      {"free/c.yaml", config_map("c", "1", "Validate=false", "dta: {x: y}\n")},
                      {"loose/d.yaml", config_map("d", "1", "", "dta: {x: y}\n")}});
  it.create_application("shop", "app", kAutomated);
  CHECK(it.fails("shop", "strict decoding error: unknown field \"dta\""));
  CHECK(it.data("a") == "absent");
  it.create_application("free", "free", kAutomated);
  CHECK(it.is_synced("free"));
  it.create_application("loose", "loose", automated("Validate=false"));
  CHECK(it.is_synced("loose"));
  CHECK(it.data("d") == "1");
}

TEST_CASE("a kind that nobody serves stops a sync before it writes; SkipDryRunOnMissingResource=true lets the rest go first") {
  Options it;
  const auto thing = [](const std::string& options) {
    return "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t, annotations: {argocd.argoproj.io/sync-options: \"" +
           options + "\"}}\n";
  };
  it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/t.yaml", thing("")},
                      {"two/b.yaml", config_map("b", "1")}, {"two/t.yaml", thing("SkipDryRunOnMissingResource=true")}});
  it.create_application("shop", "app", kAutomated);
  it.create_application("two", "two", kAutomated);
  CHECK(it.fails("shop", "could not find example.com/v1/Thing"));
  CHECK(it.data("a") == "absent");
  CHECK(it.fails("two", "could not find example.com/v1/Thing"));
  CHECK(it.data("b") == "1");
}

TEST_CASE("PrunePropagationPolicy is the one that deletions have") {
  Options it;
  struct Case {
    const char *name, *policy, *finalizer;
  };
  for (const auto& [name, policy, finalizer] :
       {Case{"fore", "foreground", "foregroundDeletion"}, Case{"orph", "orphan", "orphan"}, Case{"back", "background", ""}}) {
    CAPTURE(name);
    const std::string path = std::string(name) + "/gone.yaml";
    it.repository.push({{path, config_map(name, "1")}, {std::string(name) + "/stays.yaml", config_map(name + std::string("-s"), "1")}});
    it.create_application(name, name, automated(std::string("PrunePropagationPolicy=") + policy));
    REQUIRE(it.is_synced(name));
    it.push_and_announce(path, "");
    // Nobody collects garbage here: an object with a finalizer stays and says how it was deleted.
    CHECK(it.eventually([&] {
      const auto live = it.client->get(schema::kConfigMaps, {"shop", name});
      return *finalizer == 0 ? !live.ok() : live.ok() && live->deleting() && live->has_finalizer(finalizer);
    }));
  }
}

TEST_CASE("FailOnSharedResource=true does not take what another Application has") {
  Options it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"two/a.yaml", config_map("a", "2")}, {"two/b.yaml", config_map("b", "1")}});
  it.create_application("one", "app", kAutomated);
  REQUIRE(it.is_synced("one"));
  it.create_application("two", "two", automated("FailOnSharedResource=true"));
  CHECK(it.fails("two", "Shared resource found: ConfigMap/shop/a is part of one"));
  CHECK(it.data("a") == "1");
  CHECK(it.data("b") == "absent");
}

TEST_CASE("Prune=false keeps an object that git no longer has, and IgnoreExtraneous does not even count it") {
  Options it;
  const std::string extraneous =
      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: {argocd.argoproj.io/compare-options: IgnoreExtraneous}}\n";
  it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/b.yaml", config_map("b", "1", "Prune=false")},
                      {"two/d.yaml", config_map("d", "1")}, {"two/c.yaml", extraneous}});
  it.create_application("shop", "app", kAutomated);
  it.create_application("two", "two", "  syncPolicy: {automated: {prune: false}}\n");
  REQUIRE(it.is_synced("shop"));
  REQUIRE(it.is_synced("two"));
  const std::string commit = it.repository.push(
      {{"app/a.yaml", config_map("a", "2")}, {"app/b.yaml", ""}, {"two/d.yaml", config_map("d", "2")}, {"two/c.yaml", ""}});
  it.announce(commit, {"app/a.yaml", "two/d.yaml"});
  REQUIRE(it.eventually([&] { return it.data("a") == "2" && it.data("d") == "2" && it.is("two", "Synced", commit); }));
  CHECK(it.data("b") == "1");
  CHECK(it.eventually([&] { return it.is("shop", "OutOfSync", commit); }));
  CHECK(it.client->get(schema::kConfigMaps, {"shop", "c"}).ok());
}

TEST_CASE("an Application that goes takes what it made along, but for Delete=false; Delete=confirm waits to be confirmed") {
  Options it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/b.yaml", config_map("b", "1", "Delete=false")},
                      {"app/c.yaml", config_map("c", "1", "Delete=confirm")}});
  it.create_application("shop", "app", kAutomated);
  REQUIRE(it.is_synced("shop"));
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [](kube::Object& one) {
    one.add_finalizer(std::string(kFinalizer) + "/background");
    return true;
  }));
  must(it.client->remove(schema::kApplications, {"argocd", "shop"}));
  REQUIRE(it.eventually([&] {
    for (const Value& one : it.application("shop")["status"]["conditions"].items()) {
      if (one["message"].as_string().find("waiting for deletion confirmation of ConfigMap/shop/c") != std::string_view::npos)
        return true;
    }
    return false;
  }));
  CHECK(it.data("c") == "1");
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [](kube::Object& one) {
    one.set_annotation(kConfirmAnnotation, format_time(system_clock().now()));
    return true;
  }));
  REQUIRE(it.eventually([&] { return it.application("shop").is_null(); }));
  CHECK(it.data("a") == "absent");
  CHECK(it.data("b") == "1");
  CHECK(it.data("c") == "absent");
}

TEST_CASE("CreateNamespace=true makes the namespace, with managedNamespaceMetadata") {
  Options it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")}});
  const std::string text =
      "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: shop, namespace: argocd}\nspec:\n"
      "  project: default\n  source: {repoURL: \"" +
      std::string(kUrl) +
      "\", path: app, targetRevision: main}\n  destination: {server: \"https://kubernetes.default.svc\", namespace: fresh}\n"
      "  syncPolicy:\n    automated: {}\n    syncOptions: [CreateNamespace=true]\n"
      "    managedNamespaceMetadata: {labels: {team: shop}, annotations: {of: tests}}\n";
  must(it.client->create(kube::Object(must(yaml::read(text)))));
  REQUIRE(it.is_synced("shop"));
  const kube::Object made = must(it.client->get(schema::kNamespaces, {"", "fresh"}));
  CHECK(made.metadata()["labels"]["team"].as_string() == "shop");
  CHECK(made.metadata()["annotations"]["of"].as_string() == "tests");
  CHECK(it.client->get(schema::kConfigMaps, {"fresh", "a"}).ok());
}

