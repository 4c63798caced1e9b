// SPDX-License-Identifier: Apache-2.0
// The command line and admission say the same of random policies and objects. The seed is printed;
// CAISSON_PROPERTY_PAIRS sets how many pairs (10,000 before a release).
#include <doctest/doctest.h>

#include <cstdlib>
#include <random>

#include "cluster/schema/schema.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "security/policy/admission_plugin.h"
#include "security/policy/evaluate.h"

namespace caisson::policy {
namespace {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t limit) { return engine_() % limit; }
  bool one_in(std::size_t n) { return below(n) == 0; }
  template <std::size_t N>
  std::string of(const char* const (&list)[N]) {
    return list[below(N)];
  }

 private:
  std::mt19937_64 engine_;
};

constexpr const char* kKinds[] = {"Pod", "Pod", "Deployment", "ConfigMap", "CronJob"};
constexpr const char* kImages[] = {"nginx:latest", "nginx:1.27", "redis", "ghcr.io/org/app:v1",
                                   "localhost:5000/a/b@sha256:"
                                   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
constexpr const char* kValues[] = {"web", "db", "\"\"", "\"1\"", "\"true\"", "team-a"};
constexpr const char* kQuantities[] = {"100m", "1", "64Mi", "2Gi", "0.5"};

std::string container(Dice& dice, std::size_t number) {
  std::string out = "{name: c" + std::to_string(number) + ", image: \"" + dice.of(kImages) + "\"";
  if (dice.one_in(2))
    out += ", resources: {limits: {memory: \"" + dice.of(kQuantities) + "\", cpu: \"" + dice.of(kQuantities) + "\"}}";
  if (dice.one_in(2))
    out += std::string(", securityContext: {privileged: ") + (dice.one_in(2) ? "true" : "false") +
           ", runAsNonRoot: " + (dice.one_in(2) ? "true" : "false") + "}";
  if (dice.one_in(3)) out += ", env: [{name: A, value: " + dice.of(kValues) + "}]";
  return out + "}";
}

std::string pod_spec(Dice& dice) {
  std::string out = "{containers: [" + container(dice, 0);
  if (dice.one_in(2)) out += ", " + container(dice, 1);
  out += "]";
  if (dice.one_in(3)) out += ", initContainers: [" + container(dice, 2) + "]";
  if (dice.one_in(4)) out += ", hostNetwork: true";
  if (dice.one_in(4)) out += ", volumes: [{name: v, hostPath: {path: /}}]";
  return out + "}";
}

Value random_object(Dice& dice) {
  const std::string kind = dice.of(kKinds);
  std::string labels = "{";
  if (dice.one_in(2)) labels += "team: " + dice.of(kValues) + ", ";
  if (dice.one_in(2)) labels += "app: " + dice.of(kValues);
  labels += "}";
  const std::string metadata = "metadata: {name: o" + std::to_string(dice.below(3)) +
                               ", namespace: " + (dice.one_in(2) ? "shop" : "prod") + ", labels: " + labels + "}";
  const std::string pod = "{metadata: {labels: " + labels + "}, spec: " + pod_spec(dice) + "}";
  std::string text;
  if (kind == "Pod") text = "{apiVersion: v1, kind: Pod, " + metadata + ", spec: " + pod_spec(dice) + "}";
  if (kind == "ConfigMap")
    text = "{apiVersion: v1, kind: ConfigMap, " + metadata + ", data: {a: " + dice.of(kValues) + ", b: \"" +
           dice.of(kQuantities) + "\"}}";
  if (kind == "Deployment")
    text = "{apiVersion: apps/v1, kind: Deployment, " + metadata +
           ", spec: {replicas: " + std::to_string(dice.below(5)) + ", template: " + pod + "}}";
  if (kind == "CronJob")
    text = "{apiVersion: batch/v1, kind: CronJob, " + metadata +
           ", spec: {schedule: '* * * * *', jobTemplate: {spec: {template: " + pod + "}}}}";
  return yaml::read(text).value();
}

constexpr const char* kValidations[] = {
    R"y(pattern: {metadata: {labels: {team: "?*"}}})y",
    R"y(pattern: {metadata: {"=(labels)": {"=(app)": "web | db"}}})y",
    R"y(pattern: {spec: {containers: [{image: "!*:latest"}]}})y",
    R"y(pattern: {spec: {containers: [{"(name)": "c0", resources: {limits: {memory: "<1Gi"}}}]}})y",
    R"y(pattern: {spec: {"=(hostNetwork)": "false", "X(volumes)": "null"}})y",
    R"y(pattern: {spec: {"^(containers)": [{name: c1}]}})y",
    R"y(pattern: {data: {b: ">=1"}})y",
    R"y(anyPattern: [{metadata: {namespace: prod}}, {metadata: {labels: {app: web}}}])y",
    R"y(deny: {conditions: {any: [{key: "{{ request.object.metadata.labels.team || 'none' }}", operator: In, value: [db, none]}]}})y",
    R"y(deny: {conditions: {all: [{key: "{{ length(request.object.spec.containers || `[]`) }}", operator: GreaterThan, value: 1}]}})y",
    R"y(deny: {conditions: {any: [{key: "{{ request.object.spec.replicas }}", operator: LessThan, value: 2}]}})y",
    R"y(foreach: [{list: "request.object.spec.containers", pattern: {"=(securityContext)": {"=(privileged)": "false"}}}])y",
    R"y(foreach: [{list: "request.object.spec.[initContainers, containers][]", deny: {conditions: {any: [{key: "{{ element.image }}", operator: Equals, value: "redis"}]}}}])y",
    R"y(podSecurity: {level: baseline, version: latest})y",
    R"y(podSecurity: {level: restricted, version: latest, exclude: [{controlName: Seccomp}]})y",
    R"y(cel: {expressions: [{expression: "has(object.metadata.labels) && 'team' in object.metadata.labels"}]})y",
    R"y(cel: {expressions: [{expression: "object.spec.containers.all(c, !c.image.endsWith(':latest'))"}]})y"};

constexpr const char* kMutations[] = {
    R"y(patchStrategicMerge: {metadata: {labels: {"+(team)": added}}})y",
    R"y(patchesJson6902: "[{op: add, path: /metadata/annotations, value: {a: b}}]")y",
    R"y(foreach: [{list: "request.object.spec.containers", patchStrategicMerge: {spec: {containers: [{"(name)": "{{ element.name }}", imagePullPolicy: Always}]}}}])y"};

std::string random_policy(Dice& dice, std::size_t number) {
  const std::string name = std::to_string(number);
  std::string match = "{any: [{resources: {kinds: [" + dice.of(kKinds) + "]";
  if (dice.one_in(4)) match += ", namespaces: [sh*]";
  if (dice.one_in(5)) match += ", selector: {matchLabels: {app: web}}";
  if (dice.one_in(6)) match += ", operations: [CREATE]";
  if (dice.one_in(6)) match += ", names: ['o1', 'o2*']";
  match += "}}]}";
  std::string rule = "{name: r" + name + ", match: " + match;
  if (dice.one_in(5)) rule += ", exclude: {any: [{resources: {namespaces: [prod]}}]}";
  if (dice.one_in(4))
    rule += R"y(, preconditions: {any: [{key: "{{ request.operation }}", operator: NotEquals, value: DELETE}, )y"
            R"y({key: "{{ request.object.metadata.labels.app || '' }}", operator: AnyIn, value: [db]}]})y";
  if (dice.one_in(6))
    rule += ", mutate: {" + dice.of(kMutations) + "}}";
  else
    rule += ", validate: {failureAction: Enforce, message: \"no {{ request.object.metadata.name }}\", " +
            dice.of(kValidations) + "}}";
  return "{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: p" + name + "}, spec: {" +
         (dice.one_in(5) ? "failurePolicy: Ignore, " : "") + "rules: [" + rule + "]}}";
}

// What admission answers: empty when it lets the object in.
std::string refusal_of(const apiserver::Admission& plugin, const schema::Schema& schema, Value object) {
  const std::string version = object["apiVersion"].str();
  const std::size_t slash = version.find('/');
  const auto kind = schema.find(slash == std::string::npos ? "" : version.substr(0, slash),
                                slash == std::string::npos ? version : version.substr(slash + 1), object["kind"].str());
  REQUIRE(kind != nullptr);
  const apiserver::User user{"dev", {}, "", {}};
  const Value before;
  Value details, refusal;
  std::vector<std::string> warnings;
  std::vector<std::pair<std::string, std::string>> audit;
  apiserver::Reinvocation reinvocation;
  const apiserver::AdmissionRequest request{
      .operation = apiserver::AdmissionRequest::Operation::create,
      .kind = *kind,
      .ns = object["metadata"]["namespace"].str(),
      .name = object["metadata"]["name"].str(),
      .user = user,
      .before = before,
      .warnings = warnings,
      .audit_annotations = audit,
      .find = [](const schema::Resource&, std::string_view, std::string_view) { return Value(); },
      .details = details,
      .refusal = refusal,
      .reinvocation = reinvocation};
  const auto mutated = plugin.mutate(request, object);
  if (!mutated.ok()) return mutated.error().message;
  const auto validated = plugin.validate(request, object);
  return validated.ok() ? "" : validated.error().message;
}

// The rules that would refuse, by the command line's word, as "policy/rule". Mutations that fail refuse first.
std::pair<std::set<std::string>, std::set<std::string>> refusing(const PolicySet& set, const Value& object,
                                                                 const std::set<std::string>& ignoring) {
  TestInputs inputs;
  const auto lookups = make_test_lookups(inputs);
  std::set<std::string> mutate, validate;
  for (const Evaluation& one : set.evaluate(object, "CREATE", inputs, {}, *lookups))
    for (const RuleResponse& rule : one.rules) {
      const bool error = rule.status == Status::error;
      if (rule.status != Status::fail && !error) continue;
      const bool ignored = ignoring.contains(one.policy);
      if (rule.kind == RuleKind::mutate && !ignored) mutate.insert(one.policy + "/" + rule.rule);
      if (rule.kind == RuleKind::validate && !(error && ignored)) validate.insert(one.policy + "/" + rule.rule);
    }
  return {mutate, validate};
}

std::size_t pairs_wanted() {
  const char* given = std::getenv("CAISSON_PROPERTY_PAIRS");
  return given == nullptr ? 500 : static_cast<std::size_t>(parse_int(given).value_or(500));
}

}  // namespace

