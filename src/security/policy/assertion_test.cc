// SPDX-License-Identifier: Apache-2.0
#include "security/policy/assertion.h"

#include <doctest/doctest.h>

#include "core/base/text.h"
#include "core/document/yaml.h"
#include "security/policy/engine.h"

namespace caisson::policy {
namespace {

// "" where it holds, the failures, or "error: …".
std::string check(std::string_view value, std::string_view assertion, const Value& bindings = {}) {
  const auto compiled = Assertion::compile(yaml::read(assertion).value());
  if (!compiled.ok()) return "refused: " + compiled.error().message;
  const auto failures = compiled->check(yaml::read(value).value(), bindings, {});
  return failures.ok() ? join(*failures, "; ") : "error: " + failures.error().message;
}

constexpr const char* kNumbers = "{foo: {baz: true, bar: 4, bat: 6}}";

}  // namespace

TEST_CASE("assertion trees select, compute and compare") {
  CHECK(check(kNumbers, "{foo: {bar: 4}}") == "");
  CHECK(check(kNumbers, "{foo: {(bar > `3`): true, (!baz): false, (bar + bat): 10, (bat - bar): 2}}") == "");
  CHECK(check(kNumbers, "{foo: {bar: 5}}") == "foo.bar: Invalid value: 4: Expected value: 5");
  CHECK(check(kNumbers, "{foo: {bar: (to_number('4'))}}") == "");
  CHECK(check(kNumbers, "{foo: {nothing: 1}}") ==
        "foo.nothing: Required value: field not found in the input object");
  CHECK(check("{a: [1, 2]}", "{a: [1, 2]}") == "");
  CHECK(check("{a: [1, 2]}", "{a: [1]}") == "a: Invalid value: [1,2]: lengths of slices don't match");
  CHECK(check("{a: null}", "{a: {}}") == "a: Invalid value: \"null\": invalid value, must not be null");
  CHECK(check(kNumbers, "{foo: {\"(cel; object.bar + object.bat)\": 10}}") == "");
}

TEST_CASE("~ takes each item or member, and names its index or key") {
  CHECK(check("{foo: [1, 2, 3]}", "{~.foo: {(@ < `5`): true}}") == "");
  CHECK(check("{foo: [1, 9]}", "{~.foo: {(@ < `5`): true}}") ==
        "~.foo[1].(@ < `5`): Invalid value: false: Expected value: true");
  CHECK(check("{foo: [a, b]}", "{~i.foo: {(length(@) > $i): true}}") ==
        "~i.foo[1].(length(@) > $i): Invalid value: false: Expected value: true");
  CHECK(check("{foo: {a: 1, b: 2}}", "{~key.foo: {\"(contains('ab', $key))\": true}}") == "");
  CHECK(check("{foo: 1}", "{~.foo: {}}") == "error: ~.foo: Invalid value: 1: expected a slice or a map");
}

TEST_CASE("-> binds what a key selects for what is below it, and \\ keeps a key as it is") {
  CHECK(check(kNumbers, "{foo: {(bar + bat)->sum: {($sum): 10}}}") == "");
  CHECK(check(kNumbers, "{foo: {(bar + bat)->sum: {($sum + $sum)->sum: {($sum): 20}, ($sum): 10}}}") == "");
  CHECK(check(kNumbers, "{foo: {(bar)->x: {}, ($x): 4}}") == "error: foo.($x): runtime: there is no variable $x");
  CHECK(check("{(bar): 4}", "{\"\\\\(bar)\\\\\": 4}") == "");
  CHECK(check("{a: 1}", "{(a == $given): true}", Value{{"given", 1}}) == "");
  const auto compiled = Assertion::compile(yaml::read("{(a == $given)->b: {($b): true}}").value());
  REQUIRE(compiled.ok());
  CHECK(compiled->free_names() == std::vector<std::string>{"given"});
}

TEST_CASE("an assertion that can't be is refused with its key") {
  CHECK(check("{}", "{spec: {(a ==): true}}").starts_with("refused: spec: (a ==): syntax"));
  CHECK(check("{}", "{(rego; a): true}") == "refused: (rego; a): there is no compiler \"rego\"");
  CHECK(check("{}", "{a: ~.b}") == "refused: a: \"~.b\": ~ and -> are for keys");
  CHECK(check("{a: x}", "{a: 1}") == "error: a: types are not comparable, integer - string");
  Value deep(1);
  for (int i = 0; i < 150; ++i) deep = Value{{"a", deep}};
  const auto refused = Assertion::compile(deep);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find("nested too deeply") != std::string::npos);
}

TEST_CASE("validate.assert sees the request and the entries of its context") {
  const auto policy = compile_policy(yaml::read(R"y(
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: p}
spec:
  rules:
  - name: r
    match: {any: [{resources: {kinds: [Pod]}}]}
    context: [{name: allowed, variable: {value: [a, b]}}, {name: unused, variable: {jmesPath: "request.nothing.there"}}]
    validate:
      assert:
        object:
          spec:
            ~.containers:
              (contains($allowed, name)): true
        operation: CREATE
)y")
                                         .value());
  REQUIRE_MESSAGE(policy.ok(), policy.error().message);
  const Engine engine;
  const auto verdict = [&](const char* name) {
    Request request;
    request.target.version = "v1";
    request.target.kind = "Pod";
    request.target.operation = "CREATE";
    request.target.object = yaml::read("{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: " +
                                       std::string(name) + "}]}}")
                                .value();
    return engine.validate(*policy, request, no_lookups()).rules.at(0);
  };
  CHECK(verdict("a").status == Status::pass);
  CHECK(verdict("c").status == Status::fail);
  CHECK(verdict("c").message ==
        "object.spec.~.containers[0].(contains($allowed, name)): Invalid value: false: Expected value: true");
}

}  // namespace caisson::policy
