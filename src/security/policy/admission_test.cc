// SPDX-License-Identifier: Apache-2.0
// Policies in the chain of a real API server over a temporary store.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cluster/apiserver/testing_test.h"
#include "security/policy/admission_plugin.h"
#include "security/policy/client_lookups.h"

namespace caisson::policy {
namespace {

struct PolicedServer {
  std::shared_ptr<Policies> policies = std::make_shared<Policies>();
  std::unique_ptr<kube::Client> own;
  apiserver::TestServer server{options()};

  PolicedServer() {
    own = server.client("system:caisson", {"system:masters"});
    server.make_namespace("shop");
  }
  apiserver::ApiServerOptions options() {
    apiserver::ApiServerOptions options;
    options.admission.push_back(make_policy_admission({.policies = policies, .client = [this] { return own.get(); }}));
    return options;
  }
  // As the informer would tell it.
  void add_policy(std::string_view yaml) { policies->set(server.create(yaml).value()); }
  Result<kube::Object> make(std::string_view yaml) { return server.admin->create(apiserver::object(yaml)); }
};

constexpr std::string_view kNeedsLabel = R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: require-team}
spec:
  rules:
  - name: check-team
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    validate:
      failureAction: Enforce
      message: "label team is needed"
      pattern: {metadata: {labels: {team: "?*"}}}
)yaml";

}  // namespace

TEST_CASE("an enforced rule refuses an object in Kyverno's words") {
  PolicedServer s;
  s.add_policy(kNeedsLabel);
  const auto refused = s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}");
  REQUIRE(!refused.ok());
  CHECK(refused.error().message.find("resource ConfigMap/shop/a was blocked due to the following policies") !=
        std::string::npos);
  CHECK(refused.error().message.find("require-team:\n  check-team: ") != std::string::npos);
  CHECK(refused.error().message.find("label team is needed.") != std::string::npos);
  CHECK(refused.error().message.find("/metadata/labels/") != std::string::npos);
  CHECK(s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: shop, labels: {team: web}}}").ok());
}

TEST_CASE("other kinds and the platform's own namespaces are not asked about") {
  PolicedServer s;
  s.add_policy(kNeedsLabel);
  CHECK(s.make("{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: shop}}").ok());
  CHECK(s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: kube-system}}").ok());
}

TEST_CASE("a policy that can't be compiled is refused with its rule and field named") {
  PolicedServer s;
  const auto refused = s.make(R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: broken}
spec:
  rules:
  - name: wrong
    match: {any: [{resources: {kinds: [Pod]}}]}
    validate: {deny: {conditions: {any: [{key: "{{ request.object.( }}", operator: Equals, value: x}]}}}
)yaml");
  REQUIRE(!refused.ok());
  CHECK(refused.error().message.find("rule wrong") != std::string::npos);
  CHECK(refused.error().message.find("{{ request.object.( }}") != std::string::npos);
  const auto no_bool = s.make(R"yaml(
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: text}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}
  validations: [{expression: "'a' + object.metadata.name"}]
)yaml");
  REQUIRE(!no_bool.ok());
  CHECK(no_bool.error().message.find("is string, output is expected to be of type bool") != std::string::npos);
}

TEST_CASE("what this engine can't verify is refused by name when the policy is written") {
  PolicedServer s;
  const auto refused = s.make(R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: signed-manifests}
spec:
  rules:
  - name: signed
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    validate: {manifests: {attestors: [{entries: [{keys: {publicKeys: k}}]}]}}
)yaml");
  REQUIRE(!refused.ok());
  CHECK(refused.error().message.find("rule signed: validate.manifests") != std::string::npos);
}

