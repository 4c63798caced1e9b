// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "cluster/schema/schema.h"
#include "cluster/schema/validate.h"
#include "core/document/yaml.h"

namespace caisson::schema {
namespace {

// What is wrong with a definition whose spec has `more` in place of the version below.
std::string wrong(const std::string& versions, const std::string& more = "") {
  static const Schema schema = Schema::built_in().value();
  const KindPtr kind = schema.find("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
  const Value object =
      yaml::read(
          "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: "
          "things.example.com}, spec: {group: example.com, scope: Namespaced, names: {plural: things, singular: "
          "thing, kind: Thing, listKind: ThingList}, versions: [" +
          versions + "]" + more + "}, status: {storedVersions: [v1]}}")
          .value();
  std::string out;
  for (const FieldError& error : validate(*kind, object)) out += (out.empty() ? "" : "; ") + error.str();
  return out;
}

std::string version(const std::string& schema, const std::string& name = "v1") {
  return "{name: " + name + ", served: true, storage: " + (name == "v1" ? "true" : "false") +
         ", schema: {openAPIV3Schema: " + schema + "}}";
}

// The same of one property.
std::string wrong_property(const std::string& schema) {
  return wrong(version("{type: object, properties: {a: " + schema + "}}"));
}

const std::string kAt = "spec.validation.openAPIV3Schema.properties[a]";

}  // namespace

TEST_CASE("schemas that are structural are taken") {
  for (const char* schema :
       {"{type: string}", "{type: array, items: {type: string}}",
        "{type: object, additionalProperties: {type: integer}}", "{x-kubernetes-preserve-unknown-fields: true}",
        "{x-kubernetes-int-or-string: true}",
        "{x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}",
        "{type: object, properties: {x: {type: string}}, anyOf: [{required: [x]}, {properties: {x: {pattern: a}}}]}",
        "{type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k], items: {type: object, required: "
        "[k], properties: {k: {type: string}}}}",
        "{type: number, default: 1}"}) {
    CAPTURE(schema);
    CHECK(wrong_property(schema) == "");
  }
  CHECK(wrong(version("{type: object, properties: {metadata: {type: object, properties: {name: {type: string}}}}}")) ==
        "");
}

TEST_CASE("a schema that is not structural is refused at its place") {
  CHECK(wrong_property("{}") == kAt + ".type: Required value: must not be empty for specified object fields");
  CHECK(wrong_property("{type: array}") == kAt + ".items: Required value: must be specified");
  CHECK(wrong_property("{type: array, items: {}}") ==
        kAt + ".items.type: Required value: must not be empty for specified array items");
  CHECK(wrong_property("{type: object, anyOf: [{type: string}]}") ==
        kAt + ".anyOf[0].type: Forbidden: must be empty to be structural");
  CHECK(wrong(version("{type: string}")) ==
        "spec.validation.openAPIV3Schema.type: Invalid value: \"string\": must be object at the root");
  CHECK(wrong_property("{type: object, properties: {x: {type: string}}, additionalProperties: {type: string}}") ==
        kAt + ".additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive");
  CHECK(wrong_property("{$ref: '#/x'}") == kAt + ".$ref: Forbidden: $ref is not supported");
}

TEST_CASE("what a schema says must make sense") {
  CHECK(wrong_property("{type: string, pattern: '('}") ==
        kAt +
            ".pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: error parsing regexp: "
            "missing closing ): `(`");
  CHECK(wrong_property("{type: string, default: 5}") ==
        kAt + ".default: Invalid value: \"integer\":  in body must be of type string: \"integer\"");
  CHECK(wrong_property("{type: array, x-kubernetes-list-type: map, items: {type: object}}") ==
        kAt + ".x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map");
  CHECK(wrong_property("{type: integer, x-kubernetes-validations: [{rule: self.x}]}")
            .find(kAt + ".x-kubernetes-validations[0].rule: Invalid value: ") == 0);
}

TEST_CASE("rules that may cost too much are refused with the factor, and bounds make them cheap") {
  const std::string help =
      " (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings "
      "are "
      "declared)";
  const auto texts = [](const std::string& bounds, const std::string& text_bounds) {
    return wrong_property("{type: array, " + bounds + "items: {type: string, " + text_bounds +
                          "x-kubernetes-validations: [{rule: \"self.contains('test')\"}]}}");
  };
  CHECK(texts("maxItems: 100, ", "") == kAt +
                                            ".items.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost "
                                            "exceeds budget by factor of 3.1x" +
                                            help);
  CHECK(texts("", "maxLength: 10, ").empty());
  CHECK(texts("maxItems: 100, ", "maxLength: 1000, ").empty());
  const std::string nested = "rule: 'self.all(x, self.all(y, self.all(z, x == y + z)))'";
  const std::string rule = kAt + ".x-kubernetes-validations[0].rule: Forbidden: ";
  CHECK(wrong_property("{type: array, items: {type: string}, x-kubernetes-validations: [{" + nested + "}]}") ==
        rule + "estimated rule cost exceeds budget by factor of more than 100x" + help + "; " + rule +
            "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema; "
            "spec.validation.openAPIV3Schema: Forbidden: x-kubernetes-validations estimated rule cost total for entire "
            "OpenAPIv3 schema exceeds budget by factor of more than 100x" +
            help);
  CHECK(wrong_property("{type: array, maxItems: 5, items: {type: string, maxLength: 9}, x-kubernetes-validations: [{" +
                       nested + "}]}")
            .empty());
}

TEST_CASE("what versions do not share is told at the version") {
  const std::string two = version("{type: object}") + ", " + version("{type: object, properties: {a: {}}}", "v2");
  CHECK(wrong(two) ==
        "spec.versions[1].schema.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified "
        "object fields");
  CHECK(wrong(version("{type: object}", "v2")).find("must have exactly one version marked as storage version") !=
        std::string::npos);
}

TEST_CASE("a conversion webhook needs a client") {
  CHECK(wrong(version("{type: object}"), ", conversion: {strategy: Webhook}") ==
        "spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook; "
        "spec.conversion.conversionReviewVersions: Required value");
  CHECK(wrong(version("{type: object}"),
              ", conversion: {strategy: Webhook, webhook: {conversionReviewVersions: [v1], clientConfig: {url: "
              "'http://x/y'}}}")
            .find("'https' is the only allowed URL scheme") != std::string::npos);
}

}  // namespace caisson::schema
