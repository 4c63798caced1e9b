// SPDX-License-Identifier: Apache-2.0
#include "delivery/render/render.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "core/base/file.h"

namespace caisson::render {
namespace {

constexpr const char* kDeployment =
    "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    spec:\n      containers:\n"
    "      - name: web\n        image: shop/web:1\n        envFrom:\n        - configMapRef:\n            name: "
    "settings\n";

std::map<std::string, std::string> shop() {
  return {
      {"base/kustomization.yaml",
       "resources: [web.yaml]\nconfigMapGenerator:\n- name: settings\n  literals: [COLOR=blue]\n"},
      {"base/web.yaml", kDeployment},
      {"overlays/prod/kustomization.yaml",
       "resources: [../../base]\nnamespace: shop\nnamePrefix: prod-\nimages:\n- name: shop/web\n  newTag: "
       "\"2\"\nreplicas:\n- name: web\n  count: 3\n"},
  };
}

Result<Rendering> render_shop(std::map<std::string, std::string> files, const std::string& path = "overlays/prod") {
  return kustomize(MemorySource(std::move(files)), path, {});
}

std::string error_of(std::map<std::string, std::string> files, const std::string& path = "overlays/prod") {
  const auto rendering = render_shop(std::move(files), path);
  REQUIRE_FALSE(rendering.ok());
  return rendering.error().message;
}

}  // namespace

TEST_CASE("an overlay renames, retags and scales what its base has, and references follow") {
  const auto rendering = render_shop(shop());
  REQUIRE_MESSAGE(rendering.ok(), rendering.error().message);
  REQUIRE(rendering->objects.size() == 2);
  const Value& settings = rendering->objects[0];
  const Value& web = rendering->objects[1];
  CHECK(web["metadata"]["name"].as_string() == "prod-web");
  CHECK(web["metadata"]["namespace"].as_string() == "shop");
  CHECK(web["spec"]["replicas"].as_int() == 3);
  const Value& container = web.get({"spec", "template", "spec", "containers"})[0];
  CHECK(container["image"].as_string() == "shop/web:2");
  CHECK(container["envFrom"][0]["configMapRef"]["name"].as_string() == settings["metadata"]["name"].as_string());
  CHECK(settings["metadata"]["name"].as_string().starts_with("prod-settings-"));
}

TEST_CASE("the inputs of a rendering are the files it read, with their digests") {
  const auto rendering = render_shop(shop());
  REQUIRE(rendering.ok());
  std::vector<std::string> paths;
  for (const Input& input : rendering->inputs) paths.push_back(input.path);
  CHECK(paths ==
        std::vector<std::string>{"base/kustomization.yaml", "base/web.yaml", "overlays/prod/kustomization.yaml"});
  CHECK(rendering->inputs[0].sha256.size() == 64);
}

TEST_CASE("errors name the file and the field") {
  struct Case {
    const char* name;
    const char* file;
    const char* text;
    const char* error;
  };
  const Case cases[] = {
      {"unknown field", "overlays/prod/kustomization.yaml", "resources: [../../base]\nnonsense: 1\n",
       "overlays/prod/kustomization.yaml: nonsense: unknown field"},
      {"wrong type", "overlays/prod/kustomization.yaml", "namePrefix: 7\n",
       "overlays/prod/kustomization.yaml: namePrefix: must be a string, not the integer 7"},
      {"nested wrong type", "overlays/prod/kustomization.yaml", "images:\n- name: a\n  newTag: 2\n",
       "overlays/prod/kustomization.yaml: images[0].newTag: must be a string, not the integer 2"},
      {"missing file", "base/kustomization.yaml", "resources: [gone.yaml]\n",
       "overlays/prod/kustomization.yaml: resources[0]: base/kustomization.yaml: resources[0]: base/gone.yaml: no such "
       "file"},
      {"malformed manifest", "base/web.yaml", "kind: [\n",
       "base/web.yaml: line 2, column 1: a flow collection that is not closed"},
      {"no kind", "base/web.yaml", "apiVersion: v1\nmetadata: {name: x}\n", "base/web.yaml: missing kind in object"},
      {"cycle", "base/kustomization.yaml", "resources: [../overlays/prod]\n",
       "cycle detected: kustomizations lead back to overlays/prod"},
      {"outside", "overlays/prod/kustomization.yaml", "resources: [../../base/web.yaml]\n",
       "is not in or below the kustomization's directory"},
      {"remote", "overlays/prod/kustomization.yaml", "resources: [\"https://example.com/x.yaml\"]\n",
       "remote resources are not fetched"},
      {"patch without target", "overlays/prod/kustomization.yaml",
       "resources: [../../base]\npatches:\n- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: "
       "{name: other}\n",
       "overlays/prod/kustomization.yaml: patches[0]: the patch's target: no resource is "
       "Deployment.v1.apps/other.[noNs]"},
      {"bad operation", "overlays/prod/kustomization.yaml",
       "resources: [../../base]\npatches:\n- target: {kind: Deployment}\n  patch: '[{op: replace, path: "
       "/spec/no/where, value: 1}]'\n",
       "operation 0 (replace /spec/no/where): the path does not exist"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    auto files = shop();
    files[c.file] = c.text;
    const std::string error = error_of(files);
    CHECK_MESSAGE(error.find(c.error) != std::string::npos, error);
  }
}

TEST_CASE("a kustomization file decides what kind of folder it is") {
  const MemorySource source({{"k/kustomization.yml", "namePrefix: a\n"}, {"d/a.yaml", "x"}});
  CHECK(*detect(source, "k") == Kind::kustomize);
  CHECK(*detect(source, "d") == Kind::directory);
  CHECK(detect(source, "none").error().code == ErrorCode::not_found);
}

TEST_CASE("a plain directory gives its manifests in order of their paths") {
  const auto config_map = [](const char* name) {
    return std::string("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ") + name + "}\n";
  };
  const MemorySource source({{"m/b.yaml", config_map("b")},
                             {"m/a.json", R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}})"},
                             {"m/c.txt", "not a manifest"},
                             {"m/sub/d.yml", config_map("d1") + "---\n" + config_map("d2")}});
  const auto names = [&](const DirectoryOptions& options) {
    const auto rendering = directory(source, "m", options);
    REQUIRE_MESSAGE(rendering.ok(), rendering.error().message);
    std::string out;
    for (const Value& object : rendering->objects) out += object["metadata"]["name"].str() + " ";
    return out;
  };
  CHECK(names({}) == "a b ");
  CHECK(names({.recurse = true}) == "a b d1 d2 ");
  CHECK(names({.recurse = true, .include = "sub/**"}) == "d1 d2 ");
  CHECK(names({.recurse = true, .exclude = "{a.json,**/d.yml}"}) == "b ");
}

