// SPDX-License-Identifier: Apache-2.0
// What goes when: cleanup policies and the time-to-live label, over a real API server with a clock of the test's own.
#include <doctest/doctest.h>

#include "cluster/apiserver/testing_test.h"
#include "cluster/kube/reconciler.h"
#include "security/policy/admission_plugin.h"
#include "security/policy/cleanup.h"
#include "security/policy/cleanup_policy.h"

namespace caisson::policy {
namespace {

struct CleanedServer {
  apiserver::TestServer server;
  std::unique_ptr<kube::Client> own = server.client("system:caisson", {"system:masters"});
  kube::Runtime runtime{*own, server.clock, {.threads = 2}};

  CleanedServer() { server.make_namespace("shop"); }
  void start() {
    add_cleanup(runtime);
    runtime.start();
    REQUIRE(runtime.wait_synced(std::chrono::seconds(10)));
    runtime.wait_idle(std::chrono::seconds(10));  // when a policy is due is counted from its first turn
  }
  void config_map(const std::string& name, const std::string& labels = "{}") {
    server.create("{apiVersion: v1, kind: ConfigMap, metadata: {name: " + name +
                  ", namespace: shop, labels: " + labels + "}, data: {a: b}}");
  }
  // What is due by then is done.
  void pass(Duration by) {
    server.clock.advance(by);
    runtime.wait_idle(std::chrono::seconds(10));
  }
  bool has(const std::string& name) { return server.admin->get(schema::kConfigMaps, {"shop", name}).ok(); }
};

Value policy_of(const std::string& schedule) {
  return yaml::read("{apiVersion: kyverno.io/v2, kind: ClusterCleanupPolicy, metadata: {name: p}, spec: {schedule: '" +
                    schedule + "', match: {any: [{resources: {kinds: [Pod]}}]}}}")
      .value();
}

}  // namespace

TEST_CASE("a cleanup policy removes at its time what matches and meets its conditions, and nothing else") {
  CleanedServer s;
  s.config_map("old", "{canremove: 'true'}");
  s.config_map("kept");
  s.config_map("full", "{canremove: 'true', keep: 'yes'}");
  s.server.create(R"yaml(
apiVersion: kyverno.io/v2
kind: ClusterCleanupPolicy
metadata: {name: clean}
spec:
  schedule: "*/5 * * * *"
  match: {any: [{resources: {kinds: [ConfigMap], selector: {matchLabels: {canremove: "true"}}}}]}
  conditions: {all: [{key: "{{ target.metadata.labels.keep || 'no' }}", operator: NotEquals, value: "yes"}]}
)yaml");
  s.start();
  CHECK(s.has("old"));
  s.pass(std::chrono::minutes(6));
  CHECK(!s.has("old"));
  CHECK(s.has("kept"));
  CHECK(s.has("full"));
  const schema::Resource kind{"kyverno.io", "v2", "ClusterCleanupPolicy", "clustercleanuppolicies", false};
  CHECK(!s.server.admin->get(kind, {"", "clean"})->status()["lastExecutionTime"].as_string().empty());
}

TEST_CASE("a CleanupPolicy reaches no further than its namespace") {
  CleanedServer s;
  s.server.make_namespace("other");
  s.config_map("here");
  s.server.create("{apiVersion: v1, kind: ConfigMap, metadata: {name: there, namespace: other}}");
  s.server.create(R"yaml({apiVersion: kyverno.io/v2, kind: CleanupPolicy, metadata: {name: clean, namespace: shop},
    spec: {schedule: "* * * * *", match: {any: [{resources: {kinds: [ConfigMap]}}]}}})yaml");
  s.start();
  s.pass(std::chrono::minutes(2));
  CHECK(!s.has("here"));
  CHECK(s.server.admin->get(schema::kConfigMaps, {"other", "there"}).ok());
}

TEST_CASE("a DeletingPolicy removes what its CEL conditions name") {
  CleanedServer s;
  s.config_map("a");
  s.config_map("b", "{temporary: 'true'}");
  s.server.create(R"yaml(
apiVersion: policies.kyverno.io/v1
kind: DeletingPolicy
metadata: {name: clean}
spec:
  schedule: "* * * * *"
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], resources: [configmaps]}]}
  variables: [{name: labels, expression: "object.metadata.?labels.orValue({})"}]
  conditions: [{name: temporary, expression: "'temporary' in variables.labels"}]
)yaml");
  s.start();
  s.pass(std::chrono::minutes(2));
  CHECK(s.has("a"));
  CHECK(!s.has("b"));
}

