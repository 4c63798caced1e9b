// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "core/document/json.h"
#include "core/document/yaml.h"
#include "security/policy/autogen.h"
#include "security/policy/context.h"
#include "security/policy/operators.h"
#include "security/policy/pattern.h"
#include "security/policy/pod_security.h"
#include "security/policy/policy.h"
#include "security/policy/scalar_pattern.h"
#include "security/policy/strategic.h"
#include "security/policy/variables.h"

namespace caisson::policy {
namespace {

Value value(std::string_view text) {
  return yaml::read(text).value();
}
using Kind = PatternOutcome::Kind;
Kind match(std::string_view resource, std::string_view pattern) {
  return match_pattern(value(resource), value(pattern)).kind;
}

struct Scope {
  Expressions expressions;
  jmespath::Environment environment;
  Context context{expressions, environment, no_lookups()};
  Result<Value> substituted(std::string_view document) { return substitute(value(document), context); }
};

}  // namespace

TEST_CASE("scalars of patterns know wildcards, alternatives, operators and ranges") {
  struct Case {
    const char *value, *pattern;
    bool fits;
  };
  for (const Case& c : {Case{"nginx:1.2", "\"nginx:*\"", true},
                        {"a", "\"b | a\"", true},
                        {"5", "\">3 & <9\"", true},
                        {"9", "\">3 & <9\"", false},
                        {"500m", "\"<1\"", true},
                        {"2Gi", "\"<=1024Mi\"", false},
                        {"7", "\"5-10\"", true},
                        {"4", "\"5-10\"", false},
                        {"4", "\"5!-10\"", true},
                        {"90s", "\">1m\"", true},
                        {"x", "\"!x\"", false},
                        {"y", "\"!x\"", true},
                        {"true", "\"true\"", true},
                        {"\"\"", "\"?*\"", false}})
    CHECK_MESSAGE(scalar_fits(value(c.value), value(c.pattern)) == c.fits, c.value << " against " << c.pattern);
}

TEST_CASE("what an expression found is found again, until the context changes or a function is asked") {
  Scope scope;
  scope.context.set("a", value("{b: 1}"));
  CHECK(scope.context.query("a.b").value() == Value(1));
  CHECK(scope.context.query("a.b").value() == Value(1));
  Context copy = scope.context;
  copy.set_path("a.b", Value(2));
  CHECK(copy.query("a.b").value() == Value(2));
  CHECK(scope.context.query("a.b").value() == Value(1));
  scope.context.set("a", value("{b: 3}"));
  CHECK(scope.context.query("a.b").value() == Value(3));
  scope.context.defer(value("[{name: a, variable: {value: {b: 4}}}]"));
  CHECK(scope.context.query("a.b").value() == Value(4));
  std::uint64_t drawn = 0;
  scope.environment.random = [&] { return ++drawn * 0x9E3779B97F4A7C15ull; };
  const auto first = scope.context.query("random('[a-z]{20}')");
  REQUIRE(first.ok());
  CHECK(*first != *scope.context.query("random('[a-z]{20}')"));
}

TEST_CASE("anchors decide whether a pattern speaks of a resource") {
  CHECK(match("{a: 1, b: 2}", "{(a): 1, b: 2}") == Kind::pass);
  CHECK(match("{a: 1, b: 3}", "{(a): 1, b: 2}") == Kind::fail);
  CHECK(match("{a: 2, b: 3}", "{(a): 1, b: 2}") == Kind::skip);
  CHECK(match("{b: 3}", "{=(a): 1}") == Kind::pass);
  CHECK(match("{a: 2}", "{=(a): 1}") == Kind::fail);
  CHECK(match("{a: 2}", "{X(a): null}") == Kind::fail);
  CHECK(match("{b: 2}", "{X(a): null}") == Kind::pass);
  CHECK(match("{l: [{n: a}, {n: b}]}", "{^(l): [{n: b}]}") == Kind::pass);
  CHECK(match("{l: [{n: a}]}", "{^(l): [{n: b}]}") == Kind::fail);
  CHECK(match("{l: [{i: x, v: 1}, {i: y, v: 2}]}", "{l: [{(i): y, v: 2}]}") == Kind::pass);
  CHECK(match("{l: [{i: x, v: 1}]}", "{l: [{<(i): y, v: 2}]}") == Kind::skip);
}

TEST_CASE("a pattern that is nested endlessly is an error, not a crash") {
  Value deep = Value("x");
  for (int i = 0; i < 1000; ++i) deep = Value{{"a", deep}};
  CHECK(match_pattern(deep, deep).kind == Kind::error);
}

TEST_CASE("variables are substituted in texts, as whole values, nested and in keys") {
  Scope s;
  s.context.set("request", value("{object: {name: web, n: 3, list: [a]}, key: name}"));
  CHECK(*s.substituted("'{{ request.object.name }}-{{request.object.n}}'") == Value("web-3"));
  CHECK(*s.substituted("'{{ request.object.list }}'") == value("[a]"));
  CHECK(*s.substituted("'{{ request.object.{{ request.key }} }}'") == Value("web"));
  CHECK(*s.substituted("{'{{ request.key }}': 1}") == value("{name: 1}"));
  CHECK(*s.substituted("{a: x, b: '>$(../a)'}") == value("{a: x, b: '>x'}"));
  CHECK(*s.substituted("'\\{{ kept }}'") == Value("{{ kept }}"));
}

TEST_CASE("a variable that is not there is an error that names its key, unless a default follows") {
  Scope s;
  s.context.set("request", value("{object: {}}"));
  const auto missing = s.substituted("'{{ request.object.nothing }}'");
  REQUIRE(!missing.ok());
  CHECK(missing.error().code == ErrorCode::not_found);
  CHECK(missing.error().message.find("Unknown key \"nothing\" in path") != std::string::npos);
  CHECK(*s.substituted("\"{{ request.object.nothing || 'x' }}\"") == Value("x"));
}

TEST_CASE("variables that hold themselves end") {
  Scope s;
  s.context.set("a", "x{{ a }}");
  CHECK(!s.substituted("'1{{ a }}'").ok());
}

TEST_CASE("context entries are loaded when they are named, with defaults for what fails") {
  Scope s;
  s.context.set("request", value("{object: {n: 2}}"));
  s.context.defer(
      value("[{name: broken, variable: {jmesPath: 'nonsense(('}}, {name: n, variable: {jmesPath: 'request.object.n'}},"
            " {name: d, variable: {jmesPath: request.object.no, default: 7}}]"));
  CHECK(*s.substituted("'{{ n }}'") == Value(2));
  CHECK(*s.substituted("'{{ d }}'") == Value(7));
  CHECK(!s.substituted("'{{ broken }}'").ok());
}

TEST_CASE("operators compare numbers, quantities, durations, sets and ranges") {
  struct Case {
    const char *op, *key, *value;
    bool held;
  };
  for (const Case& c : {Case{"Equals", "a", "a*", true},
                        {"Equals", "1Gi", "1024Mi", true},
                        {"NotEquals", "a", "b", true},
                        {"GreaterThan", "'1h'", "'30m'", true},
                        {"LessThan", "'1.2.3'", "'1.10.0'", true},
                        {"AnyIn", "[a, b]", "[b, c]", true},
                        {"AllIn", "[a, b]", "[b, c]", false},
                        {"AnyNotIn", "[a, b]", "[b]", true},
                        {"AllNotIn", "[a, b]", "[c]", true},
                        {"AnyIn", "5", "1-10", true},
                        {"AnyIn", "x", "'[\"x\"]'", true},
                        {"Equals", "null", "null", false},
                        {"DurationGreaterThan", "'2h'", "3600", true}})
    CHECK_MESSAGE(holds(*parse_operator(c.op), value(c.key), value(c.value)) == c.held,
                  c.key << ' ' << c.op << ' ' << c.value);
}

TEST_CASE("anchors of a patch are resolved against the object before it is laid over it") {
  const Value pod = value("{spec: {containers: [{name: a, image: x}, {name: b, image: y, imagePullPolicy: Always}]}}");
  const auto patch = resolve_anchors(value("{spec: {containers: [{(name): '*', +(imagePullPolicy): Never}]}}"), pod);
  REQUIRE(patch.ok());
  CHECK(*patch == value("{spec: {containers: [{name: a, imagePullPolicy: Never}]}}"));
  CHECK(resolve_anchors(value("{spec: {(serviceAccount): x, y: 1}}"), pod)->empty());
}

TEST_CASE("rules on Pods are said of controllers, with their variables moved") {
  const Value spec = value(
      "{rules: [{name: r, match: {any: [{resources: {kinds: [Pod]}}]},"
      " validate: {message: m, deny: {conditions: [{key: '{{ request.object.spec.x }}', operator: Equals, value: "
      "1}]}}}]}");
  const auto rules = generated_rules(spec, Value());
  REQUIRE(rules.size() == 2);
  CHECK(rules[0]["name"] == Value("autogen-r"));
  CHECK(rules[0]["validate"]["deny"]["conditions"][0]["key"] == Value("{{ request.object.spec.template.spec.x }}"));
  CHECK(rules[1]["match"]["any"][0]["resources"]["kinds"] == value("[batch/v1/CronJob]"));
  CHECK(generated_rules(spec, value("{pod-policies.kyverno.io/autogen-controllers: none}")).empty());
}

TEST_CASE("Pod Security: restricted asks for more than baseline, and exclusions lift what they name") {
  const Value spec = value("{containers: [{name: c, image: nginx, securityContext: {privileged: true}}]}");
  CHECK(check_pod(Value(), spec, {.level = "privileged"})->empty());
  const auto baseline = check_pod(Value(), spec, {.level = "baseline"});
  REQUIRE(baseline->size() == 1);
  CHECK(baseline->front().errors[0].field == "spec.containers[0].securityContext.privileged");
  CHECK(check_pod(Value(), spec, {.level = "restricted"})->size() > 3);
  const Value exclude = value("[{controlName: Privileged Containers, images: ['nginx*']}]");
  CHECK(check_pod(Value(), spec, {.level = "baseline", .exclude = exclude})->empty());
  CHECK(!check_pod(Value(), spec, {.level = "baseline", .version = "nonsense"}).ok());
}

TEST_CASE("a policy's errors name the rule and the field") {
  const auto error = [](std::string_view rule) {
    const auto policy =
        compile_policy(value("{apiVersion: kyverno.io/v1, kind: ClusterPolicy, metadata: {name: p}, spec: {rules: [" +
                             std::string(rule) + "]}}"));
    return policy.ok() ? std::string("fine") : policy.error().message;
  };
  CHECK(error("{name: r, match: {resources: {kinds: [Pod]}}}").find("needs one of validate") != std::string::npos);
  CHECK(error("{name: r, validate: {deny: {}}}").find("match: may not be empty") != std::string::npos);
  CHECK(error("{name: r, match: {resources: {kinds: [Pod]}}, validate: {deny: {conditions: [{key: a, operator: Is, "
              "value: b}]}}}")
            .find("\"Is\" is not known") != std::string::npos);
  CHECK(
      error("{name: r, match: {resources: {kinds: [Pod]}}, validate: {cel: {expressions: [{expression: 'object.('}]}}}")
          .find("validate.cel") != std::string::npos);
}

}  // namespace caisson::policy
