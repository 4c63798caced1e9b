// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "core/document/yaml.h"
#include "delivery/render/helm/actions.h"
#include "delivery/render/helm/three_way.h"

namespace caisson::render::helm {
namespace {

Value doc(std::string_view text) {
  auto value = yaml::read(text);
  REQUIRE(value.ok());
  return *value;
}

Value merged(const char* original, const char* modified, const char* live, const char* kind = "Deployment") {
  static const auto schema = schema::Schema::built_in();
  REQUIRE(schema.ok());
  const auto known = schema->find("apps", "v1", kind);
  return three_way_merge(doc(original), doc(modified), doc(live), known ? schema::merge_schema(*known) : nullptr);
}

}  // namespace

TEST_CASE("a release is read back as it was written") {
  Release release;
  release.name = "web";
  release.ns = "shop";
  release.version = 3;
  release.status = "deployed";
  release.description = "Upgrade complete";
  release.first_deployed = release.last_deployed = "2026-11-21T12:00:00.5Z";
  release.chart = Value{{"metadata", Value{{"name", "web"}, {"version", "1.0.0"}}}};
  release.config = Value{{"a", 1.5}};
  release.manifest = "---\n# Source: web/templates/a.yaml\nkind: A\n";
  release.hooks.push_back(
      {{{"web/templates/h.yaml", "kind: Job", doc("kind: Job")}, "h", {"pre-install"}, {"hook-failed"}, {}, -5},
       "",
       "",
       "Succeeded"});
  const auto text = encode_release(release);
  REQUIRE(text.ok());
  const auto back = decode_release(*text);
  REQUIRE(back.ok());
  CHECK(back->name == "web");
  CHECK(back->version == 3);
  CHECK(back->config == release.config);
  CHECK(back->manifest == release.manifest);
  REQUIRE(back->hooks.size() == 1);
  CHECK(back->hooks[0].hook.weight == -5);
  CHECK(back->hooks[0].hook.delete_policies == std::vector<std::string>{"hook-failed"});
  CHECK_FALSE(decode_release("no base64!").ok());
}

TEST_CASE("a merge keeps what only the cluster has, and takes away what the chart has no longer") {
  CHECK(merged("{spec: {replicas: 1, paused: true}}", "{spec: {replicas: 2}}",
               "{spec: {replicas: 1, paused: true, x: 1}, status: {a: 1}}") ==
        doc("{spec: {replicas: 2, x: 1}, status: {a: 1}}"));
  CHECK(merged("{metadata: {labels: {a: b}}}", "{metadata: {}}", "{metadata: {labels: {a: b, c: d}}}") ==
        doc("{metadata: {}}"));
}

TEST_CASE("lists with keys merge item by item, others are replaced") {
  const char* original = "{spec: {template: {spec: {containers: [{name: a, image: x}, {name: b}]}}}}";
  const char* modified = "{spec: {template: {spec: {containers: [{name: a, image: y}]}}}}";
  const char* live =
      "{spec: {template: {spec: {containers: [{name: a, image: x, tty: true}, {name: b}, {name: injected}]}}}}";
  CHECK(merged(original, modified, live) ==
        doc("{spec: {template: {spec: {containers: [{name: a, image: y, tty: true}, {name: injected}]}}}}"));
  CHECK(merged("{a: [1, 2]}", "{a: [1]}", "{a: [1, 2, 3]}", "Unknown") == doc("{a: [1]}"));
}

TEST_CASE("an object is ready when its kind's controller has done its part") {
  const auto ready = [](const char* text, bool jobs = false) { return is_ready(kube::Object(doc(text)), jobs); };
  CHECK(ready("{kind: ConfigMap}"));
  CHECK_FALSE(
      ready("{kind: Deployment, metadata: {generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 1, "
            "updatedReplicas: 1, readyReplicas: 1}}"));
  CHECK(
      ready("{kind: Deployment, metadata: {generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 2, "
            "updatedReplicas: 1, readyReplicas: 1}}"));
  CHECK_FALSE(ready("{kind: Job}", true));
  CHECK(ready("{kind: Job}"));
  CHECK_FALSE(ready("{kind: Pod, status: {phase: Pending}}"));
}

}  // namespace caisson::render::helm
