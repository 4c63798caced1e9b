// SPDX-License-Identifier: Apache-2.0
// ApplicationSet: templates, generators, and what is created, changed, deleted and synced. Expected parameters are
// those of Argo CD 3.0's documentation of each generator.
#include "delivery/gitops/application_set.h"

#include <doctest/doctest.h>

#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/gitops/sync.h"

namespace caisson::gitops {
namespace {

Value doc(std::string_view text) {
  auto value = yaml::read(text);
  REQUIRE_MESSAGE(value.ok(), (value.ok() ? "" : value.error().message));
  return std::move(value).value();
}

GeneratorWorld world() {
  GeneratorWorld out;
  out.clusters = []() -> Result<std::vector<Value>> {
    return std::vector<Value>{
        doc("{metadata: {labels: {env: prod}}, data: {name: cHJvZF9ldQ==, server: aHR0cHM6Ly9wcm9k}}"),
        doc("{metadata: {labels: {env: dev}}, data: {name: ZGV2, server: aHR0cHM6Ly9kZXY=}}")};
  };
  out.directories = [](const std::string&, const std::string&) -> Result<std::vector<std::string>> {
    return std::vector<std::string>{"apps", "apps/api", "apps/web", "apps/web/base", "docs"};
  };
  out.files = [](const std::string&, const std::string&,
                 const std::vector<std::string>&) -> Result<std::vector<GeneratedFile>> {
    return std::vector<GeneratedFile>{{"envs/dev/config.json", R"({"cluster": {"name": "dev", "port": 8080}})"}};
  };
  out.pull_requests = [](const Value&) -> Result<std::vector<Value>> {
    return std::vector<Value>{doc("{number: '7', branch: b, labels: [x]}")};
  };
  out.plugin = [](const Value&) -> Result<std::vector<Value>> {
    return std::vector<Value>{doc("{key: a, deep: {er: 1}}")};
  };
  out.decisions = [](const Value&) -> Result<std::vector<Value>> {
    return std::vector<Value>{doc("{cluster: dev, decision: {clusterName: dev, reason: near}}"),
                              doc("{cluster: unknown, decision: {clusterName: unknown}}")};
  };
  return out;
}

std::vector<Value> parameters(std::string_view spec_text, ErrorCode* error = nullptr) {
  const Value spec = doc(spec_text);
  const auto style = parse_style(spec);
  REQUIRE(style.ok());
  const auto made = generate(spec, *style, world());
  if (!made.ok()) {
    REQUIRE_MESSAGE(error != nullptr, made.error().message);
    *error = made.error().code;
    return {};
  }
  std::vector<Value> out;
  for (const Generated& one : *made) out.push_back(one.parameters);
  return out;
}

kube::Object set_object(std::string_view extra = "") {
  return kube::Object(
      doc("{metadata: {name: team, namespace: argocd, uid: u1}, apiVersion: argoproj.io/v1alpha1, "
          "kind: ApplicationSet, spec: {" +
          std::string(extra) + "}}"));
}

Value app(const std::string& name) {
  return doc("{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: " + name +
             "}, spec: {project: default, syncPolicy: {automated: {}}}}");
}

kube::Object live(const std::string& name, const std::string& env, const std::string& sync, const std::string& health) {
  kube::Object out(doc("{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: " + name +
                       ", namespace: argocd, labels: {env: " + env +
                       "}}, spec: {project: default}, status: {sync: {status: " + sync +
                       "}, health: {status: " + health + "}}}"));
  out.set_controller(set_object());
  return out;
}

TEST_CASE("pull requests: labels are a list, which only Go templates can use") {
  const auto plain = parameters("generators: [{pullRequest: {values: {host: 'pr-{{number}}'}}}]");
  REQUIRE(plain.size() == 1);
  CHECK(plain[0]["values.host"].as_string() == "pr-7");
  CHECK(plain[0]["labels"].is_null());
  CHECK(parameters("{goTemplate: true, generators: [{pullRequest: {}}]}")[0]["labels"][0].as_string() == "x");
}

TEST_CASE("a plug-in's sets come with the input that it was given") {
  const std::string plugin = "generators: [{plugin: {input: {parameters: {team: web}}, values: {k: '{{key}}'}}}]";
  const auto flat = parameters(plugin);
  REQUIRE(flat.size() == 1);
  CHECK(flat[0]["deep.er"].scalar_text() == "1");
  CHECK(flat[0]["values.k"].as_string() == "a");
  CHECK(flat[0]["generator.input.parameters.team"].as_string() == "web");
  const auto go = parameters("{goTemplate: true, generators: [{plugin: {input: {parameters: {team: web}}}}]}");
  CHECK(go[0]["generator"]["input"]["parameters"]["team"].as_string() == "web");
  CHECK(go[0]["deep"]["er"].as_int() == 1);
}

TEST_CASE("a decision names a cluster that is registered; its other members are parameters") {
  const auto made = parameters("generators: [{clusterDecisionResource: {configMapRef: m, values: {w: '{{reason}}'}}}]");
  REQUIRE(made.size() == 1);
  CHECK(made[0]["name"].as_string() == "dev");
  CHECK(made[0]["server"].as_string() == "https://dev");
  CHECK(made[0]["reason"].as_string() == "near");
  CHECK(made[0]["values.w"].as_string() == "near");
}

TEST_CASE("a plain template takes parameters by name and leaves what it does not know") {
  const Value parameters{{"name", "web"}, {"metadata.labels.env", "dev"}};
  CHECK(*fill_text("{{name}}-{{ metadata.labels.env }}-{{other}}", parameters, {}) == "web-dev-{{other}}");
  CHECK(*fill_text("no end {{name", parameters, {}) == "no end {{name");
}

TEST_CASE("a Go template has Sprig, normalize and slugify, and fails at a missing key where it should") {
  const Value parameters = doc("{name: My App, path: {basename: web}}");
  CHECK(*fill_text("{{ .name | lower | replace \" \" \"-\" }}-{{ .path.basename }}", parameters, {.go = true}) ==
        "my-app-web");
  CHECK(*fill_text("{{ normalize .name }}", parameters, {.go = true}) == "my-app");
  CHECK(*fill_text("{{ slugify .name }}", parameters, {.go = true}) == "my-app");
  const auto missing = fill_text("{{ .none }}", parameters, {.go = true, .missing_key_fails = true});
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().message.find("map has no entry for key \"none\"") != std::string::npos);
}

TEST_CASE("templatePatch is filled and merged over the template, but not over the project") {
  const Value spec = doc(
      R"({goTemplate: true, template: {metadata: {name: '{{ .name }}'}, spec: {project: default, source: {path: a}}},
    templatePatch: "spec:\n  project: other\n{{ if .auto }}  syncPolicy:\n    automated: {prune: {{ .prune }}}\n{{ end }}"})");
  const auto made = application_from(spec, Value(), doc("{name: web, auto: true, prune: true}"), {.go = true});
  REQUIRE_MESSAGE(made.ok(), made.error().message);
  CHECK((*made)["spec"]["syncPolicy"]["automated"]["prune"].as_bool());
  CHECK((*made)["spec"]["project"].as_string() == "default");
  CHECK((*made)["metadata"]["name"].as_string() == "web");
}

