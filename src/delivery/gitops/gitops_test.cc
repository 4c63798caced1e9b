// SPDX-License-Identifier: Apache-2.0
// The pure parts: spec, comparison, plan, health, decisions. controller_test.cc runs the whole against an API server.
#include <doctest/doctest.h>

#include "core/document/yaml.h"
#include "delivery/gitops/automation.h"
#include "delivery/gitops/plan.h"
#include "delivery/gitops/source.h"
#include "delivery/gitops/status.h"

using namespace caisson;
using namespace caisson::gitops;

namespace {

Value doc(std::string_view text) {
  auto value = yaml::read(text);
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return std::move(value).value();
}

const schema::Schema& kinds() {
  static const schema::Schema kAll = std::move(schema::Schema::built_in()).value();
  return kAll;
}

std::vector<std::string> drift(std::string_view desired, std::string_view live,
                               const std::vector<IgnoreRule>& ignore = {}) {
  const Value want = doc(desired), have = doc(live);
  return compare(want, have, kinds().find_object(want).get(), ignore).paths;
}

constexpr std::string_view kDeployment = R"(
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "web:1", resources: {limits: {memory: 1024Mi, cpu: "0.5"}}}
)";
constexpr std::string_view kLive = R"(
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  uid: x
  resourceVersion: "7"
  annotations: {caisson.dev/traceparent: 00-a-b-01, deployment.kubernetes.io/revision: "1"}
spec:
  replicas: 2
  revisionHistoryLimit: 10
  progressDeadlineSeconds: 600
  selector: {matchLabels: {app: web}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 25%, maxSurge: 25%}}
  template:
    metadata: {labels: {app: web}}
    spec:
      restartPolicy: Always
      terminationGracePeriodSeconds: 30
      dnsPolicy: ClusterFirst
      schedulerName: default-scheduler
      securityContext: {}
      containers:
      - {name: web, image: "web:1", imagePullPolicy: IfNotPresent, resources: {limits: {memory: 1Gi, cpu: 500m}}, terminationMessagePath: /dev/termination-log, terminationMessagePolicy: File}
status: {replicas: 2}
)";

Value application(std::string_view extra = "") {
  return doc(
      "metadata: {name: shop, namespace: argocd}\nspec:\n  project: default\n  source: {repoURL: "
      "\"http://localhost:8080/shop/deploy.git\", path: overlays/dev}\n"
      "  destination: {server: \"https://kubernetes.default.svc\", namespace: shop}\n" +
      std::string(extra));
}

Resource resource(std::string_view kind, std::string_view name, int wave = 0, bool live = false) {
  Resource out;
  out.desired =
      Value{{"apiVersion", "v1"},
            {"kind", kind},
            {"metadata", Value{{"name", name}, {"annotations", Value{{kWaveAnnotation, std::to_string(wave)}}}}}};
  out.id = id_of(*out.desired);
  if (live) out.live = out.desired;
  return out;
}

std::string order(const std::vector<Step>& steps) {
  std::string out;
  for (const Step& step : steps) {
    out += std::string(out.empty() ? "" : " | ") + std::string(phase_name(step.phase)) + (step.prune ? " prune" : "") +
           ":";
    for (const Task& task : step.tasks) out += " " + task.id.name;
  }
  return out;
}

}  // namespace

TEST_CASE("what the server fills is no drift") {
  CHECK(drift(kDeployment, kLive).empty());
}

TEST_CASE("an edited field is drift, and its path is named") {
  std::string live(kLive);
  live.replace(live.find("replicas: 2"), 11, "replicas: 5");
  CHECK(drift(kDeployment, live) == std::vector<std::string>{"spec.replicas"});
  CHECK(drift(kDeployment, live, {IgnoreRule{"apps", "Deployment", "", "", {"/spec/replicas"}, {}}}).empty());
}

TEST_CASE("a field that we applied and no longer say is drift; one that others own is not") {
  const std::string live =
      "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, managedFields: [{manager: caisson-gitops, operation: "
      "Apply, "
      "fieldsV1: {'f:data': {'f:a': {}, 'f:old': {}}}}]}, data: {a: '1', old: '2', foreign: '3'}}";
  CHECK(drift("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {a: '1'}}", live) ==
        std::vector<std::string>{"data.old"});
}

TEST_CASE("a whole map that we applied and no longer say is drift, leaf by leaf; what others put into it is not") {
  const std::string live =
      "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, managedFields: [{manager: caisson-gitops, operation: "
      "Apply, "
      "fieldsV1: {'f:data': {'f:a': {}, 'f:b': {}}}}]}, data: {a: '1', b: '2', foreign: '3'}}";
  CHECK(drift("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", live) ==
        std::vector<std::string>{"data.a", "data.b"});
}

