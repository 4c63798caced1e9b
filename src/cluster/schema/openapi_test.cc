// SPDX-License-Identifier: Apache-2.0
#include "cluster/schema/openapi.h"

#include <doctest/doctest.h>

#include "cluster/schema/descriptions.h"
#include "cluster/schema/openapi_proto.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

using namespace caisson;
using namespace caisson::schema;

namespace {

Schema built_in() {
  auto made = Schema::built_in();
  REQUIRE(made.ok());
  return std::move(made).value();
}

Value parsed(std::string_view json) {
  auto value = json::parse(json);
  REQUIRE(value.ok());
  return std::move(value).value();
}

Value no_definitions(std::string_view) {
  return Value();
}

constexpr std::string_view kWidgets = R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        description: A thing.
        properties:
          kind: {type: string, description: not ours}
          spec:
            type: object
            description: What is wanted.
            properties:
              color: {type: string, description: Its colour., enum: [red, blue], pattern: "^[a-z]+$"}
              parts:
                type: array
                items: {type: object, description: One part., properties: {name: {type: string, description: Its name.}}}
)";

}  // namespace

TEST_CASE("every type and field of the kind files is described, and no description is of another") {
  Descriptions descriptions;
  std::map<std::string, Value, std::less<>> packages;
  for (const KindFile& file : kind_files()) {
    const Value kinds = parsed(file.json);
    if (!kinds.contains("package")) continue;
    const std::string package = kinds["package"].str();
    packages[package] = kinds["types"];
    for (const auto& [type, members] : kinds["types"].entries()) {
      const std::string name = package + "." + std::string(type);
      CHECK_MESSAGE(!descriptions.type(name).empty(), name);
      for (const auto& [member, text] : members.entries())
        if (member != "$") CHECK_MESSAGE(!descriptions.field(name, member).empty(), name << "." << member);
    }
  }
  for (const KindFile& file : description_files()) {
    if (file.path == "common.yaml") continue;
    const std::string package(file.path.substr(0, file.path.size() - 5));
    const Value described = parsed(file.json);
    for (const auto& [type, members] : described.entries()) {
      CHECK_MESSAGE(packages[package].contains(type), package << "." << type);
      for (const auto& [member, text] : members.entries())
        CHECK_MESSAGE((member == "$" || member == "$like" || packages[package][type].contains(member)),
                      type << "." << member);
    }
  }
}

TEST_CASE("a type that is like another has its descriptions but for its own") {
  Descriptions descriptions;
  const std::string core = "io.k8s.api.core.v1.";
  CHECK(descriptions.field(core + "EphemeralContainer", "image") == descriptions.field(core + "Container", "image"));
  CHECK(descriptions.field(core + "EphemeralContainer", "ports") != descriptions.field(core + "Container", "ports"));
  CHECK(descriptions.field(core + "PodCondition", "reason") ==
        descriptions.field("io.k8s.apimachinery.pkg.apis.meta.v1.Condition", "reason"));
  CHECK(descriptions.field(core + "Pod", "kind") == descriptions.field(core + "Node", "kind"));
  CHECK(descriptions.field(core + "PodSpec", "nobody").empty());
  CHECK(descriptions.type("com.example.v1.Widget").empty());
}

TEST_CASE("OpenAPI lists what there is, in both versions with descriptions") {
  const Schema schema = built_in();
  const auto v3 = openapi_v3(schema, "apis/apps/v1", no_definitions);
  REQUIRE(v3);
  const Value& spec = (*v3)["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"];
  CHECK(spec["description"].as_string() == "What a Pod runs, and how.");
  CHECK(spec["properties"]["restartPolicy"]["description"].as_string().starts_with("When containers are started"));
  CHECK(spec["properties"]["restartPolicy"]["enum"].size() == 3);
  CHECK((*v3)["paths"].contains("/apis/apps/v1/namespaces/{namespace}/deployments/{name}"));
  CHECK((*v3)["components"]["schemas"]["io.k8s.api.apps.v1.DeploymentList"]["properties"]["items"]["description"]
            .as_string() == "The objects of the list.");
  CHECK_FALSE(openapi_v3(schema, "apis/nobody/v1", no_definitions));
  const Value v2 = openapi_v2(schema, no_definitions);
  const Value& affinity = v2["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]["affinity"];
  CHECK(affinity["$ref"].as_string() == "#/definitions/io.k8s.api.core.v1.Affinity");
  CHECK(affinity["description"].as_string() == "Which nodes are preferred or needed.");
  CHECK(openapi_protobuf(v2).find("Which nodes are preferred or needed.") != std::string::npos);
}

TEST_CASE("the schema of a definition is published as it was written") {
  Schema schema = built_in();
  auto crd = yaml::read(kWidgets);
  REQUIRE(crd.ok());
  REQUIRE(schema.add_crd(*crd).ok());
  const DefinitionReader definitions = [&](std::string_view name) {
    return name == "widgets.example.com" ? *crd : Value();
  };
  const auto v3 = openapi_v3(schema, "apis/example.com/v1", definitions);
  REQUIRE(v3);
  const Value& widget = (*v3)["components"]["schemas"]["com.example.v1.Widget"];
  CHECK(widget["description"].as_string() == "A thing.");
  CHECK(widget["x-kubernetes-group-version-kind"][0]["kind"].as_string() == "Widget");
  CHECK(widget["properties"]["kind"]["description"].as_string().starts_with("Name of the object's type"));
  CHECK(widget["properties"]["metadata"].contains("allOf"));
  CHECK(widget["properties"]["spec"]["properties"]["color"] == Value{{"type", "string"},
                                                                     {"description", "Its colour."},
                                                                     {"enum", Value::list_of({"red", "blue"})},
                                                                     {"pattern", "^[a-z]+$"}});
  const Value v2 = openapi_v2(schema, definitions);
  const Value& spec = v2["definitions"]["com.example.v1.Widget"]["properties"]["spec"];
  CHECK(spec["description"].as_string() == "What is wanted.");
  CHECK(spec["properties"]["parts"]["items"]["properties"]["name"]["description"].as_string() == "Its name.");
  CHECK(openapi_v3(schema, "apis/example.com/v1", no_definitions).has_value());
}
