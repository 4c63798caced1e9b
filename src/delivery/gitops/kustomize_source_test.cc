// SPDX-License-Identifier: Apache-2.0
#include "delivery/gitops/kustomize_source.h"

#include <doctest/doctest.h>

#include "core/document/yaml.h"
#include "delivery/gitops/settings.h"

namespace caisson::gitops {
namespace {

Value value_of(const std::string& text) {
  auto read = yaml::read(text);
  REQUIRE(read.ok());
  return std::move(read).value();
}

const SourceEnvironment kEnvironment = {{"ARGOCD_APP_NAME", "shop"}, {"ARGOCD_APP_REVISION", "c0ffee"}};

constexpr const char* kOwn =
    "# what the team deploys\nresources: [d.yaml]\nnamePrefix: own-\nimages:\n- {name: web, newName: registry/web, "
    "newTag: v1}\ncommonLabels: {team: shop}\n";

Result<std::string> edited(const std::string& options) {
  const render::MemorySource files(
      {{"app/kustomization.yml", kOwn}, {"app/part/kustomization.yaml", "kind: Component\n"}, {"plain/a.yaml", ""}});
  const auto out = edit_kustomization(files, "app", value_of(options), kEnvironment);
  if (!out.ok()) return out.error();
  CHECK(out->file == "app/kustomization.yml");
  return out->text;
}

Value fields(const std::string& options) {
  const auto text = edited(options);
  REQUIRE_MESSAGE(text.ok(), text.error().message);
  return value_of(*text);
}

}  // namespace

TEST_CASE("spec.source.kustomize changes the kustomization, it is not laid over it") {
  const Value made = fields("{namePrefix: new-, nameSuffix: -x, namespace: prod, images: ['web:v2', 'db=mirror/db:5']}");
  CHECK(made["namePrefix"].as_string() == "new-");
  CHECK(made["nameSuffix"].as_string() == "-x");
  CHECK(made["namespace"].as_string() == "prod");
  CHECK(made["images"] == value_of("[{name: db, newName: mirror/db, newTag: '5'}, {name: web, newTag: v2}]"));
  CHECK(fields("{images: ['web=*:v3']}")["images"][0]["newName"].as_string() == "registry/web");
  CHECK(fields("{replicas: [{name: web, count: 3}, {name: db, count: '2'}]}")["replicas"] ==
        value_of("[{count: 2, name: db}, {count: 3, name: web}]"));
  CHECK(fields("{patches: [{path: p.yaml}, {target: {kind: Deployment}, patch: 'x'}]}")["patches"].size() == 2);
}

TEST_CASE("labels and annotations: with selectors or without, filled in, over others only by force") {
  CHECK(fields("{commonLabels: {of: $ARGOCD_APP_NAME}}")["commonLabels"] == value_of("{team: shop, of: shop}"));
  const Value apart = fields("{commonLabels: {of: x}, labelWithoutSelector: true, labelIncludeTemplates: true}");
  CHECK(apart["labels"] == value_of("[{includeTemplates: true, pairs: {of: x}}]"));
  CHECK(edited("{commonLabels: {team: other}}").error().message.find("label team already in") != std::string::npos);
  CHECK(fields("{commonLabels: {team: other}, forceCommonLabels: true}")["commonLabels"]["team"].as_string() == "other");
  CHECK(edited("{commonLabels: {a: b}, labelIncludeTemplates: true}").error().message.find("--without-selector") !=
        std::string::npos);
  const std::string at = "{commonAnnotations: {at: $ARGOCD_APP_REVISION}";
  CHECK(fields(at + "}")["commonAnnotations"]["at"].as_string() == "$ARGOCD_APP_REVISION");
  CHECK(fields(at + ", commonAnnotationsEnvsubst: true}")["commonAnnotations"]["at"].as_string() == "c0ffee");
}

TEST_CASE("components are added; one that is not there is refused unless it may be missing") {
  CHECK(fields("{components: [part]}")["components"] == value_of("[part]"));
  CHECK(edited("{components: [part, none]}").error().message ==
        "spec.source.kustomize.components: none has no match");
  CHECK(fields("{components: [part, none], ignoreMissingComponents: true}")["components"] == value_of("[part]"));
}

TEST_CASE("what spec.source.kustomize can't mean is refused by field") {
  CHECK(edited("{nope: 1}").error().message == "spec.source.kustomize.nope: not supported");
  CHECK(edited("{images: [web]}").error().message.find("spec.source.kustomize.images: invalid format") == 0);
  CHECK(edited("{replicas: [{name: web, count: many}]}").error().message.find("spec.source.kustomize.replicas: ") == 0);
  const render::MemorySource files(std::map<std::string, std::string>{{"plain/a.yaml", ""}});
  CHECK(edit_kustomization(files, "plain", value_of("{namePrefix: a}"), {}).error().message ==
        "spec.source.kustomize: there is no kustomization in plain");
}

TEST_CASE("kustomize.buildOptions of argocd-cm: charts, restrictions, order; programs are refused by name") {
  const auto options = parse_build_options(
      "--enable-helm --load-restrictor LoadRestrictionsNone\n --reorder=none --helm-kube-version 1.30.1 "
      "--helm-api-versions=a/v1 --helm-api-versions b/v1");
  REQUIRE(options.ok());
  CHECK(options->charts_enabled);
  CHECK(options->outside_root_allowed);
  CHECK(options->order == "fifo");
  CHECK(options->chart_kube_version == "1.30.1");
  CHECK(options->chart_api_versions == std::vector<std::string>{"a/v1", "b/v1"});
  CHECK_FALSE(parse_build_options("")->charts_enabled);
  CHECK_FALSE(parse_build_options("--enable-helm=false")->charts_enabled);
  CHECK(parse_build_options("--enable-alpha-plugins").error().message ==
        "kustomize.buildOptions: --enable-alpha-plugins: not supported");
  CHECK(parse_build_options("--reorder").error().message == "kustomize.buildOptions: --reorder needs a value");
  const Settings refused = parse_settings(value_of("{kustomize.buildOptions: '--enable-helm --enable-exec'}"));
  CHECK(refused.kustomize_build_options.empty());
  CHECK(refused.errors == std::vector<std::string>{"argocd-cm kustomize.buildOptions: --enable-exec: not supported"});
  CHECK(parse_settings(value_of("{kustomize.buildOptions: --enable-helm}")).kustomize_build_options == "--enable-helm");
}

TEST_CASE("a chart of a kustomization is told of the cluster what the source says, or what it is") {
  render::helm::Capabilities cluster = render::helm::default_capabilities();
  cluster.kube_version.version = "v1.33.1";
  cluster.api_versions = {"v1", "apps/v1"};
  render::Options build;
  tell_charts(build, Value(), cluster);
  CHECK(build.chart_kube_version == "v1.33.1");
  CHECK(build.chart_api_versions == cluster.api_versions);
  build = {};
  tell_charts(build, value_of("{kubeVersion: 1.28.0, apiVersions: [x/v1]}"), cluster);
  CHECK(build.chart_kube_version == "1.28.0");
  CHECK(build.chart_api_versions == std::vector<std::string>{"x/v1"});
}

}  // namespace caisson::gitops