TEST_CASE("a patch with a field that its kind lacks is refused with its rule, unless schemaValidation is off") {
  PolicedServer s;
  const auto policy = [](const std::string& kinds, const std::string& patch) {
    return "{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: p}, spec: {rules: [{name: r, match: "
           "{any: [{resources: {kinds: [" +
           kinds + "]}}]}, mutate: {patchStrategicMerge: " + patch + "}}]}}";
  };
  const auto refused = s.make(policy("Pod", "{spec: {containers: [{(name): '*', imag: x}]}}"));
  REQUIRE(!refused.ok());
  CHECK(refused.error().message.find("rule r: mutate.patchStrategicMerge: Pod has no field spec.containers[0].imag") !=
        std::string::npos);
  CHECK(!s.make(policy("apps/v1/Deployment", "{spec: {tier: x}}")).ok());
  const auto loop = "{spec: {containers: [{(name): '{{ element.name }}', nothing: 1}]}}";
  CHECK(!s.make("{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: p}, spec: {rules: [{name: r, match: "
                "{any: [{resources: {kinds: [Pod]}}]}, mutate: {foreach: [{list: request.object.spec.containers, "
                "patchStrategicMerge: " +
                std::string(loop) + "}]}}]}}")
             .ok());
  const auto made = s.make(
      policy("Pod", "{metadata: {annotations: {+(a): b}}, spec: {$patch: merge, +(nodeSelector): {'{{ a }}': b}}}"));
  CHECK_MESSAGE(made.ok(), apiserver::failure(made));
  const auto unasked = s.make(
      "{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: q}, spec: "
      "{schemaValidation: false, rules: [{name: r, match: {any: [{resources: {kinds: [Pod]}}]}, "
      "mutate: {patchStrategicMerge: {spec: {nothing: x}}}}]}}");
  CHECK_MESSAGE(unasked.ok(), apiserver::failure(unasked));
}

TEST_CASE("failureActionOverrides of policy and rule count in the namespaces that they name") {
  PolicedServer s;
  s.server.make_namespace("dev");
  s.add_policy(R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: require-team}
spec:
  validationFailureAction: Audit
  validationFailureActionOverrides: [{action: Enforce, namespaces: ["sh*"]}]
  rules:
  - name: check-team
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    validate: {message: "label team is needed", pattern: {metadata: {labels: {team: "?*"}}}}
  - name: check-name
    match: {any: [{resources: {kinds: [Secret]}}]}
    validate:
      failureAction: Enforce
      failureActionOverrides: [{action: Audit, namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: dev}}}]
      message: "label team is needed"
      pattern: {metadata: {labels: {team: "?*"}}}
)yaml");
  CHECK(!s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}").ok());
  CHECK(s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: dev}}").ok());
  CHECK(!s.make("{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: shop}}").ok());
  CHECK(s.make("{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: dev}}").ok());
}

TEST_CASE("a rule sees what a GlobalContextEntry names, as it is now") {
  PolicedServer s;
  s.server.create(R"yaml({apiVersion: kyverno.io/v2alpha1, kind: GlobalContextEntry, metadata: {name: maps},
    spec: {kubernetesResource: {version: v1, resource: configmaps, namespace: shop},
      projections: [{name: names, jmesPath: "[].metadata.name"}]}})yaml");
  s.add_policy(R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: known-maps}
spec:
  rules:
  - name: known
    match: {any: [{resources: {kinds: [Secret]}}]}
    context: [{name: known, globalReference: {name: maps, jmesPath: names}}]
    validate:
      failureAction: Enforce
      message: "there is no ConfigMap of that name"
      deny: {conditions: {all: [{key: "{{ request.object.metadata.name }}", operator: AnyNotIn, value: "{{ known }}"}]}}
)yaml");
  CHECK(!s.make("{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: shop}}").ok());
  REQUIRE(s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}").ok());
  const auto made = s.make("{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: shop}}");
  CHECK_MESSAGE(made.ok(), apiserver::failure(made));
}

TEST_CASE("mutation comes before validation, so that what a policy adds is there") {
  PolicedServer s;
  s.add_policy(kNeedsLabel);
  s.add_policy(R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: add-team}
spec:
  rules:
  - name: add-team
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    mutate: {patchStrategicMerge: {metadata: {labels: {"+(team)": "{{ request.userInfo.username }}"}}}}
)yaml");
  const auto made = s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}");
  REQUIRE_MESSAGE(made.ok(), apiserver::failure(made));
  CHECK(made->label("team") == "admin");
}

TEST_CASE("an exception exempts the object that it names and no other") {
  PolicedServer s;
  s.add_policy(kNeedsLabel);
  s.add_policy(R"yaml(
apiVersion: kyverno.io/v2
kind: PolicyException
metadata: {name: old-one, namespace: shop}
spec:
  exceptions: [{policyName: require-team, ruleNames: [check-team]}]
  match: {any: [{resources: {kinds: [ConfigMap], names: [legacy]}}]}
)yaml");
  CHECK(s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: legacy, namespace: shop}}").ok());
  CHECK(!s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: new, namespace: shop}}").ok());
}

