// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/rules_cel.h"

#include <doctest/doctest.h>

#include "cluster/schema/schema.h"
#include "core/document/yaml.h"

namespace caisson::schema {
namespace {

Value from_yaml(std::string_view text) {
  return yaml::read(text).value();
}

Value definition(std::string_view spec_schema) {
  Value crd = from_yaml(R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions: [{name: v1, served: true, storage: true}]
)");
  const Value schema{{"type", "object"}, {"properties", Value{{"spec", from_yaml(spec_schema)}}}};
  crd.edit("spec").edit("versions").edit(std::size_t{0}).set("schema", Value{{"openAPIV3Schema", schema}});
  return crd;
}

Value widget(std::string_view spec) {
  return Value{{"apiVersion", "example.com/v1"},
               {"kind", "Widget"},
               {"metadata", Value{{"name", "w"}, {"namespace", "default"}}},
               {"spec", from_yaml(spec)}};
}

constexpr std::string_view kSpec = R"yaml(
type: object
x-kubernetes-validations:
- {rule: self.min <= self.max, message: min is above max}
- {rule: self.max < 100, messageExpression: "'max is ' + string(self.max)", fieldPath: .max, reason: FieldValueForbidden}
- {rule: self.color == oldSelf.color}
- {rule: 'oldSelf.hasValue() || self.min == 0', optionalOldSelf: true, message: a new one begins at 0}
- {rule: 'self.nothing_is_there.size() == 0 || true'}
properties:
  min: {type: integer}
  max: {type: integer}
  color: {type: string}
  nothing_is_there: {type: array, items: {type: string}}
  namespace: {type: string, x-kubernetes-validations: [{rule: self != 'kube-system'}]}
  when: {type: string, format: date-time, x-kubernetes-validations: [{rule: self > timestamp('2020-01-01T00:00:00Z')}]}
  ports:
    type: array
    x-kubernetes-list-type: map
    x-kubernetes-list-map-keys: [name]
    items:
      type: object
      properties: {name: {type: string}, port: {type: integer}}
      x-kubernetes-validations: [{rule: self.port >= oldSelf.port, message: a port never falls}]
)yaml";

std::string errors_of(const Value* before, const Value& after) {
  Schema schema = Schema::built_in().value();
  const auto added = schema.add_crd(definition(kSpec));
  if (!added.ok()) MESSAGE(added.error().message);
  REQUIRE(added.ok());
  const KindPtr kind = schema.find("example.com", "v1", "Widget");
  std::string out;
  for (const FieldError& error : before == nullptr ? validate(*kind, after) : validate_update(*kind, *before, after))
    out += error.str() + "\n";
  return out;
}

}  // namespace

TEST_CASE("validation rules of a definition refuse what breaks them, in their own words") {
  CHECK(errors_of(nullptr, widget("{min: 0, max: 2, color: red}")).empty());
  CHECK(errors_of(nullptr, widget("{min: 0, max: -1, color: red}")) ==
        "spec: Invalid value: \"object\": min is above max\n");
  CHECK(errors_of(nullptr, widget("{min: 0, max: 100, color: red}")) == "spec.max: Forbidden: max is 100\n");
  CHECK(errors_of(nullptr, widget("{min: 1, max: 2, color: red}")) ==
        "spec: Invalid value: \"object\": a new one begins at 0\n");
  CHECK(errors_of(nullptr, widget("{min: 0, max: 2, namespace: kube-system}")) ==
        "spec.namespace: Invalid value: \"string\": failed rule: self != 'kube-system'\n");
  CHECK(errors_of(nullptr, widget("{min: 0, max: 2, when: '2019-12-31T00:00:00Z'}")) ==
        "spec.when: Invalid value: \"string\": failed rule: self > timestamp('2020-01-01T00:00:00Z')\n");
  CHECK(errors_of(nullptr, widget("{max: 2}")) ==
        "spec: Invalid value: \"object\": no such key: min evaluating rule: min is above max\n"
        "spec: Invalid value: \"object\": no such key: min evaluating rule: a new one begins at 0\n");
}

TEST_CASE("a transition rule sees the object before, and items of a list by their keys") {
  const Value before = widget("{min: 1, max: 2, color: red, ports: [{name: a, port: 80}, {name: b, port: 90}]}");
  CHECK(errors_of(&before, before).empty());
  CHECK(errors_of(&before, widget("{min: 1, max: 2, color: blue}")) ==
        "spec: Invalid value: \"object\": failed rule: self.color == oldSelf.color\n");
  CHECK(errors_of(&before, widget("{min: 1, max: 2, color: red, ports: [{name: b, port: 80}, {name: c, port: 1}]}")) ==
        "spec.ports[0]: Invalid value: \"object\": a port never falls\n");
}

TEST_CASE("rules are not checked on an object whose form is wrong") {
  CHECK(errors_of(nullptr, widget("{min: x, max: -1}")).find("some validation rules were not checked") !=
        std::string::npos);
}

TEST_CASE("a rule that can't be compiled refuses its definition by name") {
  struct Case {
    const char *rule, *want;
  };
  const Case cases[] = {
      {"{rule: self.nothing == 1}", "undefined field 'nothing'"},
      {"{rule: self.a + 1}", "cel expression must evaluate to a bool"},
      {"{rule: ''}", "rule is not specified"},
      {"{rule: self.a == 'x'}", "found no matching overload for '_==_' applied to '(int, string)'"},
      {"{rule: self.a == 1, messageExpression: self.a}", "messageExpression must evaluate to a string"},
      {"{rule: self.a == 1, optionalOldSelf: true}", "may not be set if oldSelf is not used in rule"},
      {"{rule: self.a == 1, reason: Other}", "Unsupported value: \"Other\""}};
  for (const Case& c : cases) {
    CAPTURE(c.rule);
    Schema schema = Schema::built_in().value();
    const auto added =
        schema.add_crd(definition("{type: object, properties: {a: {type: integer}}, "
                                  "x-kubernetes-validations: [" +
                                  std::string(c.rule) + "]}"));
    REQUIRE_FALSE(added.ok());
    CHECK(added.error().message.find(".properties[spec].x-kubernetes-validations[0]") != std::string::npos);
    CHECK(added.error().message.find(c.want) != std::string::npos);
  }
}

TEST_CASE("a rule that costs too much ends the checks of its object") {
  Schema schema = Schema::built_in().value();
  const auto added = schema.add_crd(
      definition("{type: object, properties: {l: {type: array, items: {type: integer}}}, x-kubernetes-validations: "
                 "[{rule: 'self.l.all(a, self.l.all(b, self.l.all(c, a + b + c >= 0)))'}, {rule: 'false'}]}"));
  REQUIRE(added.ok());
  const KindPtr kind = schema.find("example.com", "v1", "Widget");
  Value list = Value::list();
  for (int i = 0; i < 200; ++i) list.push_back(i);
  const auto errors = validate(*kind, Value{{"apiVersion", "example.com/v1"},
                                            {"kind", "Widget"},
                                            {"metadata", Value{{"name", "w"}, {"namespace", "default"}}},
                                            {"spec", Value{{"l", list}}}});
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].detail.find("cost exceeds limit") != std::string::npos);
}

}  // namespace caisson::schema