TEST_CASE("an object goes when the time of its label has run out") {
  CleanedServer s;
  s.config_map("short", "{cleanup.kyverno.io/ttl: 2m}");
  s.config_map("long", "{cleanup.kyverno.io/ttl: 1d}");
  s.config_map("wrong", "{cleanup.kyverno.io/ttl: soon}");
  s.start();
  s.pass(std::chrono::minutes(1));
  CHECK(s.has("short"));
  s.pass(std::chrono::minutes(2));
  CHECK(!s.has("short"));
  CHECK(s.has("long"));
  CHECK(s.has("wrong"));
}

TEST_CASE("what is written with a label goes at its time, long before the cleaner looks around again") {
  const auto deadlines = std::make_shared<Deadlines>();
  FakeClock clock;  // of the plug-in, which is made before the server: both begin at the same time
  apiserver::ApiServerOptions options;
  options.admission.push_back(
      make_policy_admission({.policies = std::make_shared<Policies>(), .deadlines = deadlines, .clock = &clock}));
  apiserver::TestServer server(std::move(options));
  const auto own = server.client("system:caisson", {"system:masters"});
  kube::Runtime runtime(*own, server.clock, {.threads = 2});
  server.make_namespace("shop");
  add_cleanup(runtime, {.ttl_interval = std::chrono::hours(24), .deadlines = deadlines});
  runtime.start();
  REQUIRE(runtime.wait_synced(std::chrono::seconds(10)));
  runtime.wait_idle(std::chrono::seconds(10));
  const auto has = [&](const char* name) { return server.admin->get(schema::kConfigMaps, {"shop", name}).ok(); };
  for (const char* name : {"short", "long"})
    server.create("{apiVersion: v1, kind: ConfigMap, metadata: {name: " + std::string(name) +
                  ", namespace: shop, labels: {cleanup.kyverno.io/ttl: " + (name[0] == 's' ? "5s" : "5m") + "}}}");
  CHECK(has("short"));
  server.clock.advance(std::chrono::seconds(6));
  runtime.wait_idle(std::chrono::seconds(10));
  CHECK(!has("short"));
  CHECK(has("long"));
  server.clock.advance(std::chrono::minutes(5));
  runtime.wait_idle(std::chrono::seconds(10));
  CHECK(!has("long"));
}

TEST_CASE("times and durations of the label are read, and nonsense is named") {
  const auto when = [](const std::string& label) {
    Value object = yaml::read("{metadata: {creationTimestamp: '2026-01-01T00:00:00Z', labels: {}}}").value();
    object.edit({"metadata", "labels"}).set(kTtlLabel, label);
    const auto time = time_to_go(object);
    return time.ok() ? (*time ? format_time(**time) : "never") : "error";
  };
  CHECK(when("90s") == "2026-01-01T00:01:30Z");
  CHECK(when("4h") == "2026-01-01T04:00:00Z");
  CHECK(when("1d12h") == "2026-01-02T12:00:00Z");
  CHECK(when("2w") == "2026-01-15T00:00:00Z");
  CHECK(when("2026-03-01") == "2026-03-01T00:00:00Z");
  CHECK(when("2026-03-01T103000Z") == "2026-03-01T10:30:00Z");
  CHECK(when("soon") == "error");
  CHECK(when("") == "error");
  CHECK(when("9999999999999w") == "error");
  CHECK(!*time_to_go(Value::map()));
}

TEST_CASE("a cleanup policy that can't be is refused with its field") {
  const auto why = [](Value policy) {
    const auto compiled = compile_cleanup_policy(policy);
    return compiled.ok() ? "fine" : compiled.error().message;
  };
  CHECK(why(policy_of("*/5 * * * *")) == "fine");
  CHECK(why(policy_of("at noon")).find("spec.schedule") == 0);
  Value users = policy_of("* * * * *");
  users.edit({"spec", "match"}) = yaml::read("{any: [{resources: {kinds: [Pod]}, clusterRoles: [admin]}]}").value();
  CHECK(why(users).find("nobody asks") != std::string::npos);
  Value conditions = policy_of("* * * * *");
  conditions.edit({"spec", "conditions"}) = yaml::read("{all: [{key: a, operator: Resembles, value: b}]}").value();
  CHECK(why(conditions).find("spec.conditions") == 0);
  Value nothing = policy_of("* * * * *");
  nothing.edit({"spec", "match"}) = Value::map();
  CHECK(why(nothing).find("spec.match") == 0);
  Value how = policy_of("* * * * *");
  how.edit("spec").set("deletionPropagationPolicy", "Later");
  CHECK(why(how).find("spec.deletionPropagationPolicy") == 0);
}

}  // namespace caisson::policy
