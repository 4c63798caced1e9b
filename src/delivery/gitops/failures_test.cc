// SPDX-License-Identifier: Apache-2.0
// What goes wrong outside: each is a condition on the Application that says what and where, nothing that is live is
// taken away for it, and another Application goes on.
#include "delivery/gitops/platform_test.h"
#include "delivery/gitops/world.h"

using namespace caisson;
using namespace caisson::gitops::testing;

namespace {

constexpr const char* kOnce = "  syncPolicy: {automated: {prune: true, selfHeal: true}, retry: {limit: 0}}\n";

std::string config_map(const std::string& name, const std::string& value, const std::string& ns = "") {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + (ns.empty() ? "" : ", namespace: " + ns) +
         "}\ndata: {key: \"" + value + "\"}\n";
}

struct Failing : Platform {
  Failing() {
    repository.push({{"good/g.yaml", config_map("g", "1")}, {"app/a.yaml", config_map("a", "1")}});
    create_application("good", "good", kOnce);
    REQUIRE(eventually([&] { return is("good", "Synced", ""); }));
  }
  // The condition of this type, when its message holds the text.
  bool told(const std::string& name, std::string_view type, std::string_view text) {
    const Value app = application(name);
    for (const Value& one : app["status"]["conditions"].items()) {
      if (one["type"].as_string() == type && one["message"].as_string().find(text) != std::string_view::npos)
        return true;
    }
    return false;
  }
  void expect(const std::string& name, std::string_view type, std::string_view text) {
    const bool there = eventually([&] { return told(name, type, text); });
    REQUIRE_MESSAGE(there, type << " with \"" << text << "\": " << json::write(application(name)["status"]));
    // Another Application takes the next push meanwhile.
    const std::string commit = repository.push({{"good/g.yaml", config_map("g", "of " + name)}});
    announce(commit, {"good/g.yaml"});
    CHECK(eventually([&] { return data("g") == "of " + name; }));
  }
  void git(std::vector<std::string> args) {
    Command command;
    command.args = {"git", "-c", "user.name=t", "-c", "user.email=t@t"};
    command.args.insert(command.args.end(), args.begin(), args.end());
    command.directory = root + "/clone";
    must(run_checked(command));
  }
  void create(const std::string& text) { must(client->create(kube::Object(must(yaml::read(text))))); }
  void refresh(const std::string& name) {
    must(kube::modify(*client, schema::kApplications, {"argocd", name}, [&](kube::Object& one) {
      one.set_annotation(gitops::kRefreshAnnotation, "hard");
      return true;
    }));
  }
};

}  // namespace

TEST_CASE("a git host that is down is named") {
  Failing it;
  it.create(
      "{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: away, namespace: argocd}, spec: "
      "{project: default, "
      "source: {repoURL: 'http://127.0.0.1:9/team/web.git', path: ., targetRevision: main}, destination: {name: "
      "in-cluster, "
      "namespace: shop}, syncPolicy: {automated: {}}}}");
  it.expect("away", "ComparisonError", "127.0.0.1:9/team/web.git");
}

TEST_CASE("a history that was rewritten is followed") {
  Failing it;
  it.create_application("shop", "app", kOnce);
  REQUIRE(it.eventually([&] { return it.data("a") == "1"; }));
  must(write_file_unsynced(it.root + "/clone/app/a.yaml", config_map("a", "rewritten")));
  it.git({"checkout", "-q", "--orphan", "other"});
  it.git({"add", "-A"});
  it.git({"commit", "-qm", "anew"});
  it.git({"push", "-qf", "origin", "other:main"});
  it.refresh("shop");
  CHECK(it.eventually([&] { return it.data("a") == "rewritten"; }));
}

TEST_CASE("a branch that is deleted is named, and nothing that it made goes") {
  Failing it;
  it.git({"push", "-q", "origin", "main:feature"});
  it.create_application("shop", "app", kOnce);
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [](kube::Object& one) {
    one.edit({"spec", "source"}).set("targetRevision", "feature");
    return true;
  }));
  REQUIRE(it.eventually([&] { return it.data("a") == "1" && it.is("shop", "Synced", ""); }));
  it.git({"push", "-q", "origin", ":feature"});
  it.refresh("shop");
  it.expect("shop", "ComparisonError", "no revision 'feature'");
  CHECK(it.data("a") == "1");
}

TEST_CASE("a kind that nobody serves is named with its object") {
  Failing it;
  it.repository.push({{"app/w.yaml", "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: w}\n"}});
  it.create_application("shop", "app", kOnce);
  it.expect("shop", "SyncError", "\"Widget\" CRD is installed");
  CHECK(it.data("a") == "absent");  // before anything is written
}

TEST_CASE("a quota that is exceeded is told in the server's words") {
  Failing it;
  it.create("{apiVersion: v1, kind: Namespace, metadata: {name: small}}");
  it.create(
      "{apiVersion: v1, kind: ResourceQuota, metadata: {name: few, namespace: small}, spec: {hard: {count/configmaps: "
      "'0'}}}");
  auto quota = must(it.client->get({"", "v1", "ResourceQuota", "resourcequotas"}, {"small", "few"}));
  quota.edit().set("status", must(yaml::read("{hard: {count/configmaps: '0'}, used: {count/configmaps: '0'}}")));
  must(it.client->update_status(quota));
  it.repository.push({{"app/a.yaml", config_map("a", "1", "small")}});
  it.create_application("shop", "app", kOnce);
  it.expect("shop", "SyncError", "exceeded quota: few");
}