TEST_CASE("each level of Pod Security refuses for itself, though a request is looked at once for each") {
  PolicedServer s;
  const auto policy = [](const std::string& name, const std::string& level) {
    return "{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: " + name +
           "}, spec: {rules: [{name: standard, match: {any: [{resources: {kinds: [Pod]}}]}, validate: {failureAction: "
           "Enforce, podSecurity: {level: " +
           level + ", version: latest}}}]}}";
  };
  for (const char* name : {"a-baseline", "b-baseline"}) s.add_policy(policy(name, "baseline"));
  for (const char* name : {"c-restricted", "d-restricted"}) s.add_policy(policy(name, "restricted"));
  const auto made = s.make(
      "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: shop}, spec: {containers: [{name: c, image: x}]}}");
  REQUIRE(!made.ok());
  CHECK(made.error().message.find("baseline") == std::string::npos);
  CHECK(made.error().message.find("c-restricted") != std::string::npos);
  CHECK(made.error().message.find("d-restricted") != std::string::npos);
}

TEST_CASE("of a policy that applies one rule, the rules after one that passed are not asked") {
  PolicedServer s;
  s.add_policy(R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: one}
spec:
  applyRules: One
  rules:
  - name: first
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    preconditions: {all: [{key: "{{ request.object.metadata.labels.team || '' }}", operator: Equals, value: web}]}
    validate: {failureAction: Enforce, message: "name it", pattern: {metadata: {name: "?*"}}}
  - name: second
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    validate: {failureAction: Enforce, message: "no", deny: {}}
)yaml");
  CHECK(s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop, labels: {team: web}}}").ok());
  CHECK(!s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: shop, labels: {team: api}}}").ok());
}

TEST_CASE("a request that the policy's matchConditions leave out meets none of its rules") {
  PolicedServer s;
  const auto policy = [](const std::string& condition, const std::string& more = "") {
    return "{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: some}, spec: {" + more +
           "webhookConfiguration: {matchConditions: [{name: not-ours, expression: \"" + condition +
           "\"}]}, rules: [{name: never, match: {any: [{resources: {kinds: [ConfigMap]}}]}, validate: {failureAction: "
           "Enforce, message: 'not here', deny: {}}}]}}";
  };
  const auto make = [&](const std::string& name) {
    const auto made = s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: " + name + ", namespace: shop}}");
    return made.ok() ? "" : made.error().message;
  };
  const auto broken = s.server.admin->create(apiserver::object(policy("object.metadata.(")));
  REQUIRE(!broken.ok());
  CHECK(broken.error().message.find("spec.webhookConfiguration: matchConditions.not-ours") != std::string::npos);
  s.add_policy(policy("object.metadata.name != 'ours' && request.operation == 'CREATE'"));
  CHECK(make("ours").empty());
  CHECK(make("theirs").find("not here") != std::string::npos);
  // What can't be evaluated is answered by failurePolicy.
  s.policies->set(apiserver::object(policy("object.data.x == 'y'")).value());
  CHECK(make("a").find("webhookConfiguration.matchConditions") != std::string::npos);
  s.policies->set(apiserver::object(policy("object.data.x == 'y'", "failurePolicy: Ignore, ")).value());
  CHECK(make("b").empty());
}

TEST_CASE("policies written in earlier versions of their groups are stored, shown in each version and in force") {
  PolicedServer s;
  s.server.create(
      R"yaml({apiVersion: kyverno.io/v2beta1, kind: ClusterPolicy, metadata: {name: by-pattern}, spec: {rules: [
    {name: team, match: {any: [{resources: {kinds: [ConfigMap]}}]},
     validate: {failureAction: Enforce, message: "team is missing", pattern: {metadata: {labels: {team: "?*"}}}}}]}})yaml");
  s.server.create(
      R"yaml({apiVersion: policies.kyverno.io/v1alpha1, kind: ValidatingPolicy, metadata: {name: by-cel}, spec: {
    matchConstraints: {resourceRules: [
      {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]},
    validations: [{expression: "object.metadata.name != 'bad'", message: "a bad name"}]}})yaml");
  const schema::Resource stored{"kyverno.io", "v1", "ClusterPolicy", "clusterpolicies", false};
  const auto shown = s.server.admin->get(stored, {"", "by-pattern"});
  REQUIRE(shown.ok());
  CHECK(shown->value()["apiVersion"].as_string() == "kyverno.io/v1");
  REQUIRE(s.policies->load(*s.own).ok());
  const auto why = [&](const std::string& name, const std::string& labels) {
    const auto made = s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: " + name +
                             ", namespace: shop, labels: " + labels + "}}");
    return made.ok() ? "" : made.error().message;
  };
  CHECK(why("a", "{}").find("team is missing") != std::string::npos);
  CHECK(why("bad", "{team: web}").find("a bad name") != std::string::npos);
  CHECK(why("good", "{team: web}").empty());
}

