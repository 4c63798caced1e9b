// SPDX-License-Identifier: Apache-2.0
// Scans, notices and the verdict before a sync, over a real API server.
#include <doctest/doctest.h>

#include <algorithm>

#include "cluster/apiserver/testing_test.h"
#include "cluster/kube/reconciler.h"
#include "core/base/encoding.h"
#include "security/policy/admission_plugin.h"
#include "security/policy/background.h"
#include "security/policy/verdict.h"

namespace caisson::policy {
namespace {

// A Slack-compatible receiver.
struct Receiver {
  std::mutex mutex;
  std::condition_variable came;
  std::vector<std::string> texts;  // GUARDED_BY(mutex)
  int status = 200;
  http::Server server = http::Server::start({}).value();
  int port = server
                 .listen("127.0.0.1", 0,
                         [this](http::ExchangePtr exchange) {
                           const auto text = exchange->read_body(1u << 20);
                           const auto body = json::parse(text.ok() ? *text : "");
                           const std::lock_guard lock(mutex);
                           texts.push_back(body.ok() ? (*body)["text"].str() : "no JSON");
                           exchange->respond({.status = status, .body = "ok"});
                           came.notify_all();
                         })
                 .value();

  bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex);
    return came.wait_for(lock, std::chrono::seconds(10), [&] { return texts.size() >= count; });
  }
  std::size_t count() {
    const std::lock_guard lock(mutex);
    return texts.size();
  }
};

struct WatchedServer {
  Receiver receiver;
  std::shared_ptr<Policies> policies = std::make_shared<Policies>();
  std::shared_ptr<Notices> notices = std::make_shared<Notices>();
  std::unique_ptr<kube::Client> own;
  apiserver::TestServer server{options()};
  std::unique_ptr<kube::Runtime> runtime;

  WatchedServer() {
    own = server.client("system:caisson", {"system:masters"});
    server.make_namespace("shop");
    server.create(
        "{apiVersion: v1, kind: Secret, metadata: {name: policy-notifications, namespace: caisson-system}, data: "
        "{url: " +
        base64("http://127.0.0.1:" + std::to_string(receiver.port) + "/services/T/B/x") + "}}");
    runtime = std::make_unique<kube::Runtime>(*own, server.clock, kube::RuntimeOptions{.threads = 2});
  }
  apiserver::ApiServerOptions options() {
    apiserver::ApiServerOptions options;
    options.admission.push_back(
        make_policy_admission({.policies = policies, .client = [this] { return own.get(); }, .notices = notices}));
    return options;
  }
  void start() {
    add_policies(*runtime, {.policies = policies, .notices = notices});
    add_notices(*runtime, {.notices = notices});
    runtime->start();
    REQUIRE(runtime->wait_synced(std::chrono::seconds(10)));
    idle();
  }
  void idle() { runtime->wait_idle(std::chrono::seconds(10)); }
  // What the runtime does about an event it may not have got yet: being idle says nothing of it.
  template <class Condition>
  bool becomes(Condition condition) {
    const Duration end = system_clock().monotonic() + std::chrono::seconds(10);
    while (!condition()) {
      if (system_clock().monotonic() > end) return false;
      server.clock.advance(std::chrono::minutes(1));
      idle();
    }
    return true;
  }
  void add_policy(std::string_view yaml) {
    policies->set(server.create(yaml).value());
    idle();
  }
  Result<kube::Object> make(std::string_view yaml) { return server.admin->create(apiserver::object(yaml)); }
  std::vector<std::string> events(std::string_view reason) {
    std::vector<std::string> out;
    const auto list = server.admin->list(schema::kEvents, {});
    REQUIRE(list.ok());
    for (const kube::Object& one : list->items)
      if (one["reason"].as_string() == reason) out.push_back(one["message"].str());
    return out;
  }
};

std::string needs_team(const std::string& action) {
  return R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: require-team}
spec:
  rules:
  - name: check-team
    match: {any: [{resources: {kinds: [ConfigMap], namespaces: [shop]}}]}
    validate:
      failureAction: )yaml" +
         action + R"yaml(
      message: "label team is needed"
      pattern: {metadata: {labels: {team: "?*"}}}
)yaml";
}

constexpr std::string_view kSmallMaps = R"yaml(
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: small-maps}
spec:
  validationActions: [Audit]
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations: [{expression: "size(object.?data.orValue({})) < 2", message: "too many keys"}]
)yaml";

}  // namespace

