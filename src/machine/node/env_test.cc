// SPDX-License-Identifier: Apache-2.0
#include "machine/node/env.h"

#include <doctest/doctest.h>

#include "core/document/yaml.h"

using namespace caisson;
using namespace caisson::node;

namespace {

kube::Object object(const std::string& text) {
  return kube::Object(*yaml::read(text));
}

Surroundings surroundings() {
  Surroundings around;
  around.config_map = [](const std::string& name) -> std::optional<kube::Object> {
    if (name != "cm") return std::nullopt;
    return object("{metadata: {name: cm}, data: {color: blue, '1bad': x}}");
  };
  around.secret = [](const std::string& name) -> std::optional<kube::Object> {
    if (name != "s") return std::nullopt;
    return object("{metadata: {name: s}, data: {password: c2VjcmV0}}");
  };
  around.pod_ip = "192.0.2.9";
  around.node_name = "n1";
  around.cpu_milli = 2000;
  around.memory_bytes = 1 << 30;
  return around;
}

std::string value(const Env& env, std::string_view name) {
  for (const auto& [key, text] : env) {
    if (key == name) return text;
  }
  return "(none)";
}

}  // namespace

TEST_CASE("$(NAME) is filled in where NAME is known") {
  const Env env = {{"A", "1"}, {"B", "two"}};
  const std::pair<const char*, const char*> cases[] = {
      {"$(A)", "1"}, {"x$(A)y$(B)", "x1ytwo"}, {"$(C)", "$(C)"}, {"$$(A)", "$(A)"}, {"$$$(A)", "$1"}, {"$A", "$A"},
      {"$", "$"},    {"$(A", "$(A"},           {"", ""},         {"$()", "$()"}};
  for (const auto& [text, want] : cases) CHECK_MESSAGE(expand(text, env) == want, text);
}

TEST_CASE("the environment comes from the image, services, envFrom and env, later ones winning") {
  const kube::Object pod =
      object("{metadata: {name: p, namespace: ns, labels: {app: web}}, spec: {serviceAccountName: sa}}");
  Surroundings around = surroundings();
  around.services = {
      object(
          "{metadata: {name: my-db, namespace: ns}, spec: {clusterIP: 192.0.2.5, ports: [{name: sql, port: 5432}]}}"),
      object("{metadata: {name: headless, namespace: ns}, spec: {clusterIP: None, ports: [{port: 1}]}}")};
  const Value container = *yaml::read(R"yaml(
name: c
resources: {limits: {memory: 64Mi}}
envFrom: [{configMapRef: {name: cm}, prefix: CM_}, {secretRef: {name: none, optional: true}}]
env:
- {name: PATH, value: /mine}
- {name: PASSWORD, valueFrom: {secretKeyRef: {name: s, key: password}}}
- {name: URL, value: "$(MY_DB_SERVICE_HOST):$(PASSWORD)"}
- {name: APP, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
- {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
- {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
- {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
- {name: ABSENT, valueFrom: {configMapKeyRef: {name: cm, key: none, optional: true}}}
)yaml");
  const auto env = container_env(pod, container, {"PATH=/bin", "HOME=/root"}, around);
  REQUIRE_MESSAGE(env.ok(), (env.ok() ? "" : env.error().message));
  const std::pair<const char*, const char*> cases[] = {{"PATH", "/mine"},
                                                       {"HOME", "/root"},
                                                       {"CM_color", "blue"},
                                                       {"CM_1bad", "x"},
                                                       {"PASSWORD", "secret"},
                                                       {"URL", "192.0.2.5:secret"},
                                                       {"APP", "web"},
                                                       {"NODE", "n1"},
                                                       {"MEMORY", "64"},
                                                       {"CPU", "2"},
                                                       {"ABSENT", "(none)"},
                                                       {"MY_DB_SERVICE_PORT", "5432"},
                                                       {"MY_DB_SERVICE_PORT_SQL", "5432"},
                                                       {"MY_DB_PORT", "tcp://192.0.2.5:5432"},
                                                       {"MY_DB_PORT_5432_TCP_ADDR", "192.0.2.5"},
                                                       {"HEADLESS_SERVICE_HOST", "(none)"}};
  for (const auto& [name, want] : cases) CHECK_MESSAGE(value(*env, name) == want, name);
}

TEST_CASE("what is missing and not optional is named") {
  const kube::Object pod = object("{metadata: {name: p, namespace: ns}}");
  const std::pair<const char*, const char*> cases[] = {
      {"{env: [{name: A, valueFrom: {secretKeyRef: {name: x, key: k}}}]}", "secret \"x\" not found"},
      {"{env: [{name: A, valueFrom: {configMapKeyRef: {name: cm, key: k}}}]}",
       "couldn't find key k in ConfigMap ns/cm"},
      {"{envFrom: [{configMapRef: {name: x}}]}", "configmap \"x\" not found"},
      {"{env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.x}}}]}", "unsupported fieldPath: spec.x"},
  };
  for (const auto& [container, want] : cases) {
    const auto env = container_env(pod, *yaml::read(container), {}, surroundings());
    REQUIRE_FALSE(env.ok());
    CHECK(env.error().message == want);
  }
}

TEST_CASE("which pods read a ConfigMap or Secret") {
  const kube::Object pod = object(
      "{spec: {volumes: [{name: v, configMap: {name: a}}, {name: w, projected: {sources: [{secret: {name: b}}]}}], "
      "containers: [{name: c, envFrom: [{configMapRef: {name: d}}], env: [{name: X, valueFrom: {secretKeyRef: {name: "
      "e, key: k}}}]}]}}");
  CHECK(uses(pod, false, "a"));
  CHECK(uses(pod, true, "b"));
  CHECK(uses(pod, false, "d"));
  CHECK(uses(pod, true, "e"));
  CHECK_FALSE(uses(pod, true, "a"));
  CHECK_FALSE(uses(pod, false, "x"));
}
