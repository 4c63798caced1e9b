// SPDX-License-Identifier: Apache-2.0
// The reconcilers against a real API server. The test plays the node: it ends the pods.
#include <doctest/doctest.h>

#include "core/base/hash.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/http/client.h"
#include "delivery/git/platform_test.h"
#include "delivery/pipeline/pipeline.h"
#include "delivery/pipeline/run_triggers.h"
#include "delivery/pipeline/task_run_status.h"

namespace caisson::pipeline {
namespace {

constexpr const char* kManifests = R"yaml(
apiVersion: v1
kind: ServiceAccount
metadata: {name: builder, namespace: shop}
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: clone, namespace: shop}
spec:
  params: [{name: revision}]
  workspaces: [{name: source}]
  results: [{name: commit}]
  steps:
  - {name: clone, image: busybox, script: 'echo $(params.revision) > $(results.commit.path)'}
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: build, namespace: shop}
spec:
  params: [{name: tag}]
  workspaces: [{name: source}]
  steps:
  - {name: build, image: executor, args: ['--destination=x:$(params.tag)']}
---
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: deliver, namespace: shop}
spec:
  params: [{name: revision}]
  workspaces: [{name: source}]
  tasks:
  - {name: clone, taskRef: {name: clone}, params: [{name: revision, value: $(params.revision)}], workspaces: [{name: source, workspace: source}]}
  - {name: build, taskRef: {name: build}, params: [{name: tag, value: $(tasks.clone.results.commit)}], workspaces: [{name: source, workspace: source}]}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: push, namespace: shop, annotations: {caisson.dev/repository: app}}
spec:
  serviceAccountName: builder
  triggers:
  - name: main
    interceptors: [{ref: {name: cel}, params: [{name: filter, value: "body.ref == 'refs/heads/main'"}]}]
    bindings: [{name: revision, value: $(body.after)}]
    template: {ref: deliver}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: deliver, namespace: shop}
spec:
  params: [{name: revision}]
  resourcetemplates:
  - apiVersion: tekton.dev/v1
    kind: PipelineRun
    metadata: {generateName: deliver-}
    spec:
      pipelineRef: {name: deliver}
      taskRunTemplate: {serviceAccountName: builder}
      params: [{name: revision, value: $(tt.params.revision)}]
      workspaces:
      - name: source
        volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
)yaml";

struct Fixture : git::Platform {
  kube::Runtime runtime{*client, system_clock(), {.threads = 4}};
  git::Eventually eventually{runtime, {schema::kPods, schema::kTaskRuns, schema::kPipelineRuns, schema::kPushEvents}};
  TraceContext trace = TraceContext::start();

  explicit Fixture(Time up_since = Time{}) {
    add_pipeline(runtime, {.spans = &spans, .up_since = up_since});
    make_organization("shop");
    REQUIRE(create(kManifests) == "");
    runtime.start();
    REQUIRE(runtime.wait_synced(std::chrono::seconds(20)));
  }
  void push(const std::string& ref, const std::string& after) {
    kube::Object event = kube::Object::make(schema::kPushEvents, "shop", "app-" + after);
    event.set_annotation(kTraceparentAnnotation, trace.traceparent());
    event.edit({"spec"}) = Value{{"repository", "shop/app"},
                                 {"ref", ref},
                                 {"before", "0"},
                                 {"after", after},
                                 {"body", Value{{"ref", ref}, {"after", after}}}};
    REQUIRE(client->create(event).ok());
  }
  std::vector<kube::Object> all(const kube::Resource& resource) {
    kube::ListOptions options;
    options.ns = "shop";
    return client->list(resource, options).value().items;
  }
  std::optional<kube::Object> pod_of(const std::string& task) {
    for (const kube::Object& pod : all(schema::kPods)) {
      if (pod.label("tekton.dev/pipelineTask") == task && pod.status()["phase"].as_string() == "Pending") return pod;
    }
    return std::nullopt;
  }
  // What the node says at a pod's end.
  void end_pod(const kube::Object& pod, int exit_code, const std::string& results = "{}",
               const std::string& message = "") {
    kube::Object noted = pod;
    noted.set_annotation("caisson.dev/results", results);
    noted = client->update(noted).value();
    const std::string container = noted.spec()["containers"][0]["name"].str();
    const Value terminated{{"exitCode", exit_code},
                           {"reason", exit_code == 0 ? "Completed" : "Error"},
                           {"message", message},
                           {"startedAt", format_time(system_clock().now())},
                           {"finishedAt", format_time(system_clock().now())}};
    Value& status = noted.edit({"status"});
    status.set("phase", exit_code == 0 ? "Succeeded" : "Failed");
    status.set("containerStatuses", Value(std::vector<Value>{Value{{"name", container},
                                                                   {"image", "i"},
                                                                   {"imageID", "i"},
                                                                   {"ready", false},
                                                                   {"restartCount", 0},
                                                                   {"state", Value{{"terminated", terminated}}}}}));
    const auto written = client->update_status(noted);
    INFO((written.ok() ? "" : written.error().message));
    REQUIRE(written.ok());
  }
  std::string verdict() {
    const auto runs = all(schema::kPipelineRuns);
    if (runs.empty()) return "";
    const Value& condition = kube::condition(runs[0], "Succeeded");
    return condition["status"].str() + " " + condition["reason"].str() + ": " + condition["message"].str();
  }
};