TEST_CASE("list elements are flat parameters, or nested ones for Go templates") {
  const auto flat = parameters("{generators: [{list: {elements: [{cluster: dev, values: {tier: low}}]}}]}");
  CHECK(flat.at(0)["values.tier"].as_string() == "low");
  const auto nested =
      parameters("{goTemplate: true, generators: [{list: {elements: [{cluster: dev, values: {tier: low}}]}}]}");
  CHECK(nested.at(0)["values"]["tier"].as_string() == "low");
}

TEST_CASE("clusters come from Secrets and the local one without a Secret; a selector leaves the local one out") {
  const auto all = parameters("{generators: [{clusters: {}}]}");
  REQUIRE(all.size() == 3);
  CHECK(all[0]["nameNormalized"].as_string() == "prod-eu");
  CHECK(all[2]["name"].as_string() == "in-cluster");
  const auto some =
      parameters("{generators: [{clusters: {selector: {matchLabels: {env: prod}}, values: {n: '{{name}}'}}}]}");
  REQUIRE(some.size() == 1);
  CHECK(some[0]["server"].as_string() == "https://prod");
  CHECK(some[0]["metadata.labels.env"].as_string() == "prod");
  CHECK(some[0]["values.n"].as_string() == "prod_eu");
}

TEST_CASE("git directories fit one level of a glob, and exclusion wins over inclusion") {
  const auto flat =
      parameters("{generators: [{git: {repoURL: x, directories: [{path: apps/*}, {path: apps/api, exclude: true}]}}]}");
  REQUIRE(flat.size() == 1);
  CHECK(flat[0]["path"].as_string() == "apps/web");
  CHECK(flat[0]["path.basename"].as_string() == "web");
  CHECK(flat[0]["path[0]"].as_string() == "apps");
  const auto nested =
      parameters("{goTemplate: true, generators: [{git: {repoURL: x, directories: [{path: apps/*}]}}]}");
  REQUIRE(nested.size() == 2);
  CHECK(nested[0]["path"]["segments"][1].as_string() == "api");
}