TEST_CASE("stringData is compared as data") {
  CHECK(drift("{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {k: v}}",
              "{apiVersion: v1, kind: Secret, metadata: {name: a}, type: Opaque, data: {k: dg==}}")
            .empty());
}

TEST_CASE("a tracking id names its object; a copy is not ours") {
  auto app = parse_application(kube::Object(application()), "argocd");
  REQUIRE(app.ok());
  auto prepared = prepare(*app, doc("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}"), true);
  REQUIRE(prepared.ok());
  CHECK((*prepared)["metadata"]["namespace"].as_string() == "shop");
  CHECK((*prepared)["metadata"]["annotations"][kTrackingAnnotation].as_string() == "shop:apps/Deployment:shop/web");
  CHECK(tracked_by(*prepared) == "shop");
  Value copy = *prepared;
  copy.edit("metadata").set("name", "other");
  CHECK(tracked_by(copy).empty());
}

TEST_CASE("a spec that asks for what is not there is refused by field") {
  const auto message = [](std::string_view yaml) {
    auto parsed = parse_application(kube::Object(doc(yaml)), "argocd");
    return parsed.ok() ? std::string() : parsed.error().message;
  };
  CHECK(message("spec: {source: {repoURL: x, chart: web, path: y}, destination: {name: in-cluster}}") ==
        "spec.source: chart and path exclude each other");
  CHECK(message("spec: {sources: [{repoURL: x}, {path: y}], destination: {name: in-cluster}}") ==
        "spec.sources[1].repoURL: required");
  CHECK(message("spec: {source: {path: x}, destination: {name: in-cluster}}") == "spec.source.repoURL: required");
  CHECK(message("spec: {source: {repoURL: x, path: ../y}, destination: {name: in-cluster}}")
            .starts_with("spec.source.path: "));
  CHECK(message("spec: {source: {repoURL: x}, destination: {namespace: a}}").starts_with("spec.destination: "));
}

TEST_CASE("a project permits sources and destinations by pattern") {
  auto app = parse_application(kube::Object(application()), "argocd");
  REQUIRE(app.ok());
  CHECK(project_forbids(*app, nullptr).empty());
  const kube::Object project(
      doc("spec: {sourceRepos: ['http://localhost:8080/shop/*'], destinations: [{server: '*', namespace: 'shop*'}]}"));
  CHECK(project_forbids(*app, &project).empty());
  const kube::Object other(
      doc("spec: {sourceRepos: ['http://localhost:8080/else/*'], destinations: [{server: '*', namespace: '*'}]}"));
  CHECK(project_forbids(*app, &other).find("is not permitted in project 'default'") != std::string::npos);
}

TEST_CASE("waves go up, kinds have their order, prunes come last and backwards") {
  std::vector<Resource> list = {resource("Service", "svc"), resource("Deployment", "dep"), resource("Namespace", "ns"),
                                resource("ConfigMap", "late", 2), resource("ConfigMap", "early", -1)};
  for (const char* name : {"old-a", "old-b"}) {
    Resource gone = resource("ConfigMap", name, name[4] == 'b' ? 1 : 0, true);
    gone.desired.reset();
    list.push_back(gone);
  }
  PlanOptions options;
  options.prune = true;
  CHECK(order(plan_sync(list, {}, options)) ==
        "Sync: early | Sync: ns svc dep | Sync: late | Sync prune: old-b | Sync prune: old-a");
}

TEST_CASE("hooks run in their phases; the destination's namespace is made first") {
  const Value pre =
      doc("{apiVersion: batch/v1, kind: Job, metadata: {generateName: migrate-, annotations: {argocd.argoproj.io/hook: "
          "PreSync}}}");
  const Value both =
      doc("{apiVersion: batch/v1, kind: Job, metadata: {name: note, annotations: {argocd.argoproj.io/hook: "
          "'Sync,PostSync'}}}");
  PlanOptions options;
  options.create_namespace = "shop";
  options.revision = "0123456789";
  options.started_seconds = 42;
  CHECK(order(plan_sync({resource("ConfigMap", "cm")}, {pre, both}, options)) ==
        "PreSync: shop | PreSync: migrate-0123456-presync-42 | Sync: cm note | PostSync: note");
  CHECK(hook_phases(doc("{metadata: {annotations: {argocd.argoproj.io/hook: Skip}}}")).empty());
}

TEST_CASE("what is as desired is not written") {
  const auto steps = plan_sync({resource("ConfigMap", "same", 0, true), resource("ConfigMap", "new")}, {}, {});
  REQUIRE(steps.size() == 1);
  CHECK_FALSE(steps[0].tasks[0].skip);
  CHECK(steps[0].tasks[1].skip);
}