TEST_CASE("a removed policy refuses nothing any more") {
  PolicedServer s;
  s.add_policy(kNeedsLabel);
  s.policies->remove(apiserver::object(kNeedsLabel).value());
  CHECK(s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}").ok());
}

TEST_CASE("a policy in CEL refuses and names its message") {
  PolicedServer s;
  s.add_policy(R"yaml(
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: small-maps}
spec:
  validationActions: [Deny]
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations: [{expression: "size(object.?data.orValue({})) < 2", message: "too many keys"}]
)yaml");
  const auto refused =
      s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}, data: {a: x, b: y}}");
  REQUIRE(!refused.ok());
  CHECK(refused.error().message.find("too many keys") != std::string::npos);
  CHECK(s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: shop}, data: {a: x}}").ok());
}

TEST_CASE("a rule that speaks of roles looks at the bindings of who asks") {
  PolicedServer s;
  s.add_policy(R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: only-admins}
spec:
  rules:
  - name: deny-others
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    exclude: {any: [{clusterRoles: [cluster-admin]}]}
    validate: {failureAction: Enforce, message: "only administrators", deny: {}}
)yaml");
  CHECK(s.make("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}").ok());
  const auto editor = s.server.client("ed");
  s.server.create(
      R"yaml({apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: ed, namespace: shop},
    subjects: [{kind: User, name: ed, apiGroup: rbac.authorization.k8s.io}],
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}})yaml");
  const auto refused =
      editor->create(apiserver::object("{apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: shop}}"));
  REQUIRE(!refused.ok());
  CHECK(refused.error().message.find("only administrators") != std::string::npos);
}

TEST_CASE("a service that hangs costs a request its time once, and failurePolicy answers") {
  // It takes the connection and never answers; the loop would ask it a hundred times.
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener, 200) == 0);
  REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  PolicedServer s;
  const auto lookups = make_client_lookups(*s.own, nullptr, std::chrono::milliseconds(300));
  const Value call{{"service", Value{{"url", "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/"}}}};
  const Duration start = system_clock().monotonic();
  for (int i = 0; i < 100; ++i) {
    const auto answer = lookups->api_call(call);
    REQUIRE(!answer.ok());
    CHECK(answer.error().code == ErrorCode::timeout);
  }
  CHECK(system_clock().monotonic() - start < std::chrono::seconds(5));
  ::close(listener);
}

TEST_CASE("a review is asked of the cluster by POST, and the rule sees the answer") {
  PolicedServer s;
  const auto lookups = make_client_lookups(*s.own, nullptr, kRequestLookupsMax);
  Value attributes{{"verb", "get"}, {"resource", "secrets"}, {"namespace", "shop"}};
  Value spec{{"user", "nobody"}, {"resourceAttributes", std::move(attributes)}};
  Value member{{"key", "spec"}, {"value", std::move(spec)}};
  Value call{{"method", "POST"},
             {"urlPath", "/apis/authorization.k8s.io/v1/subjectaccessreviews"},
             {"data", Value(std::vector<Value>{member})}};
  const auto answer = lookups->api_call(call);
  REQUIRE_MESSAGE(answer.ok(), answer.error().message);
  REQUIRE(answer->has_value());
  CHECK((**answer)["status"]["allowed"].is_bool());
  CHECK_FALSE((**answer)["status"]["allowed"].as_bool(true));
  const auto refused = lookups->api_call(call.set("method", "DELETE"));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find("GET and POST are answered, not DELETE") != std::string::npos);
}

TEST_CASE("a large value and a pattern of stars are answered in bounded time") {
  PolicedServer s;
  s.add_policy(R"yaml(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: stars}
spec:
  rules:
  - name: check
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    validate: {failureAction: Enforce, message: no, pattern: {data: {a: "!*a*a*a*a*a*a*a*a*b*"}}}
)yaml");
  const std::string object = "{apiVersion: v1, kind: ConfigMap, metadata: {name: big, namespace: shop}, data: {a: " +
                             std::string(900'000, 'a') + "}}";
  const Duration start = system_clock().monotonic();
  CHECK(s.make(object).ok());
  CHECK(system_clock().monotonic() - start < std::chrono::seconds(20));
}

}  // namespace caisson::policy
