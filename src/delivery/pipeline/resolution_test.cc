// SPDX-License-Identifier: Apache-2.0
// References by resolver against a real API server and repositories on disk.
#include "delivery/pipeline/resolution.h"

#include <doctest/doctest.h>

#include "core/base/process.h"
#include "delivery/git/platform_test.h"

namespace caisson::pipeline {
namespace {

struct Fixture : git::Platform {
  git::Repositories repositories{{.directory = directory.path() + "/git",
                                  .mirrors = directory.path() + "/mirrors",
                                  .own_hosts = {"git.caisson-system.svc"}}};
  kube::Runtime runtime{*client, system_clock(), {.threads = 4}};
  git::Eventually eventually{runtime, {schema::kTaskRuns, schema::kPipelineRuns, schema::kPods, resolution_requests()}};

  Fixture() {
    add_pipeline(runtime, {.spans = &spans, .repositories = &repositories});
    for (const char* org : {"shop", "far"}) make_organization(org);
    REQUIRE(create("{apiVersion: v1, kind: ServiceAccount, metadata: {name: builder, namespace: shop}}") == "");
    runtime.start();
    REQUIRE(runtime.wait_synced(std::chrono::seconds(20)));
  }
  void git(const std::vector<std::string>& args, const std::string& where) {
    Command command{.args = {"git", "-c", "user.name=t", "-c", "user.email=t@example.com"}, .directory = where};
    command.args.insert(command.args.end(), args.begin(), args.end());
    const auto done = run(command);
    REQUIRE_MESSAGE((done.ok() && done->ok()), (done.ok() ? done->err : done.error().message));
  }
  void repository(const std::string& name, const std::string& path, const std::string& text) {
    const std::string bare = directory.path() + "/git/" + name + ".git", work = directory.path() + "/work";
    REQUIRE(make_dirs(bare).ok());
    REQUIRE(make_dirs(work).ok());
    git({"init", "-q", "--bare", "-b", "main"}, bare);
    git({"init", "-q", "-b", "main"}, work);
    REQUIRE(write_file_unsynced(work + "/" + path, text).ok());
    git({"add", "-A"}, work);
    git({"commit", "-q", "-m", "one"}, work);
    git({"push", "-q", bare, "main"}, work);
    REQUIRE(remove_tree(work).ok());
  }
  // The run's end or, for one that goes on, its pod's first image: waits for either.
  std::string outcome(const std::string& name) {
    std::string out;
    REQUIRE(eventually([&] {
      const auto now = client->get(schema::kTaskRuns, {"shop", name});
      if (!now.ok()) return false;
      const Value& condition = kube::condition(*now, "Succeeded");
      if (condition["status"].as_string() == "False") out = condition["message"].str();
      if (!now->status()["taskSpec"].is_null()) out = now->status()["taskSpec"]["steps"][0]["image"].str();
      return !out.empty();
    }));
    return out;
  }
  std::string task_run(const std::string& name, const std::string& spec) {
    REQUIRE(create("{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: " + name +
                   ", namespace: shop}, spec: {serviceAccountName: builder, " + spec + "}}") == "");
    return outcome(name);
  }
};

constexpr const char* kOfFar =
    "taskRef: {resolver: cluster, params: [{name: kind, value: task}, {name: name, value: lint}, {name: namespace, "
    "value: far}]}";

}  // namespace

TEST_CASE("a task of another namespace is taken where the run's account may read it") {
  Fixture f;
  REQUIRE(f.create("{apiVersion: tekton.dev/v1beta1, kind: Task, metadata: {name: lint, namespace: far}, spec: {steps: "
                   "[{image: linter, resources: {limits: {cpu: 1}}}]}}") == "");
  CHECK(f.task_run("refused", kOfFar).find("system:serviceaccount:shop:builder may not get tasks in far") !=
        std::string::npos);
  REQUIRE(f.create(R"yaml(
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: read, namespace: far}, rules: [{apiGroups: [tekton.dev], resources: [tasks], verbs: [get]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: read, namespace: far}, subjects: [{kind: ServiceAccount, name: builder, namespace: shop}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: read}}
)yaml") == "");
  CHECK(f.task_run("taken", kOfFar) == "linter");
  const kube::Object run = f.client->get(schema::kTaskRuns, {"shop", "taken"}).value();
  CHECK(run.status()["taskSpec"]["steps"][0]["computeResources"]["limits"]["cpu"].as_int() == 1);  // as v1 has it
  CHECK(f.task_run("none", "taskRef: {resolver: cluster, params: [{name: name, value: nothing}]}")
            .find("tasks.tekton.dev \"nothing\" not found in namespace shop") != std::string::npos);
  CHECK(f.task_run("hub", "taskRef: {resolver: hub, params: []}")
            .find("resolver \"hub\" is not supported (cluster and git are)") != std::string::npos);
}

TEST_CASE("a pipeline and its task come from a commit of a repository") {
  Fixture f;
  f.repository("shop/ci", "pipeline.yaml", R"yaml(
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: ship}
spec:
  params: [{name: where, default: main}]
  tasks:
  - name: test
    taskRef:
      resolver: git
      params: [{name: url, value: "https://git.caisson-system.svc/shop/ci.git"}, {name: revision, value: $(params.where)}, {name: pathInRepo, value: task.yaml}]
)yaml");
  REQUIRE(f.create(R"yaml(
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: ship, namespace: shop}
spec:
  pipelineRef:
    resolver: git
    params: [{name: url, value: "https://git.caisson-system.svc/shop/ci.git"}, {name: pathInRepo, value: pipeline.yaml}]
)yaml") == "");
  CHECK(f.outcome("ship-test").find("task.yaml") != std::string::npos);  // which the repository has not
  const kube::Object run = f.client->get(schema::kPipelineRuns, {"shop", "ship"}).value();
  CHECK(run.status()["pipelineSpec"]["tasks"].size() == 1);
  const auto requests = f.client->list(resolution_requests(), {.ns = "shop"}).value().items;
  REQUIRE(requests.size() == 2);
  for (const kube::Object& request : requests) {
    if (kube::condition(request, "Succeeded")["status"].as_string() != "True") continue;
    CHECK(request.status()["refSource"]["digest"]["sha1"].str().size() == 40);
    CHECK(request.status()["refSource"]["entryPoint"].as_string() == "pipeline.yaml");
  }
}

