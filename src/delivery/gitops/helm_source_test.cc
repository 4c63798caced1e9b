// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "core/document/json.h"
#include "core/document/yaml.h"
#include "delivery/gitops/helm_source.h"
#include "delivery/gitops/plan.h"

namespace caisson::gitops {
namespace {

Value doc(std::string_view text) {
  auto value = yaml::read(text);
  REQUIRE(value.ok());
  return *value;
}

const char* const kValues = "color: blue\nsize: 1\n";

render::MemorySource repository() {
  return render::MemorySource({
      {"app/Chart.yaml", "apiVersion: v2\nname: app\nversion: 0.1.0\n"},
      {"app/values.yaml", kValues},
      {"app/values-stg.yaml", "color: green\n"},
      {"app/note.txt", "from a file"},
      {"app/envs/a.yaml", "size: 2\n"},
      {"app/envs/b.yaml", "size: 3\n"},
      {"shared/common.yaml", "color: shared\n"},
      {"app/crds/c.yaml", "kind: CustomResourceDefinition\n"},
      {"app/templates/cm.yaml",
       "kind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata:\n  values: {{ .Values | toJson | squote }}\n"
       "  ns: {{ .Release.Namespace }}\n  kube: {{ .Capabilities.KubeVersion }}\n"},
      {"app/templates/job.yaml",
       "kind: Job\nmetadata:\n  name: migrate\n  annotations: {helm.sh/hook: 'pre-install,pre-upgrade', "
       "helm.sh/hook-weight: '-3', helm.sh/hook-delete-policy: hook-succeeded}\n"},
      {"app/templates/test.yaml", "kind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n"},
  });
}

Result<render::Rendering> rendered(std::string_view options) {
  const render::MemorySource files = repository();
  HelmSource source{"app", doc(options), "shop", "prod", {{"ARGOCD_APP_NAME", "shop"}}, {}};
  source.capabilities.kube_version = {"v1.33.1", "1", "33"};
  return render_helm(files, source);
}

const Value& config_map(const render::Rendering& rendering) {
  for (const Value& object : rendering.objects) {
    if (object["kind"].as_string() == "ConfigMap") return object;
  }
  return rendering.objects[0];
}

// The values that the templates saw.
std::string values_with(std::string_view options) {
  const auto rendering = rendered(options);
  return rendering.ok() ? config_map(*rendering)["data"]["values"].str() : "error: " + rendering.error().message;
}

}  // namespace

TEST_CASE("a chart is rendered for its application, with what it holds and what it read") {
  const auto rendering = rendered("{}");
  REQUIRE(rendering.ok());
  CHECK(rendering->objects.size() == 4);
  CHECK(config_map(*rendering)["metadata"]["name"].as_string() == "shop");
  CHECK(config_map(*rendering)["data"]["ns"].as_string() == "prod");
  CHECK(config_map(*rendering)["data"]["kube"].as_string() == "v1.33.1");
  CHECK(std::any_of(rendering->inputs.begin(), rendering->inputs.end(),
                    [](const render::Input& input) { return input.path == "app/values.yaml"; }));
  const auto named =
      rendered("{releaseName: other, skipCrds: true, skipTests: true, namespace: x, kubeVersion: 1.30.0}");
  REQUIRE(named.ok());
  CHECK(named->objects.size() == 2);
  CHECK(config_map(*named)["metadata"]["name"].as_string() == "other");
  CHECK(config_map(*named)["data"]["kube"].as_string() == "v1.30.0");
}

TEST_CASE("values come from files in order, then from the spec, then from parameters") {
  CHECK(values_with("{valueFiles: [values-stg.yaml]}") == R"({"color":"green","size":1})");
  CHECK(values_with("{valueFiles: ['envs/*.yaml', /shared/common.yaml]}") == R"({"color":"shared","size":3})");
  CHECK(values_with("{valueFiles: [values-stg.yaml], values: 'color: text', parameters: [{name: size, value: '7'}]}") ==
        R"({"color":"text","size":7})");
  CHECK(values_with("{values: 'color: text', valuesObject: {color: object}}") == R"({"color":"object","size":1})");
  CHECK(values_with("{parameters: [{name: size, value: '7', forceString: true}, {name: color, value: 'a,b'}]}") ==
        R"({"color":"a,b","size":"7"})");
  CHECK(values_with("{parameters: [{name: color, value: '$ARGOCD_APP_NAME-${ARGOCD_APP_NAME}'}]}") ==
        R"({"color":"shop-shop","size":1})");
  CHECK(values_with("{fileParameters: [{name: color, path: note.txt}]}") == R"({"color":"from a file","size":1})");
}

TEST_CASE("a values file that is not there is an error, unless the source says otherwise") {
  CHECK(values_with("{valueFiles: [nope.yaml]}").starts_with("error: "));
  CHECK(values_with("{valueFiles: [nope.yaml], ignoreMissingValueFiles: true}") == R"({"color":"blue","size":1})");
}

TEST_CASE("what leads out of the repository, and what is not known, is refused by field") {
  CHECK(values_with("{valueFiles: [../../etc/passwd]}").find("leads out of the repository") != std::string::npos);
  CHECK(values_with("{valueFiles: ['https://example.com/v.yaml']}").find("not fetched") != std::string::npos);
  CHECK(values_with("{valueFiles: [$other/values.yaml]}").starts_with("error: "));
  CHECK(values_with("{fancy: 1}") == "error: spec.source.helm.fancy: not supported");
  CHECK(values_with("{version: v2}") == "error: spec.source.helm.version: only v3 is rendered");
}

TEST_CASE("Helm's hooks run in the phases that Argo CD gives them, its tests in none") {
  const Value job =
      doc("{metadata: {annotations: {helm.sh/hook: 'pre-install,pre-upgrade', helm.sh/hook-weight: '-3', "
          "helm.sh/hook-delete-policy: hook-succeeded}}}");
  CHECK(is_hook(job));
  CHECK(hook_phases(job) == std::vector<Phase>{Phase::pre_sync});
  CHECK(wave_of(job) == -3);
  CHECK(delete_policies(job) == std::vector<DeletePolicy>{DeletePolicy::succeeded});
  const Value test = doc("{metadata: {annotations: {helm.sh/hook: test}}}");
  CHECK(is_hook(test));
  CHECK(hook_phases(test).empty());
  CHECK_FALSE(is_hook(doc("{metadata: {annotations: {helm.sh/hook: crd-install}}}")));
  const Value both = doc("{metadata: {annotations: {helm.sh/hook: pre-install, argocd.argoproj.io/hook: PostSync}}}");
  CHECK(hook_phases(both) == std::vector<Phase>{Phase::post_sync});
}

}  // namespace caisson::gitops