TEST_CASE("a push becomes a PipelineRun whose tasks run one after the other, with results, workspace and one trace") {
  Fixture f;
  f.push("refs/heads/main", "abc123");
  REQUIRE(f.eventually([&] { return f.pod_of("clone").has_value(); }));
  CHECK_FALSE(f.pod_of("build").has_value());
  const kube::Object clone = *f.pod_of("clone");
  CHECK(clone.spec()["serviceAccountName"].as_string() == "builder");
  CHECK(clone.trace().trace_id == f.trace.trace_id);
  std::string claim;
  for (const Value& volume : clone.spec()["volumes"].items())
    claim += volume["persistentVolumeClaim"]["claimName"].str();
  CHECK(f.client->get(schema::kPersistentVolumeClaims, {"shop", claim}).ok());
  f.end_pod(clone, 0, R"({"commit":"abc123"})");
  REQUIRE(f.eventually([&] { return f.pod_of("build").has_value(); }));
  const kube::Object build = *f.pod_of("build");
  CHECK(build.spec()["containers"][0]["args"][0].as_string() == "--destination=x:abc123");
  f.end_pod(build, 0);
  REQUIRE(f.eventually([&] { return f.verdict().starts_with("True"); }));
  CHECK(f.verdict() == "True Succeeded: Tasks Completed: 2 (Failed: 0, Cancelled 0), Skipped: 0");

  // Handled once, by name; and only what the filter lets pass.
  REQUIRE(f.eventually([&] { return f.all(schema::kPushEvents)[0].status()["handledBy"].size() == 1; }));
  CHECK(f.all(schema::kPushEvents)[0].status()["handledBy"][0]["created"].size() == 1);
  f.push("refs/heads/side", "def456");
  REQUIRE(f.eventually([&] { return f.all(schema::kPushEvents)[1].status()["handledBy"].size() == 1; }));
  CHECK(f.all(schema::kPipelineRuns).size() == 1);
  REQUIRE(f.runtime.wait_idle(std::chrono::seconds(20)));
  const std::scoped_lock lock(f.spans.mutex);
  std::set<std::string> names, ids;
  for (const Span& span : f.spans.spans) {
    CHECK(span.context.trace_id == f.trace.trace_id);
    names.insert(span.name);
    ids.insert(span.context.span_id);
  }
  CHECK(names == std::set<std::string>{"pipeline deliver", "task clone", "task build", "step clone", "step build"});
  CHECK(ids.size() == 5);
}

TEST_CASE("a step that fails shows its exit code and last line in both conditions") {
  Fixture f;
  f.push("refs/heads/main", "abc123");
  REQUIRE(f.eventually([&] { return f.pod_of("clone").has_value(); }));
  f.end_pod(*f.pod_of("clone"), 3, "{}", "first\nfatal: it broke\n");
  REQUIRE(f.eventually([&] { return f.verdict().starts_with("False"); }));
  CHECK(
      f.verdict() ==
      "False Failed: Tasks Completed: 1 (Failed: 1, Cancelled 0), Skipped: 1. Task clone failed: \"step-clone\" exited "
      "with code 3: fatal: it broke");
  CHECK(kube::condition(f.all(schema::kTaskRuns)[0], "Succeeded")["message"].as_string() ==
        "\"step-clone\" exited with code 3: fatal: it broke");
}

