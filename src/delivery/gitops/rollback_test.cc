// SPDX-License-Identifier: Apache-2.0
// Operations at revisions of their own: a rollback while the repository's head can't be rendered, several sources, and
// branches that move between two operations.
#include "delivery/gitops/platform_test.h"
#include "delivery/gitops/status.h"

using namespace caisson;
using namespace caisson::gitops::testing;

namespace {

std::string config_map(const std::string& name, const std::string& value) {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {key: \"" + value + "\"}\n";
}

struct Rollback : Platform {
  // Two revisions are deployed; then nothing syncs by itself.
  Rollback() {
    first = repository.push({{"app/a.yaml", config_map("a", "1")}});
    create_application("shop", "app", "  syncPolicy: {automated: {}}\n");
    REQUIRE(eventually([&] { return data("a") == "1" && is("shop", "Synced", first); }));
    const std::string second = repository.push({{"app/a.yaml", config_map("a", "2")}});
    announce(second, {"app/a.yaml"});
    REQUIRE(eventually([&] { return data("a") == "2" && is("shop", "Synced", second); }));
    change([](kube::Object& one) { one.edit({"spec", "syncPolicy"}) = Value::map(); });
  }
  void change(const std::function<void(kube::Object&)>& edit) {
    must(kube::modify(*client, schema::kApplications, {"argocd", "shop"}, [&](kube::Object& one) {
      edit(one);
      return true;
    }));
  }
  void operate(const Value& sync) {
    change([&](kube::Object& one) { one.edit().set("operation", Value{{"sync", sync}}); });
  }
  void break_head() {
    const std::string broken = repository.push({{"app/a.yaml", "kind: [unclosed\n"}});
    announce(broken, {"app/a.yaml"});
    REQUIRE(eventually([&] { return application("shop")["status"]["sync"]["status"].as_string() == "Unknown"; }));
  }
  bool ended(std::string_view phase) {
    const Value app = application("shop");
    return app["operation"].is_null() && app["status"]["operationState"]["phase"].as_string() == phase;
  }
  std::string first;
};

}  // namespace

TEST_CASE("a rollback runs while the head can't be rendered, and the condition stays") {
  Rollback it;
  it.break_head();
  const Value entry = it.application("shop")["status"]["history"][0];
  REQUIRE(entry["revision"].as_string() == it.first);
  it.operate(Value{{"revision", entry["revision"]}, {"source", entry["source"]}});
  CHECK(it.eventually([&] { return it.data("a") == "1"; }));
  CHECK(it.eventually([&] { return it.ended("Succeeded"); }));
  const Value status = it.application("shop")["status"];
  CHECK(status["operationState"]["syncResult"]["revision"].as_string() == it.first);
  CHECK(status["history"][status["history"].size() - 1]["revision"].as_string() == it.first);
  CHECK(status["sync"]["status"].as_string() == "Unknown");
  CHECK(status["conditions"][0]["type"].as_string() == "ComparisonError");
}

TEST_CASE("while the head can't be rendered, a sync of it and of a revision that is not there fail with the reason") {
  Rollback it;
  it.break_head();
  it.operate(Value{{"prune", true}});
  CHECK(it.eventually([&] { return it.ended("Error"); }));
  CHECK(it.application("shop")["status"]["operationState"]["message"].str().find("a.yaml") != std::string::npos);
  it.operate(Value{{"revision", std::string(40, 'f')}});
  CHECK(it.eventually([&] {
    return it.ended("Error") &&
           it.application("shop")["status"]["operationState"]["message"].str().find("ffff") != std::string::npos;
  }));
  CHECK(it.data("a") == "2");
}

TEST_CASE("an operation can be terminated while the head can't be rendered") {
  Rollback it;
  const std::string hook =
      "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: wait\n  annotations: "
      "{argocd.argoproj.io/hook: PreSync}\nspec: {template: {spec: {restartPolicy: Never, "
      "containers: [{name: c, image: none}]}}}\n";
  const std::string commit = it.repository.push({{"app/hook.yaml", hook}});
  it.announce(commit, {"app/hook.yaml"});
  it.operate(Value{{"revision", commit}});
  REQUIRE(it.eventually([&] {
    return it.application("shop")["status"]["operationState"]["message"].str().find("hook") != std::string::npos;
  }));
  it.break_head();
  CHECK(it.application("shop")["status"]["operationState"]["phase"].as_string() == "Running");
  it.change([](kube::Object& one) { one.edit({"status", "operationState"}).set("phase", "Terminating"); });
  CHECK(it.eventually([&] { return it.ended("Failed"); }));
  CHECK(it.application("shop")["status"]["operationState"]["message"].as_string() == "Operation terminated");
}

TEST_CASE("an operation at a branch takes what the branch names then, not what it named for the one before") {
  Rollback it;
  const auto move = [&](const std::string& value) {
    Command command;
    command.directory = it.root + "/clone";
    must(write_file_unsynced(it.root + "/clone/app/a.yaml", config_map("a", value)));
    for (const auto& args : std::vector<std::vector<std::string>>{
             {"checkout", "-q", "-B", "side"}, {"commit", "-qam", value}, {"push", "-qf", "origin", "side"}}) {
      command.args = {"git", "-c", "user.name=t", "-c", "user.email=t@t"};
      command.args.insert(command.args.end(), args.begin(), args.end());
      must(run_checked(command));
    }
  };
  for (const char* value : {"side 1", "side 2"}) {
    move(value);
    it.operate(Value{{"revision", "side"}});
    CHECK(it.eventually([&] { return it.data("a") == value; }));
    CHECK(it.eventually([&] { return it.ended("Succeeded"); }));
  }
}

TEST_CASE("several sources: status and history name each revision, and a rollback goes back to all of them") {
  Platform it;
  const std::string first =
      it.repository.push({{"one/a.yaml", config_map("a", "1")}, {"two/b.yaml", config_map("b", "1")}});
  const std::string url(kUrl);
  must(it.client->create(kube::Object(must(yaml::read(
      "{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: shop, namespace: argocd}, spec: "
      "{project: default, sources: [{repoURL: '" +
      url + "', path: one, targetRevision: main}, {repoURL: '" + url +
      "', path: two, targetRevision: main}], destination: {name: in-cluster, namespace: shop}, syncPolicy: "
      "{automated: {}}}}")))));
  REQUIRE(it.eventually([&] { return it.data("b") == "1" && it.is("shop", "Synced", ""); }));
  const std::string second =
      it.repository.push({{"one/a.yaml", config_map("a", "2")}, {"two/b.yaml", config_map("b", "2")}});
  it.announce(second, {"one/a.yaml", "two/b.yaml"});
  REQUIRE(it.eventually([&] {
    return it.data("a") == "2" && it.data("b") == "2" && it.application("shop")["status"]["history"].size() == 2;
  }));
  const Value status = it.application("shop")["status"];
  const Value both = Value::list_of({second, second});
  CHECK(status["sync"]["revisions"] == both);
  CHECK(status["sync"]["revision"].is_null());
  CHECK(status["sourceTypes"] == Value::list_of({"Directory", "Directory"}));
  CHECK(status["operationState"]["syncResult"]["revisions"] == both);
  CHECK(status["operationState"]["syncResult"]["sources"].size() == 2);
  const Value entry = status["history"][0];
  CHECK(entry["revisions"] == Value::list_of({first, first}));
  CHECK(entry["sources"][1]["path"].as_string() == "two");
  CHECK(entry["source"].is_null());
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [&](kube::Object& one) {
    one.edit({"spec", "syncPolicy"}) = Value::map();
    one.edit().set("operation",
                   Value{{"sync", Value{{"revisions", entry["revisions"]}, {"sources", entry["sources"]}}}});
    return true;
  }));
  CHECK(it.eventually([&] { return it.data("a") == "1" && it.data("b") == "1"; }));
}