TEST_CASE("a namespace that is terminating is told") {
  Failing it;
  it.create("{apiVersion: v1, kind: Namespace, metadata: {name: going, finalizers: [example.org/wait]}}");
  must(it.client->remove(schema::kNamespaces, {"", "going"}));
  it.repository.push({{"app/a.yaml", config_map("a", "1", "going")}});
  it.create_application("shop", "app", kOnce);
  it.expect("shop", "SyncError", "being terminated");
}

TEST_CASE("an admission that denies is told in its words") {
  Failing it;
  it.create(
      "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: "
      "no-secrets-here}, spec: "
      "{matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: "
      "[configmaps]}]}, "
      "validations: [{expression: \"object.metadata.name != 'a'\", message: 'the name a is taken'}]}}");
  it.create(
      "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: b}, "
      "spec: "
      "{policyName: no-secrets-here, validationActions: [Deny]}}");
  it.create_application("shop", "app", kOnce);
  it.expect("shop", "SyncError", "the name a is taken");
}

TEST_CASE("an object that two Applications claim is named on both sides") {
  Failing it;
  it.create_application("one", "app", kOnce);
  REQUIRE(it.eventually([&] { return it.is("one", "Synced", ""); }));
  it.create_application("two", "app", "");
  it.expect("two", "SharedResourceWarning", "ConfigMap/a is part of applications two and one");
}

TEST_CASE("an object that git says twice is told") {
  Failing it;
  it.repository.push({{"twice/a.yaml", config_map("x", "1")}, {"twice/b.yaml", config_map("x", "2")}});
  it.create_application("twice", "twice", kOnce);
  it.expect("twice", "RepeatedResourceWarning", "appeared 2 times among application resources");
}

TEST_CASE("a project that wants signatures refuses commits without") {
  Failing it;
  it.create(
      "{apiVersion: argoproj.io/v1alpha1, kind: AppProject, metadata: {name: strict, namespace: argocd}, spec: "
      "{sourceRepos: "
      "['*'], destinations: [{server: '*', namespace: '*'}], signatureKeys: [{keyID: 4AEE18F83AFDEB23}]}}");
  it.create_application("shop", "app", kOnce);
  REQUIRE(it.eventually([&] { return it.data("a") == "1"; }));
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [](kube::Object& one) {
    one.edit({"spec"}).set("project", "strict");
    return true;
  }));
  it.expect("shop", "ComparisonError", "is not signed");
  CHECK(it.data("a") == "1");
}

TEST_CASE("a project of scoped clusters alone refuses the others") {
  Failing it;
  it.create(
      "{apiVersion: argoproj.io/v1alpha1, kind: AppProject, metadata: {name: scoped, namespace: argocd}, spec: "
      "{sourceRepos: "
      "['*'], destinations: [{server: '*', namespace: '*'}], permitOnlyProjectScopedClusters: true}}");
  it.create_application("shop", "app", kOnce);
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [](kube::Object& one) {
    one.edit({"spec"}).set("project", "scoped");
    return true;
  }));
  it.expect("shop", "InvalidSpecError", "permits only project-scoped clusters");
}

TEST_CASE("an operation that can't begin fails with the reason, and nobody waits for it") {
  Failing it;
  const auto ask = [&] {
    must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [](kube::Object& one) {
      one.edit({"operation"}) = Value{{"sync", Value{{"prune", true}}}};
      return true;
    }));
  };
  const auto answered = [&](std::string_view phase, std::string_view why) {
    return it.eventually([&] {
      const Value app = it.application("shop");
      const Value& state = app["status"]["operationState"];
      return app["operation"].is_null() && state["phase"].as_string() == phase &&
             state["message"].as_string().find(why) != std::string_view::npos;
    });
  };
  it.create_application("shop", "nowhere", "");
  it.expect("shop", "ComparisonError", "nowhere");
  ask();
  CHECK(answered("Error", "Failed to load target state"));
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [](kube::Object& one) {
    one.edit({"spec"}).set("project", "absent");
    return true;
  }));
  it.expect("shop", "InvalidSpecError", "absent");
  ask();
  CHECK(answered("Failed", "absent"));
}

TEST_CASE("a kind that may not be listed is told, not waited for") {
  Platform it;
  const auto nobody = it.api->client({.name = "nobody"});
  kube::Runtime runtime{*nobody, system_clock(), {.threads = 1}};
  runtime.start();
  gitops::World world(
      runtime, [](const std::string&) {}, Duration(0));
  CHECK_FALSE(world.watch(schema::kSecrets));
  const auto why = world.refusal(schema::kSecrets);
  REQUIRE(why);
  CHECK(why->message.find("secrets") != std::string::npos);
  CHECK_FALSE(world.refusal(schema::kConfigMaps));
}

TEST_CASE("what is deleted while its sync still runs fails the sync, which would wait for it for ever") {
  Failing it;
  it.repository.push({{"app/job.yaml",
                       "{apiVersion: batch/v1, kind: Job, metadata: {name: after, annotations: "
                       "{argocd.argoproj.io/hook: PostSync}}, spec: "
                       "{template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}\n"}});
  it.create_application("shop", "app", kOnce);
  REQUIRE(it.eventually([&] {
    return it.application("shop")["status"]["operationState"]["message"].as_string().find(
               "hook batch/Job/shop/after") != std::string_view::npos;
  }));
  must(it.client->remove(schema::kConfigMaps, {"shop", "a"}));
  it.expect("shop", "SyncError", "ConfigMap/shop/a: was deleted while the sync waited");
}