TEST_CASE("a cancelled PipelineRun takes its pods with it") {
  Fixture f;
  f.push("refs/heads/main", "abc123");
  REQUIRE(f.eventually([&] { return f.pod_of("clone").has_value(); }));
  const kube::ObjectKey key = f.all(schema::kPipelineRuns)[0].key();
  REQUIRE(
      f.client
          ->patch(schema::kPipelineRuns, key, kube::PatchType::merge, Value{{"spec", Value{{"status", "Cancelled"}}}})
          .ok());
  REQUIRE(f.eventually([&] { return f.verdict().starts_with("False"); }));
  CHECK(f.verdict().starts_with("False Cancelled: PipelineRun"));
  CHECK(f.eventually([&] {
    const auto pods = f.all(schema::kPods);
    return pods.empty() || pods[0].deleting();
  }));
}

TEST_CASE("a task that is retried gets a second pod, and a Task that is not there is named") {
  Fixture f;
  REQUIRE(f.create(R"yaml(
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: again, namespace: shop, labels: {tekton.dev/pipelineTask: again}}
spec: {retries: 1, serviceAccountName: builder, taskSpec: {steps: [{name: a, image: i}]}}
---
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: lost, namespace: shop}
spec: {serviceAccountName: builder, taskRef: {name: nothing}}
)yaml") == "");
  REQUIRE(f.eventually([&] { return f.pod_of("again").has_value(); }));
  f.end_pod(*f.pod_of("again"), 1);
  REQUIRE(f.eventually([&] { return f.pod_of("again").has_value(); }));
  CHECK(f.pod_of("again")->name() == "again-pod-retry1");
  f.end_pod(*f.pod_of("again"), 0);
  const auto state = [&](const char* name) { return f.client->get(schema::kTaskRuns, {"shop", name}).value(); };
  REQUIRE(f.eventually([&] { return succeeded(state("again")) == "True"; }));
  CHECK(state("again").status()["retriesStatus"].size() == 1);
  REQUIRE(f.eventually([&] { return succeeded(state("lost")) == "False"; }));
  CHECK(kube::condition(state("lost"), "Succeeded")["message"].as_string() == "tasks.tekton.dev \"nothing\" not found");
}

TEST_CASE("a step that failed while the platform was away is no verdict: its task starts anew") {
  Fixture f(system_clock().now() + std::chrono::hours(1));  // whatever ends now ended before
  REQUIRE(f.create(R"yaml(
{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: cut, namespace: shop}, spec: {serviceAccountName: builder, taskSpec: {steps: [{image: busybox}]}}}
)yaml") == "");
  REQUIRE(f.eventually([&] {
    for (const kube::Object& pod : f.all(schema::kPods)) {
      if (pod.name() == "cut-pod") return true;
    }
    return false;
  }));
  const kube::Object first = f.client->get(schema::kPods, {"shop", "cut-pod"}).value();
  f.end_pod(first, 128, "{}", "fatal: fetch-pack: invalid index-pack output");
  REQUIRE(f.eventually([&] {
    const auto now = f.client->get(schema::kPods, {"shop", "cut-pod"});
    return now.ok() && now->uid() != first.uid();
  }));
  const auto state = [&] { return f.client->get(schema::kTaskRuns, {"shop", "cut"}).value(); };
  CHECK(succeeded(state()) == "Unknown");
  CHECK(state().status()["retriesStatus"].empty());  // nobody's retries are used up
  f.end_pod(f.client->get(schema::kPods, {"shop", "cut-pod"}).value(), 0);
  REQUIRE(f.eventually([&] { return succeeded(state()) == "True"; }));
}