TEST_CASE("git files give their content and where they lie") {
  const auto flat = parameters("{generators: [{git: {repoURL: x, files: [{path: 'envs/**/config.json'}]}}]}");
  REQUIRE(flat.size() == 1);
  CHECK(flat[0]["cluster.name"].as_string() == "dev");
  CHECK(flat[0]["cluster.port"].as_string() == "8080");
  CHECK(flat[0]["path"].as_string() == "envs/dev");
  CHECK(flat[0]["path.filename"].as_string() == "config.json");
}

TEST_CASE("a matrix fills its second generator with the first one's parameters") {
  const auto made = parameters(R"({goTemplate: true, generators: [{matrix: {generators: [
    {git: {repoURL: x, directories: [{path: 'apps/*'}]}},
    {list: {elements: [{env: '{{ .path.basename }}-dev'}, {env: prod}]}}]}}]})");
  REQUIRE(made.size() == 4);
  CHECK(made[0]["env"].as_string() == "api-dev");
  CHECK(made[3]["path"]["basename"].as_string() == "web");
  ErrorCode code{};
  parameters("{generators: [{matrix: {generators: [{list: {elements: []}}]}}]}", &code);
  CHECK(code == ErrorCode::invalid);
}

TEST_CASE("merge overrides by key, and refuses a base whose keys are not unique") {
  const auto made = parameters(R"({generators: [{merge: {mergeKeys: [name], generators: [
    {list: {elements: [{name: a, size: small}, {name: b, size: small}]}},
    {list: {elements: [{name: b, size: big}, {name: c, size: big}]}}]}}]})");
  REQUIRE(made.size() == 2);
  CHECK(made[0]["size"].as_string() == "small");
  CHECK(made[1]["size"].as_string() == "big");
  ErrorCode code{};
  parameters(
      "{generators: [{merge: {mergeKeys: [n], generators: [{list: {elements: [{n: 1}, {n: 1}]}}, {list: {elements: "
      "[]}}]}}]}",
      &code);
  CHECK(code == ErrorCode::invalid);
}

TEST_CASE("a selector keeps the parameter sets that fit, and an unknown generator is refused by name") {
  const auto made =
      parameters("{generators: [{list: {elements: [{env: dev}, {env: prod}]}, selector: {matchLabels: {env: prod}}}]}");
  REQUIRE(made.size() == 1);
  CHECK(made[0]["env"].as_string() == "prod");
  ErrorCode code{};
  parameters("{generators: [{azureDevOps: {}}]}", &code);
  CHECK(code == ErrorCode::invalid);
}