TEST_CASE("a file in an earlier version is read as v1 has it") {
  Fixture f;
  f.repository(
      "shop/ci", "task.yaml",
      "{apiVersion: tekton.dev/v1beta1, kind: Task, spec: {steps: [{image: old, resources: {limits: {cpu: 1}}}]}}");
  CHECK(
      f.task_run("old",
                 "taskRef: {resolver: git, params: [{name: url, value: 'https://git.caisson-system.svc/shop/ci.git'}, "
                 "{name: pathInRepo, value: task.yaml}]}") == "old");
  const kube::Object run = f.client->get(schema::kTaskRuns, {"shop", "old"}).value();
  CHECK(run.status()["taskSpec"]["steps"][0]["computeResources"]["limits"]["cpu"].as_int() == 1);
}

TEST_CASE("a file of another organisation's repository, of another kind or of none is refused") {
  Fixture f;
  f.repository("far/ci", "task.yaml", "{apiVersion: tekton.dev/v1, kind: Task, spec: {steps: [{image: a}]}}");
  f.repository("shop/ci", "map.yaml", "{apiVersion: v1, kind: ConfigMap}");
  const auto from = [](const std::string& repository, const std::string& path) {
    return "taskRef: {resolver: git, params: [{name: url, value: 'https://git.caisson-system.svc/" + repository +
           ".git'}, {name: pathInRepo, value: " + path + "}]}";
  };
  CHECK(f.task_run("far", from("far/ci", "task.yaml")).find("may not get repositories in far") != std::string::npos);
  CHECK(f.task_run("kind", from("shop/ci", "map.yaml")).find("is of kind \"ConfigMap\", not Task") !=
        std::string::npos);
  CHECK(f.task_run("none", from("shop/none", "map.yaml")).find("shop/none") != std::string::npos);
}

}  // namespace caisson::pipeline