TEST_CASE("a refused request is told once, and again after an hour with how often it came") {
  WatchedServer s;
  s.start();
  s.add_policy(needs_team("Enforce"));
  const auto refuse = [&] {
    CHECK(!s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}").ok());
  };
  refuse();
  REQUIRE(s.receiver.wait_for(1));
  CHECK(s.receiver.texts[0].find("require-team/check-team: ConfigMap shop/a was refused (admin)") != std::string::npos);
  CHECK(s.receiver.texts[0].find("label team is needed") != std::string::npos);
  refuse();
  refuse();
  s.idle();
  CHECK(s.receiver.count() == 1);
  s.server.clock.advance(std::chrono::minutes(61));
  refuse();
  REQUIRE(s.receiver.wait_for(2));
  CHECK(s.receiver.texts[1].find("2 times more") != std::string::npos);
}

TEST_CASE("what a scan finds anew is told, what was known is not") {
  WatchedServer s;
  REQUIRE(s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: old, namespace: shop}}").ok());
  s.start();
  s.add_policy(needs_team("Audit"));
  REQUIRE(s.receiver.wait_for(1));
  CHECK(s.receiver.texts[0].find("ConfigMap shop/old violates the policy") != std::string::npos);
  s.server.clock.advance(std::chrono::hours(2));
  s.idle();
  CHECK(s.receiver.count() == 1);
}

TEST_CASE("policies in CEL are scanned, too, and their exceptions hold") {
  WatchedServer s;
  REQUIRE(s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: big, namespace: shop}, data: {a: x, b: y}}").ok());
  s.start();
  s.add_policy(kSmallMaps);
  const schema::Resource kind{"wgpolicyk8s.io", "v1alpha2", "PolicyReport", "policyreports", true};
  const auto failures = [&] {
    std::size_t out = 0;
    const auto reports = s.server.admin->list(kind, {.ns = "shop"});
    REQUIRE(reports.ok());
    for (const kube::Object& report : reports->items)
      out += static_cast<std::size_t>(report["summary"]["fail"].as_int());
    return out;
  };
  CHECK(s.becomes([&] { return failures() == 1; }));
  s.add_policy(
      R"yaml({apiVersion: policies.kyverno.io/v1, kind: PolicyException, metadata: {name: big, namespace: shop},
    spec: {policyRefs: [{name: small-maps, kind: ValidatingPolicy}],
      matchConditions: [{name: big, expression: "object.metadata.name == 'big'"}]}})yaml");
  CHECK(s.becomes([&] { return failures() == 0; }));
}

TEST_CASE("what a rule generates is made for what was there, follows its source, and is put right") {
  WatchedServer s;
  REQUIRE(s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: source, namespace: shop, labels: {give: 'yes'}}, "
                 "data: {a: one}}")
              .ok());
  s.server.make_namespace("team");
  s.start();
  const std::string policy = R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: NAME}
spec:
  rules:
  - name: copy
    match: {any: [{resources: {kinds: [Namespace], names: [team]}}]}
    generate: {generateExisting: EXISTING, synchronize: true, namespace: "{{ request.object.metadata.name }}",
      cloneList: {namespace: shop, kinds: [v1/ConfigMap], selector: {matchLabels: {give: 'yes'}}}}
)yaml";
  const auto named = [&](const std::string& name, const std::string& existing) {
    std::string text = policy;
    text.replace(text.find("NAME"), 4, name);
    return text.replace(text.find("EXISTING"), 8, existing);
  };
  const schema::Resource kind{"", "v1", "ConfigMap", "configmaps", true};
  const auto copy = [&] {
    const auto got = s.server.admin->get(kind, {"team", "source"});
    return got.ok() ? got->value()["data"]["a"].str() : "";
  };
  s.server.clock.advance(std::chrono::minutes(1));  // the namespace is older than the policy
  s.add_policy(named("later", "false"));
  s.server.clock.advance(std::chrono::minutes(2));
  s.idle();
  CHECK(copy() == "");
  s.add_policy(named("existing", "true"));
  CHECK(s.becomes([&] { return copy() == "one"; }));
  REQUIRE(s.server.admin
              ->update(apiserver::object("{apiVersion: v1, kind: ConfigMap, metadata: {name: source, namespace: shop, "
                                         "labels: {give: 'yes'}}, data: {a: two}}"))
              .ok());
  CHECK(s.becomes([&] { return copy() == "two"; }));
  REQUIRE(s.server.admin->remove(kind, {"team", "source"}).ok());
  CHECK(s.becomes([&] { return copy() == "two"; }));
}