TEST_CASE("a webhook with the right signature makes its run, one with a wrong signature is refused") {
  Fixture f;
  REQUIRE(f.create(R"yaml(
{apiVersion: v1, kind: Secret, metadata: {name: hook, namespace: shop}, stringData: {token: s3cret}}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: github, namespace: shop}
spec:
  triggers:
  - interceptors: [{ref: {name: github}, params: [{name: secretRef, value: {secretName: hook, secretKey: token}}, {name: eventTypes, value: [push]}]}]
    bindings: [{name: revision, value: $(body.after)}]
    template: {ref: deliver}
  - template: {spec: {resourcetemplates: [{apiVersion: v1, kind: ConfigMap, metadata: {name: grab, namespace: kube-system}}]}}
)yaml") == "");
  http::Server server = http::Server::start({}).value();
  const int port =
      server.listen("127.0.0.1", 0, [&](http::ExchangePtr exchange) { handle_hook(*f.client, exchange); }).value();
  const http::Client client;
  http::Request request;
  request.method = "POST";
  request.url = "http://127.0.0.1:" + std::to_string(port) + "/hooks/shop/github";
  request.body = R"({"after":"abc123"})";
  request.headers = {{"X-GitHub-Event", "push"}, {"X-Hub-Signature-256", "sha256=" + std::string(64, '0')}};
  CHECK(client.send(request)->status == 403);
  // printf '{"after":"abc123"}' | openssl dgst -sha256 -hmac s3cret
  request.headers.set("X-Hub-Signature-256", "sha256=cef5faf9b5894737ac5ea285c331b7e292e5de6b36504e2bd5791166f192ec86");
  const auto taken = client.send(request);
  CHECK(taken->status == 202);
  INFO(taken->body);
  CHECK(f.all(schema::kPipelineRuns).size() == 1);
  // A template can't do more than its listener's ServiceAccount.
  CHECK(taken->body.find("system:serviceaccount:shop:default may not create configmaps in kube-system") !=
        std::string::npos);
  request.body = "nonsense";
  CHECK(client.send(request)->status == 400);
  request.url += "x";
  CHECK(client.send(request)->status == 404);
}

TEST_CASE("a listener finds Triggers of other namespaces only where its account may read them") {
  Fixture f;
  f.make_organization("far");
  REQUIRE(f.create(std::string(shipped_roles())) == "");
  REQUIRE(f.create(R"yaml(
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: wide, namespace: shop}
spec: {serviceAccountName: builder, namespaceSelector: {matchNames: [far]}}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: there, namespace: far}
spec:
  serviceAccountName: robot
  template: {spec: {resourcetemplates: [{apiVersion: tekton.dev/v1beta1, kind: TaskRun, metadata: {generateName: t-}, spec: {taskSpec: {steps: [{image: busybox}]}}}]}}
)yaml") == "");
  const kube::Object listener = f.client->get(schema::kEventListeners, {"shop", "wide"}).value();
  TriggerEvent event;
  event.input = {Value::map(), Value::map(), {}};
  event.id = "one";
  const auto errors = [&] { return join(run_triggers(*f.client, listener, event, {})->errors, "; "); };
  const auto grant = [&](const std::string& ns, const std::string& account, const std::string& account_ns,
                         const std::string& rule) {
    const std::string name = "r" + sha256_hex(rule).substr(0, 6);
    const std::string head =
        "{apiVersion: rbac.authorization.k8s.io/v1, metadata: {name: " + name + ", namespace: " + ns + "}, ";
    REQUIRE(f.create(head + "kind: Role, rules: [" + rule + "]}\n---\n" + head +
                     "kind: RoleBinding, subjects: [{kind: ServiceAccount, name: " + account +
                     ", namespace: " + account_ns +
                     "}], roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: " + name + "}}") == "");
  };
  CHECK(errors().find("may not list triggers in far") != std::string::npos);
  grant("far", "builder", "shop", "{apiGroups: [triggers.tekton.dev], resources: [triggers], verbs: [list]}");
  CHECK(errors().find("may not get secrets in far") != std::string::npos);
  grant("far", "builder", "shop", "{apiGroups: [''], resources: [secrets], verbs: [get]}");
  CHECK(errors().find("may not impersonate serviceaccounts in far") != std::string::npos);
  grant("far", "builder", "shop", "{apiGroups: [''], resources: [serviceaccounts], verbs: [impersonate]}");
  CHECK(errors().find("system:serviceaccount:far:robot may not create taskruns in far") != std::string::npos);
  grant("far", "robot", "far", "{apiGroups: [tekton.dev], resources: [taskruns], verbs: [create]}");
  const auto made = run_triggers(*f.client, listener, event, {}).value();
  CHECK(made.errors.empty());
  CHECK(made.created.size() == 1);
  // The same event again makes nothing new.
  CHECK(run_triggers(*f.client, listener, event, {})->created == made.created);
}

