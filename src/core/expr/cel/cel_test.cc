// SPDX-License-Identifier: Apache-2.0
// What the conformance suite and the golden answers do not reach: limits, unknowns, views of documents by schema,
// functions and objects of the caller.
#include "core/expr/cel/cel.h"

#include <doctest/doctest.h>

#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/expr/cel/authorizer.h"
#include "core/expr/cel/schema.h"

namespace caisson::cel {
namespace {

document::Value doc(std::string_view text) {
  return yaml::read(text).value();
}

Outcome run(const Environment& environment, std::string_view text, const Bindings& bindings = {},
            const Limits& limits = {}) {
  const auto program = environment.compile(text);
  REQUIRE_MESSAGE(program.ok(), program.error().message);
  return program->evaluate(bindings, limits);
}

std::string shown(const Outcome& outcome) {
  return outcome.value.ok() ? outcome.value->debug_string() : "error: " + outcome.value.error().message;
}

Environment environment_of(std::vector<Variable> variables) {
  EnvironmentOptions options = kubernetes_options();
  options.variables = std::move(variables);
  return Environment(std::move(options));
}

}  // namespace

TEST_CASE("an evaluation ends at its cost limit, and nothing absorbs that") {
  const Environment environment = environment_of({{"l", Type::list(TypeKind::integer)}});
  std::vector<Value> numbers;
  for (std::int64_t i = 0; i < 1000; ++i) numbers.emplace_back(i);
  Bindings bindings;
  bindings.set("l", Value::list(numbers));
  for (const char* text : {"l.all(a, l.all(b, a + b >= 0))", "l.all(a, l.all(b, a + b >= 0)) || true",
                           "l.exists(a, l.all(b, a + b > 5000)) ? true : true"}) {
    CAPTURE(text);
    const Outcome outcome = run(environment, text, bindings, {.cost_max = 10'000});
    REQUIRE_FALSE(outcome.value.ok());
    CHECK(outcome.value.error().code == ErrorCode::too_large);
    CHECK(outcome.cost > 10'000);
    CHECK(outcome.cost < 20'000);
  }
}

TEST_CASE("a caller can cancel an evaluation") {
  const Environment environment = environment_of({{"l", Type::list(TypeKind::integer)}});
  Bindings bindings;
  bindings.set("l", Value::list(std::vector<Value>(2000, Value(std::int64_t{1}))));
  const std::function<bool()> cancelled = [] { return true; };
  const Outcome outcome = run(environment, "l.all(a, a == 1)", bindings, {.cancelled = &cancelled});
  REQUIRE_FALSE(outcome.value.ok());
  CHECK(outcome.value.error().code == ErrorCode::timeout);
}

TEST_CASE("nesting, length and chains are limited") {
  const Environment environment = environment_of({{"x", Type()}});
  CHECK_FALSE(environment.compile(std::string(300, '(') + "1" + std::string(300, ')')).ok());
  CHECK_FALSE(environment.compile(std::string(200'000, ' ') + "1").ok());
  std::string chain = "x", sum = "1";
  for (int i = 0; i < 5000; ++i) chain += ".a";
  for (int i = 0; i < 5000; ++i) sum += "+1";
  CHECK_FALSE(environment.compile(chain).ok());
  CHECK_FALSE(environment.compile(sum).ok());
}

TEST_CASE("what doubles at each step ends before the memory does") {
  const Environment environment = environment_of({{"l", Type::list(TypeKind::integer)}});
  std::string chain = "optional.of(1)", nested = "x0";
  for (int i = 0; i < 60; ++i) chain += ".optMap(x, x)";
  CHECK_FALSE(environment.compile(chain).ok());
  for (int i = 60; i-- > 0;) {
    const std::string value = i == 0 ? "l + l" : "x" + std::to_string(i - 1) + " + x" + std::to_string(i - 1);
    if (i == 59) nested = "x59.size()";
    nested = "optional.of(" + value + ").optMap(x" + std::to_string(i) + ", " + nested + ").orValue(0)";
  }
  Bindings bindings;
  bindings.set("l", Value::list(std::vector<Value>(100, Value(std::int64_t{1}))));
  const Outcome outcome = run(environment, nested, bindings, {.cost_max = 1'000'000});
  REQUIRE_FALSE(outcome.value.ok());
  CHECK(outcome.value.error().code == ErrorCode::too_large);
}

TEST_CASE("an unknown variable makes the answer unknown where it decides, and only there") {
  const Environment environment = environment_of({{"a", TypeKind::boolean}, {"b", TypeKind::boolean}});
  Bindings bindings;
  bindings.set("a", Value::unknown("a"));
  bindings.set("b", Value(true));
  CHECK(shown(run(environment, "a && b", bindings)) == "unknown(a)");
  CHECK(shown(run(environment, "a || b", bindings)) == "true");
  CHECK(shown(run(environment, "!b && a", bindings)) == "false");
  CHECK(shown(run(environment, "a ? 1 : 2", bindings)) == "unknown(a)");
  CHECK(shown(run(environment, "[a, b].exists(x, x)", bindings)) == "unknown(a)");
}

TEST_CASE("a document is seen by its schema: formats, escaped names, sets and lists by keys") {
  const Type type = type_from_schema(doc(R"(
type: object
properties:
  namespace: {type: string}
  a-b: {type: integer}
  when: {type: string, format: date-time}
  wait: {type: string, format: duration}
  data: {type: string, format: byte}
  port: {x-kubernetes-int-or-string: true}
  set: {type: array, x-kubernetes-list-type: set, items: {type: integer}}
  list:
    type: array
    x-kubernetes-list-type: map
    x-kubernetes-list-map-keys: [name]
    items: {type: object, properties: {name: {type: string}, v: {type: integer}}}
  labels: {type: object, additionalProperties: {type: string}}
  ratio: {type: number}
)"),
                                     "object");
  const document::Value object = doc(R"(
{namespace: shop, a-b: 3, when: '2024-05-06T07:08:09Z', wait: 90s, data: aGk=, port: http, set: [1, 2], ratio: 2,
 list: [{name: a, v: 1}, {name: b, v: 2}], labels: {namespace: x}}
)");
  const Environment environment = environment_of({{"self", type}, {"other", type}});
  Bindings bindings;
  bindings.set("self", Value::from(object, type));
  document::Value turned = object;
  turned.set("set", doc("[2, 1]"));
  turned.set("list", doc("[{name: b, v: 2}, {name: a, v: 1}]"));
  bindings.set("other", Value::from(turned, type));
  const std::pair<const char*, const char*> cases[] = {
      {"self.__namespace__", "\"shop\""},
      {"self.a__dash__b + 1", "4"},
      {"self.when.getFullYear()", "2024"},
      {"self.wait > duration('1m')", "true"},
      {"self.data == b'hi'", "true"},
      {"type(self.port) == string", "true"},
      {"self.set == other.set && self.list == other.list && self == other", "true"},
      {"self.set + [2, 3]", "[1, 2, 3]"},
      {"(self.list + other.list.map(x, x)).size()", "2"},
      {"self.labels['namespace']", "\"x\""},
      {"self.ratio / 4.0", "0.5"},
      {"has(self.when) && self.?wait.hasValue()", "true"},
  };
  for (const auto& [text, want] : cases) {
    CAPTURE(text);
    CHECK(shown(run(environment, text, bindings)) == want);
  }
  for (const char* wrong : {"self.nothing", "self.when + 1", "self.a__dash__b == 'x'", "self.list.map(x, x.other)"}) {
    CAPTURE(wrong);
    CHECK_FALSE(environment.compile(wrong).ok());
  }
}

TEST_CASE("a view shares its document") {
  const document::Value object = doc("{a: {b: [1, 2, 3]}}");
  const Environment environment = environment_of({{"o", Type()}});
  Bindings bindings;
  bindings.set("o", Value::from(object));
  const Outcome outcome = run(environment, "o.a.b", bindings);
  REQUIRE(outcome.value.ok());
  CHECK(outcome.value->to_document()->shares_with(object["a"]["b"]));
}

TEST_CASE("the authorizer is asked what the chain says") {
  struct Fake : Authorizer {
    AuthorizerDecision check(const AuthorizerRequest& r) const override {
      return {r.resource == "pods" && r.verb == "get" && r.namespace_ == "shop", r.service_account, ""};
    }
  };
  const Environment environment = environment_of({{"authorizer", authorizer_type()}});
  Bindings bindings;
  bindings.set("authorizer", authorizer_value(std::make_shared<const Fake>()));
  const char* text = "authorizer.group('').resource('pods').namespace('shop').check('get').allowed()";
  const Outcome outcome = run(environment, text, bindings);
  CHECK(shown(outcome) == "true");
  CHECK(outcome.cost == 350'005);
  CHECK(shown(run(environment, "authorizer.serviceAccount('a', 'b').group('').resource('x').check('get').reason()",
                  bindings)) == "\"a:b\"");
  CHECK_FALSE(environment.compile("authorizer.resource('pods')").ok());
}

TEST_CASE("a caller's functions and types take part in checks and overloads") {
  EnvironmentOptions options;
  options.functions = {
      {"(string).shout(): string",
       [](std::span<const Value> a) -> Result<Value> { return Value::string(std::string(a[0].as_string()) + "!"); }},
      {"pick(list(A), int): A",
       [](std::span<const Value> a) -> Result<Value> { return a[0].item(static_cast<std::size_t>(a[1].as_int())); }}};
  const Environment environment(std::move(options));
  CHECK(shown(run(environment, "'a'.shout()")) == "\"a!\"");
  CHECK(shown(run(environment, "pick(['x', 'y'], 1).shout()")) == "\"y!\"");
  CHECK_FALSE(environment.compile("pick([1], 0).shout()").ok());
  CHECK(shown(run(environment, "dyn(1).shout()")) == "error: no such overload");
}

TEST_CASE("cel-go's list library is there where it is asked for") {
  EnvironmentOptions options;
  options.libraries = static_cast<Libraries>(Library::lists);
  const Environment environment(std::move(options));
  const std::pair<const char*, const char*> cases[] = {
      {"[3, 1, 2].sortBy(x, -x)", "[3, 2, 1]"},
      {"['b', 'a'].sort()", "[\"a\", \"b\"]"},
      {"[[1], [2, [3]]].flatten()", "[1, 2, [3]]"},
      {"[[1], [2, [3]]].flatten(2)", "[1, 2, 3]"},
      {"[1, 2, 1.0].distinct()", "[1, 2]"},
      {"lists.range(3).reverse()", "[2, 1, 0]"},
      {"[1, 2, 3].slice(1, 3)", "[2, 3]"},
      {"[1, 2].slice(0, 5)", "error: cannot slice(0, 5), list is length 2"},
      {"dyn([1, 'a']).sort()", "error: list elements must have the same type and be comparable"}};
  for (const auto& [text, want] : cases) {
    CAPTURE(text);
    CHECK(shown(run(environment, text)) == want);
  }
}

TEST_CASE("a program says which variables it reads") {
  const Environment environment = environment_of({{"self", Type()}, {"oldSelf", Type()}});
  CHECK(environment.compile("self == oldSelf")->uses("oldSelf"));
  CHECK_FALSE(environment.compile("self.oldSelf == 1")->uses("oldSelf"));
  CHECK_FALSE(environment.compile("[1].all(oldSelf, oldSelf == 1)")->uses("oldSelf"));
}

}  // namespace caisson::cel