TEST_CASE("Applications are created with owner and finalizer, changed in place, and deleted when nothing makes them") {
  const kube::Object set = set_object();
  std::vector<kube::Object> existing{live("old", "dev", "Synced", "Healthy"), live("web", "dev", "Synced", "Healthy")};
  existing[1].set_annotation("argocd.argoproj.io/refresh", "hard");
  const SetPlan plan = plan_set(set, {app("web"), app("new")}, existing);
  REQUIRE(plan.actions.size() == 3);
  CHECK(plan.actions[0].verb == SetAction::Verb::update);
  CHECK(plan.actions[0].object.annotation("argocd.argoproj.io/refresh") == "hard");
  CHECK(plan.actions[1].verb == SetAction::Verb::create);
  CHECK(plan.actions[1].object.is_controlled_by("u1"));
  CHECK(plan.actions[1].object.has_finalizer("resources-finalizer.argocd.argoproj.io"));
  CHECK(plan.actions[2].verb == SetAction::Verb::remove);
  CHECK(plan.actions[2].object.name() == "old");
}

TEST_CASE("create-only neither changes nor deletes, and duplicate names delete nothing") {
  const std::vector<kube::Object> existing{live("web", "dev", "Synced", "Healthy"),
                                           live("old", "dev", "Synced", "Healthy")};
  CHECK(plan_set(set_object("syncPolicy: {applicationsSync: create-only}"), {app("web")}, existing).actions.empty());
  const SetPlan twice = plan_set(set_object(), {app("a"), app("a")}, existing);
  CHECK(twice.errors.size() == 1);
  for (const SetAction& one : twice.actions) CHECK(one.verb != SetAction::Verb::remove);
}

TEST_CASE("an Application of somebody else is left alone") {
  kube::Object foreign = live("web", "dev", "Synced", "Healthy");
  foreign.edit({"metadata"}).erase("ownerReferences");
  const SetPlan plan = plan_set(set_object(), {app("web")}, {foreign});
  CHECK(plan.actions.empty());
  CHECK(plan.errors.size() == 1);
}

TEST_CASE("many deletions wait for an approval") {
  std::vector<kube::Object> existing;
  for (int i = 0; i < 25; ++i) existing.push_back(live("a" + std::to_string(i), "dev", "Synced", "Healthy"));
  const SetPlan held = plan_set(set_object(), {}, existing);
  CHECK(held.actions.empty());
  REQUIRE_FALSE(held.held.empty());
  kube::Object approved = set_object();
  approved.set_annotation(kApprovedAnnotation, held.held.substr(held.held.rfind(' ') + 1));
  CHECK(plan_set(approved, {}, existing).actions.size() == 25);
}

constexpr std::string_view kSteps =
    "strategy: {type: RollingSync, rollingSync: {steps: [{matchExpressions: [{key: env, operator: In, values: "
    "[dev]}]}, "
    "{matchExpressions: [{key: env, operator: In, values: [prod]}], maxUpdate: 1}]}}";

TEST_CASE("RollingSync begins a step when all of the former are healthy") {
  const kube::Object set = set_object(kSteps);
  const Time now{};
  auto plan =
      plan_rolling(set, {live("d", "dev", "OutOfSync", "Healthy"), live("p", "prod", "OutOfSync", "Healthy")}, now);
  REQUIRE(plan.to_sync.size() == 1);
  CHECK(plan.to_sync[0].name == "d");
  CHECK(plan.step == 1);
  plan = plan_rolling(set, {live("d", "dev", "Synced", "Progressing"), live("p", "prod", "OutOfSync", "Healthy")}, now);
  CHECK(plan.to_sync.empty());
  plan = plan_rolling(set,
                      {live("d", "dev", "Synced", "Healthy"), live("p", "prod", "OutOfSync", "Healthy"),
                       live("q", "prod", "OutOfSync", "Healthy")},
                      now);
  CHECK(plan.to_sync.size() == 1);  // maxUpdate
  CHECK(plan.step == 2);
  plan = plan_rolling(set, {live("d", "dev", "Synced", "Healthy"), live("p", "prod", "Synced", "Healthy")}, now);
  CHECK(plan.step == 0);
}

TEST_CASE("RollingSync takes automated sync from the Applications that it makes") {
  const SetPlan plan = plan_set(set_object(kSteps), {app("web")}, {});
  REQUIRE(plan.actions.size() == 1);
  CHECK_FALSE(plan.actions[0].object.spec()["syncPolicy"].contains("automated"));
}

}  // namespace
}  // namespace caisson::gitops
