// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/estimate.h"

#include <doctest/doctest.h>

#include "core/document/yaml.h"
#include "core/expr/cel/schema.h"
#include "core/expr/cel/schema_sizes.h"

namespace caisson::cel {
namespace {

std::uint64_t most(std::string_view schema_text, const std::string& rule) {
  const document::Value schema = yaml::read(schema_text).value();
  EnvironmentOptions options = kubernetes_options();
  options.variables = {{"self", type_from_schema(schema, "object")}};
  const auto program = Environment(std::move(options)).compile(rule);
  REQUIRE_MESSAGE(program.ok(), program.error().message);
  return estimate_cost(*program,
                       [&](std::span<const std::string> path) { return elements_max_at(schema, path.subspan(1)); })
      .max;
}

struct Case {
  const char *schema, *rule;
  std::uint64_t cost;
};

}  // namespace

TEST_CASE("the most that a rule may cost is what cel-go and Kubernetes estimate") {
  // A list's length is what fits into 3 MiB, unless its schema says.
  static constexpr Case kCases[] = {
      {"{type: array, items: {type: number}}", "self.all(x, true)", 4718591},
      {"{type: array, items: {type: boolean}}", "self.all(x, true)", 1887437},
      {"{type: array, items: {type: string}}", "self.all(x, true)", 3145727},
      {"{type: array, maxItems: 10, items: {type: number}}", "self.all(x, true)", 32},
      {"{type: object, additionalProperties: {type: string}}", "self.all(x, true)", 1179647},
      {"{type: string}", "self.contains('test')", 314574},
      {"{type: string, maxLength: 10}", "self.contains('test')", 2},
      {"{type: string}", "self.matches('test')", 314574},
      {"{type: string}", "self.startsWith('test')", 2},
      {"{type: string, enum: [a, abc]}", "self == 'abc'", 2},
      {"{type: string, format: date-time}", "self > timestamp('2020-01-01T00:00:00Z')", 3},
      {"{type: object, properties: {a: {type: string, maxLength: 20}, b: {type: string, maxLength: 30}}}",
       "self.a == self.b", 6},
      {"{type: object, properties: {a: {type: string, maxLength: 20}, b: {type: string, maxLength: 30}}}",
       "(self.a + self.b).contains(self.b)", 26},
      {"{type: object, properties: {a: {type: string}}}", "!has(self.a) || self.a.size() < 3", 6},
      {"{type: array, maxItems: 5, items: {type: string, maxLength: 10}}", "self.map(x, x).join(',').size() < 9", 85},
      {"{type: array, maxItems: 5, items: {type: string, maxLength: 10}}", "self.filter(x, x != '').size() > 0", 84},
  };
  for (const Case& one : kCases) {
    CAPTURE(one.schema);
    CAPTURE(one.rule);
    CHECK(most(one.schema, one.rule) == one.cost);
  }
}

TEST_CASE("a rule over lists in lists without bounds costs more than can be said") {
  CHECK(most("{type: array, items: {type: string}}", "self.all(x, self.all(y, self.all(z, x == y + z)))") ==
        UINT64_MAX);
}

TEST_CASE("what a value takes at least is told by its required members") {
  const document::Value schema = yaml::read(
                                     "{type: object, required: [name, kind, count], properties: {name: {type: string}, "
                                     "kind: {type: string, default: "
                                     "x}, count: {type: integer}, other: {type: boolean}}}")
                                     .value();
  CHECK(bytes_min(schema) == 2 + (4 + 2 + 4) + (5 + 1 + 4));
  const std::vector<std::string> path{"name"};
  CHECK(elements_max_at(schema, path) == kRequestBytesMax - 2);
  const std::vector<std::string> nowhere{"none"};
  CHECK(!elements_max_at(schema, nowhere));
}

}  // namespace caisson::cel