TEST_CASE("a group's interceptors stand before the Triggers that its labels find") {
  Fixture f;
  REQUIRE(f.create(R"yaml(
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: grouped, namespace: shop}
spec:
  triggerGroups:
  - name: mine
    interceptors: [{ref: {name: cel}, params: [{name: filter, value: body.go}, {name: overlays, value: [{key: tag, expression: "'v1'"}]}]}]
    triggerSelector: {labelSelector: {matchLabels: {group: mine}}}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: in, namespace: shop, labels: {group: mine}}
spec:
  bindings: [{name: revision, value: $(extensions.tag)}]
  template: {ref: deliver}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: out, namespace: shop}
spec: {template: {ref: nothing}}
)yaml") == "");
  const kube::Object listener = f.client->get(schema::kEventListeners, {"shop", "grouped"}).value();
  TriggerEvent event;
  event.id = "one";
  event.input = {Value{{"go", false}}, Value::map(), {}};
  const auto kept_out = run_triggers(*f.client, listener, event, {}).value();
  CHECK(kept_out.created.empty());
  CHECK(join(kept_out.errors, "; ") == "");  // nobody was asked
  event.input.body = Value{{"go", true}};
  const auto made = run_triggers(*f.client, listener, event, {}).value();
  CHECK(join(made.errors, "; ") == "");
  REQUIRE(made.created.size() == 1);
  const auto runs = f.all(schema::kPipelineRuns);
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].spec()["params"][0]["value"].as_string() == "v1");
}

TEST_CASE("a listener has a Service, and what comes to its port is its event") {
  git::Platform platform;
  platform.make_organization("shop");
  kube::Runtime runtime(*platform.client, system_clock(), {.threads = 2});
  http::Server server = http::Server::start({}).value();
  add_pipeline(runtime, {.spans = &platform.spans,
                         .listen =
                             [&](http::Handler handler, const http::TlsOptions* tls) {
                               return server.listen("127.0.0.1", 0, std::move(handler), tls);
                             },
                         .node_address = "10.0.0.1"});
  git::Eventually eventually(runtime, {schema::kEventListeners, schema::kEndpointSlices});
  runtime.start();
  REQUIRE(platform.create(R"yaml(
apiVersion: triggers.tekton.dev/v1alpha1
kind: EventListener
metadata: {name: hook, namespace: shop}
spec:
  triggers:
  - template: {spec: {resourcetemplates: [{apiVersion: tekton.dev/v1beta1, kind: TaskRun, metadata: {generateName: t-}, spec: {taskSpec: {steps: [{image: busybox}]}}}]}}
)yaml") == "");
  REQUIRE(eventually([&] {
    const auto listener = platform.client->get(schema::kEventListeners, {"shop", "hook"});
    return listener.ok() && kube::condition(*listener, "Ready")["status"].as_string() == "True";
  }));
  const auto listener = platform.client->get(schema::kEventListeners, {"shop", "hook"}).value();
  CHECK(listener.status()["address"]["url"].as_string() == "http://el-hook.shop.svc.cluster.local:8080");
  CHECK(platform.client->get(schema::kServices, {"shop", "el-hook"})->spec()["ports"][0]["port"].as_int() == 8080);
  const auto slice = platform.client->get(schema::kEndpointSlices, {"shop", "el-hook-caisson"}).value();
  http::Request request;
  request.method = "POST";
  request.url = "http://127.0.0.1:" + std::to_string(slice["ports"][0]["port"].as_int()) + "/";
  const auto taken = http::Client().send(request).value();
  CHECK(taken.status == 202);
  CHECK(json::parse(taken.body)->operator[]("eventListener").as_string() == "hook");
  CHECK(platform.client->list(schema::kTaskRuns, {.ns = "shop"})->items.size() == 1);
}

}  // namespace
}  // namespace caisson::pipeline