TEST_CASE("what a rule keeps in step goes with its trigger, and what the policy says with the policy") {
  WatchedServer s;
  const std::string_view trigger = "{apiVersion: v1, kind: ConfigMap, metadata: {name: trigger, namespace: shop}}";
  REQUIRE(s.make(trigger).ok());
  s.start();
  const auto policy = [](const std::string& name, const std::string& more) {
    return "{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: " + name +
           "}, spec: {rules: [{name: make, match: {any: [{resources: {kinds: [ConfigMap], names: [trigger]}}]}, "
           "generate: {generateExisting: true, " +
           more + "apiVersion: v1, kind: Secret, name: of-" + name +
           ", namespace: '{{ request.object.metadata.namespace }}', data: {stringData: {a: b}}}}]}}";
  };
  s.add_policy(policy("kept", "synchronize: true, "));
  s.add_policy(policy("orphan", "synchronize: true, orphanDownstreamOnPolicyDelete: true, "));
  s.add_policy(policy("loose", ""));
  const schema::Resource secrets{"", "v1", "Secret", "secrets", true}, maps{"", "v1", "ConfigMap", "configmaps", true};
  const auto is_there = [&](const std::string& name) { return s.server.admin->get(secrets, {"shop", name}).ok(); };
  CHECK(s.becomes([&] { return is_there("of-kept") && is_there("of-orphan") && is_there("of-loose"); }));
  REQUIRE(s.server.admin->remove(maps, {"shop", "trigger"}).ok());
  CHECK(s.becomes([&] { return !is_there("of-kept") && !is_there("of-orphan"); }));
  CHECK(is_there("of-loose"));
  REQUIRE(s.make(trigger).ok());
  CHECK(s.becomes([&] { return is_there("of-kept") && is_there("of-orphan"); }));
  const schema::Resource policies{"kyverno.io", "v1", "ClusterPolicy", "clusterpolicies", false};
  for (const char* name : {"kept", "orphan", "loose"}) REQUIRE(s.server.admin->remove(policies, {"", name}).ok());
  CHECK(s.becomes([&] { return !is_there("of-kept"); }));
  CHECK(is_there("of-orphan"));
  CHECK(is_there("of-loose"));
}

TEST_CASE("a policy that somebody deletes leaves a word of it") {
  WatchedServer s;
  s.start();
  s.add_policy(needs_team("Enforce"));
  const schema::Resource kind{"kyverno.io", "v1", "ClusterPolicy", "clusterpolicies", false};
  REQUIRE(s.server.client("mallory", {"system:masters"})->remove(kind, {"", "require-team"}).ok());
  REQUIRE(s.receiver.wait_for(1));
  CHECK(s.receiver.texts[0].find("ClusterPolicy require-team was deleted by mallory") != std::string::npos);
}

TEST_CASE("nobody without rights on policies writes one") {
  WatchedServer s;
  const auto user = s.server.client("user");
  const auto made = user->create(apiserver::object(needs_team("Audit")));
  REQUIRE(!made.ok());
  CHECK(made.error().code == ErrorCode::forbidden);
  s.server.create(needs_team("Audit"));
  const schema::Resource kind{"kyverno.io", "v1", "ClusterPolicy", "clusterpolicies", false};
  const auto removed = user->remove(kind, {"", "require-team"});
  REQUIRE(!removed.ok());
  CHECK(removed.error().code == ErrorCode::forbidden);
}

TEST_CASE("the verdict foresees what admission would say, after the mutations") {
  WatchedServer s;
  s.policies->set(apiserver::object(needs_team("Enforce")).value());
  s.policies->set(apiserver::object(kSmallMaps).value());
  const Verdict verdict(s.policies, *s.own, {"gitops", "", {}, {}, {}, true});
  const auto foreseen = [&](std::string_view yaml) { return verdict.of(apiserver::object(yaml).value()); };
  const auto first =
      foreseen("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}, data: {a: x, b: y}}");
  REQUIRE(first.size() == 2);
  CHECK(first[0].policy == "require-team");
  CHECK(first[0].enforced);
  CHECK(first[1].policy == "small-maps");
  CHECK(!first[1].enforced);
  CHECK(foreseen("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: kube-system}}").empty());
  const auto generation = verdict.generation();
  s.policies->set(apiserver::object(R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: add-team}
spec:
  rules:
  - name: add-team
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    mutate: {patchStrategicMerge: {metadata: {labels: {"+(team)": web}}}}
)yaml")
                      .value());
  CHECK(verdict.generation() != generation);
  CHECK(foreseen("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}").empty());
}

}  // namespace caisson::policy