TEST_CASE("health of workloads") {
  const auto health = [](std::string_view yaml) {
    const auto got = health_of(doc(yaml));
    return got ? std::string(health_name(got->code)) + (got->message.empty() ? "" : ": " + got->message)
               : std::string("none");
  };
  const std::string deployment =
      "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 2}, spec: {replicas: 2}, status: ";
  CHECK(health(deployment + "{observedGeneration: 1}}") ==
        "Progressing: Waiting for rollout to finish: observed deployment generation less than desired generation");
  CHECK(health(deployment + "{observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2}}") ==
        "Healthy");
  CHECK(health(deployment + "{observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 1}}") ==
        "Progressing: Waiting for rollout to finish: 1 of 2 updated replicas are available...");
  CHECK(health(deployment +
               "{observedGeneration: 2, conditions: [{type: Progressing, reason: ProgressDeadlineExceeded}]}}") ==
        "Degraded: Deployment \"a\" exceeded its progress deadline");
  CHECK(health("{apiVersion: batch/v1, kind: Job, status: {conditions: [{type: Failed, status: 'True', message: "
               "BackoffLimitExceeded}]}}") == "Degraded: BackoffLimitExceeded");
  CHECK(health("{apiVersion: v1, kind: PersistentVolumeClaim, status: {phase: Pending}}") == "Progressing");
  CHECK(health("{apiVersion: v1, kind: ConfigMap}") == "none");
  CHECK(health("{apiVersion: argoproj.io/v1alpha1, kind: Application, status: {health: {status: Degraded}}}") ==
        "Degraded");
  CHECK(health("{apiVersion: policy/v1, kind: PodDisruptionBudget, status: {conditions: [{type: DisruptionAllowed, "
               "status: 'False', reason: SyncFailed}]}}") == "Degraded: PodDisruptionBudget has SyncFailed");
}

TEST_CASE("auto-sync: new revisions once, drift only with selfHeal, never to nothing") {
  auto app = parse_application(kube::Object(application("  syncPolicy: {automated: {prune: true}}\n")), "argocd");
  REQUIRE(app.ok());
  Observation changed;
  changed.resources = {resource("ConfigMap", "a")};
  CHECK(decide_auto_sync(*app, Value(), changed, "c1").wanted);
  const Value done = doc("operationState: {phase: Succeeded, syncResult: {revision: c1}}");
  CHECK_FALSE(decide_auto_sync(*app, done, changed, "c1").wanted);
  CHECK(decide_auto_sync(*app, done, changed, "c2").wanted);
  Application healing = *app;
  healing.policy.self_heal = true;
  CHECK(decide_auto_sync(healing, done, changed, "c1").heal);
  const Value failed = doc("operationState: {phase: Failed, message: why, syncResult: {revision: c1}}");
  CHECK(decide_auto_sync(*app, failed, changed, "c1").error == "Failed last sync attempt to c1: why");
  Observation emptied;
  emptied.resources = {resource("ConfigMap", "a", 0, true)};
  emptied.resources[0].desired.reset();
  CHECK(decide_auto_sync(*app, Value(), emptied, "c1").error.find("wipe out all resources") != std::string::npos);
}

TEST_CASE("healing starts at once and slows down when somebody fights it") {
  HealBackoff backoff;
  for (int i = 0; i < 20; ++i) CHECK(backoff.next(Duration(1)).count() == 0);
  CHECK(backoff.next(Duration(2)).count() > 0);
  CHECK(backoff.next(Duration(2) + std::chrono::milliseconds(300)).count() == 0);
  CHECK(backoff.next(Duration(2) + std::chrono::milliseconds(600)).count() > 0);
  CHECK(backoff.next(std::chrono::minutes(5)).count() == 0);
}

TEST_CASE("only a push that touches inputs concerns an Application") {
  const std::vector<std::string> inputs = {"base/deployment.yaml", "base/kustomization.yaml",
                                           "overlays/dev/kustomization.yaml"};
  CHECK(concerns("overlays/dev", inputs, {"overlays/dev/patch.yaml"}));
  CHECK(concerns("overlays/dev", inputs, {"base/service.yaml"}));
  CHECK_FALSE(concerns("overlays/dev", inputs, {"overlays/prod/kustomization.yaml", "README.md"}));
  CHECK(moves("refs/heads/main", "HEAD"));
  CHECK(moves("refs/heads/main", "main"));
  CHECK_FALSE(moves("refs/heads/dev", "main"));
}

TEST_CASE("history keeps its limit and counts on") {
  Value status = Value::map();
  const Value state = doc("{startedAt: '2026-01-01T00:00:00Z', syncResult: {revision: c}}");
  for (int i = 0; i < 4; ++i) write_history(status, state, 2, Time());
  CHECK(status["history"].size() == 2);
  CHECK(status["history"][1]["id"].as_int() == 3);
}
