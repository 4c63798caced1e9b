// SPDX-License-Identifier: Apache-2.0
// The parts that need no server; the commands themselves are compared with kubectl by tests/conformance (kubectl
// lists).
#include <doctest/doctest.h>

#include "cluster/schema/schema.h"
#include "core/document/yaml.h"
#include "main/cli/kubectl/apply.h"

namespace caisson::cli::kubectl {
namespace {

Value read(std::string_view text) {
  return yaml::read(text).value();
}

std::string printed(std::string_view value, std::string_view text) {
  const auto out = json_path_template(read(value), text);
  return out.ok() ? *out : "error: " + out.error().message;
}

}  // namespace

TEST_CASE("a JSONPath template prints text, paths, ranges and quoted strings") {
  constexpr std::string_view kList = "{items: [{metadata: {name: a}, n: 1}, {metadata: {name: b}, n: 2}]}";
  CHECK(printed(kList, "{.items[*].metadata.name}") == "a b");
  CHECK(printed(kList, "{range .items[*]}{.metadata.name}={.n}{\"\\n\"}{end}") == "a=1\nb=2\n");
  CHECK(printed(kList, "{range .nothing[*]}x{end}-") == "-");
  CHECK(printed(kList, "{.items[0].metadata}") == "{\"name\":\"a\"}");
  CHECK(printed(kList, "{..name}") == "a b");
  CHECK(printed(kList, "{.items[1]..name}") == "b");
  CHECK(printed(kList, "{..metadata.name}") == "a b");
  CHECK(printed(kList, "{.bad") == "error: unclosed action");
  CHECK(printed(kList, "{range .items[*]}x") == "error: unclosed range");
  CHECK(printed(kList, "{end}") == "error: not in range, nothing to end");
}

TEST_CASE("custom columns give a row for each object and <none> for what is absent") {
  const auto rows = custom_columns(read("{items: [{metadata: {name: a}, data: {x: y}}, {metadata: {name: b}}]}"),
                                   "N:.metadata.name,X:.data.x");
  REQUIRE(rows.ok());
  CHECK(*rows == std::vector<std::vector<std::string>>{{"N", "X"}, {"a", "y"}, {"b", "<none>"}});
  CHECK_FALSE(custom_columns(read("{}"), "N").ok());
}

TEST_CASE("a format that there is not is refused by name") {
  CHECK(check_format("jsonpath={.a}").ok());
  CHECK_FALSE(check_format("kyaml").ok());
}

TEST_CASE("the longest name of a command wins, and others are not ours") {
  CHECK(find_command({"create", "secret", "tls", "web"})->name == "create secret tls");
  CHECK(find_command({"create", "-f", "x"})->name == "create");
  CHECK(find_command({"rollout", "status", "deploy/web"})->name == "rollout status");
  CHECK(find_command({"up"}) == nullptr);
}

TEST_CASE("every command has help, a usage that begins with its name, and an example") {
  for (const auto family : all_commands()) {
    for (const Command& command : family) {
      CAPTURE(command.name);
      CHECK_FALSE(command.help.empty());
      CHECK(command.usage.starts_with(command.name));
      CHECK(command.example.starts_with("caisson "));
    }
  }
}

TEST_CASE("apply removes what it said before, keeps what others said, and merges containers by name") {
  const schema::Schema schema = schema::Schema::built_in().value();
  const schema::KindPtr kind = schema.find_api_version("apps/v1", "Deployment");
  const auto deployment = [](std::string_view spec) {
    return read("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: " + std::string(spec) + "}");
  };
  const Value original = deployment(
      "{replicas: 2, paused: true, template: {spec: {containers: [{name: web, image: a, env: [{name: A, value: '1'}]}, "
      "{name: old, image: o}]}}}");
  const Value modified = deployment("{replicas: 3, template: {spec: {containers: [{name: web, image: b}]}}}");
  const Value current = deployment(
      "{replicas: 2, paused: true, revisionHistoryLimit: 10, template: {spec: {containers: [{name: web, image: a, "
      "imagePullPolicy: Always, env: [{name: A, value: '1'}]}, {name: old, image: o}, {name: injected, image: i}]}}}");
  CHECK(three_way(original, modified, current, schema::merge_schema(*kind)) ==
        deployment("{replicas: 3, revisionHistoryLimit: 10, template: {spec: {containers: [{name: web, image: b, "
                   "imagePullPolicy: Always}, {name: injected, image: i}]}}}"));
  CHECK(three_way({}, modified, modified, schema::merge_schema(*kind)) == modified);
  CHECK(three_way(read("{list: [1, 2]}"), read("{list: [1]}"), read("{list: [1, 2, 3], own: x}"), nullptr) ==
        read("{list: [1], own: x}"));
}

}  // namespace caisson::cli::kubectl