TEST_CASE("the command line and admission say the same of random policies and objects") {
  const schema::Schema schema = schema::Schema::built_in().value();
  std::size_t pairs = 0, refused = 0;
  for (std::uint64_t seed = 1; pairs < pairs_wanted(); ++seed) {
    Dice dice(seed);
    // Five policies at a time meet five objects.
    const auto policies = std::make_shared<Policies>();
    PolicySet set;
    std::set<std::string> ignoring;
    std::string text;
    for (std::size_t i = 0; i < 5; ++i) {
      const std::string yaml_text = random_policy(dice, i);
      const Value document = yaml::read(yaml_text).value();
      policies->set(document);
      set.add(document);
      if (document["spec"]["failurePolicy"].as_string() == "Ignore") ignoring.insert("p" + std::to_string(i));
      text += yaml_text + "\n";
    }
    REQUIRE_MESSAGE(set.invalid_policies().empty(), set.invalid_policies().begin()->second);
    const auto plugin = make_policy_admission({.policies = policies});
    for (int n = 0; n < 5; ++n, pairs += 5) {
      const Value object = random_object(dice);
      const std::string answer = refusal_of(*plugin, schema, object);
      const auto [mutate, validate] = refusing(set, object, ignoring);
      const auto& wanted = mutate.empty() ? validate : mutate;
      std::set<std::string> got;
      std::string policy;
      for (const std::string_view line : split(answer, '\n')) {
        if (line.size() > 2 && line[0] == 'p' && line.back() == ':') policy = line.substr(0, line.size() - 1);
        if (policy.empty() || !line.starts_with("  ") || line.starts_with("   ")) continue;
        const std::size_t colon = line.find(':');
        if (colon != std::string_view::npos) got.insert(policy + "/" + std::string(line.substr(2, colon - 2)));
      }
      refused += answer.empty() ? 0 : 1;
      REQUIRE_MESSAGE(got == wanted, "seed " << seed << "\n" << text << json::write(object) << "\n" << answer);
    }
  }
  CHECK(refused > pairs / 50);  // the generator makes pairs that say something
}

}  // namespace caisson::policy