TEST_CASE("Jsonnet in a plain directory is refused by name, unless it is left out") {
  const MemorySource source({{"m/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"},
                             {"m/b.jsonnet", "{}"},
                             {"m/lib.libsonnet", "{}"}});
  CHECK(directory(source, "m", {}).error().message.starts_with("m/b.jsonnet: Jsonnet is not supported"));
  CHECK(directory(source, "m", {.exclude = "*.jsonnet"})->objects.size() == 1);
  CHECK(directory(source, "m", {.include = "*.yaml"})->objects.size() == 1);
}

TEST_CASE("globs match as Argo CD's include and exclude") {
  struct Case {
    const char* pattern;
    const char* path;
    bool want;
  };
  const Case cases[] = {
      {"*.yaml", "a.yaml", true},     {"*.yaml", "d/a.yaml", false},  {"**/*.yaml", "d/e/a.yaml", true},
      {"**/*.yaml", "a.yaml", true},  {"{a,b}.yaml", "b.yaml", true}, {"{a,b}.yaml", "c.yaml", false},
      {"[a-c]?.yml", "bx.yml", true}, {"[!a]", "a", false},           {"d/**", "d/x/y", true}};
  for (const Case& c : cases) {
    CAPTURE(c.pattern);
    CAPTURE(c.path);
    CHECK(glob_matches(c.pattern, c.path) == c.want);
  }
}

TEST_CASE("a link that leads out of the directory is refused") {
  const auto outside = TempDir::make(), inside = TempDir::make();
  REQUIRE(outside.ok());
  REQUIRE(inside.ok());
  REQUIRE(write_file(outside->path() + "/secret", "x").ok());
  REQUIRE(::symlink((outside->path() + "/secret").c_str(), (inside->path() + "/link").c_str()) == 0);
  REQUIRE(write_file(inside->path() + "/plain", "y").ok());
  const auto source = disk_source(inside->path());
  CHECK(*source->read("plain") == "y");
  CHECK(source->read("link").error().code == ErrorCode::forbidden);
  CHECK_FALSE(source->read("../" + path_base(outside->path()) + "/secret").ok());
}

}  // namespace caisson::render
