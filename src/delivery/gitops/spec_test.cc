// SPDX-License-Identifier: Apache-2.0
// What an Application's spec, its project and argocd-cm say of the comparison, seen through the whole reconciler.
#include "delivery/gitops/platform_test.h"

using namespace caisson;
using namespace caisson::gitops::testing;

namespace {

constexpr const char* kAutomated = "  syncPolicy: {automated: {prune: true, selfHeal: true}}\n";

std::string config_map(const std::string& name, const std::string& value) {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {key: \"" + value + "\"}\n";
}

struct Spec : Platform {
  void create(const std::string& text) { must(client->create(kube::Object(must(yaml::read(text))))); }
  void configure(const std::string& data) {
    create("{apiVersion: v1, kind: ConfigMap, metadata: {name: argocd-cm, namespace: argocd}, data: {" + data + "}}");
  }
  void edit(const std::string& name, const std::string& value) {
    must(client->patch(schema::kConfigMaps, {"shop", name}, kube::PatchType::merge,
                       Value{{"data", Value{{"key", value}}}}, {.field_manager = "somebody"}));
  }
  kube::Object live(const std::string& name) { return must(client->get(schema::kConfigMaps, {"shop", name})); }
  bool is_synced(const std::string& name) {
    const bool there = eventually([&] { return is(name, "Synced", ""); });
    if (!there) MESSAGE(json::write(application(name)["status"]));
    return there;
  }
  bool told(const std::string& name, std::string_view type) {
    for (const Value& one : application(name)["status"]["conditions"].items())
      if (one["type"].as_string() == type) return true;
    return false;
  }
};

}  // namespace

TEST_CASE("objects are tracked by annotation, by label or by both, as argocd-cm says") {
  struct Case {
    const char *data, *label, *label_value;
    bool annotated;
  };
  for (const auto& [data, label, label_value, annotated] :
       {Case{"other: x", "app.kubernetes.io/instance", "", true},
        Case{"application.resourceTrackingMethod: label", "app.kubernetes.io/instance", "shop", false},
        Case{"application.resourceTrackingMethod: annotation+label", "app.kubernetes.io/instance", "shop", true},
        Case{"application.resourceTrackingMethod: label, application.instanceLabelKey: example.com/of", "example.com/of",
             "shop", false}}) {
    CAPTURE(data);
    Spec it;
    it.configure(data);
    it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/b.yaml", config_map("b", "1")}});
    it.create_application("shop", "app", kAutomated);
    REQUIRE(it.is_synced("shop"));
    const kube::Object a = it.live("a");
    CHECK(a.metadata()["labels"][label].as_string() == label_value);
    CHECK(a.annotation("argocd.argoproj.io/tracking-id").empty() != annotated);
    it.announce(it.repository.push({{"app/b.yaml", ""}}), {"app/b.yaml"});  // and it is known by what was written
    CHECK(it.eventually([&] { return it.data("b") == "absent"; }));
    CHECK(it.data("a") == "1");
  }
}

TEST_CASE("a project that warns of orphans names how many there are; nothing is done to them") {
  Spec it;
  it.create(
      "{apiVersion: argoproj.io/v1alpha1, kind: AppProject, metadata: {name: default, namespace: argocd}, spec: "
      "{sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}], orphanedResources: {warn: true}}}");
  it.repository.push({{"app/a.yaml", config_map("a", "1")}});
  it.create("{apiVersion: v1, kind: ConfigMap, metadata: {name: stray, namespace: shop}, data: {key: '1'}}");
  it.create_application("shop", "app", kAutomated);
  CHECK(it.eventually([&] { return it.told("shop", "OrphanedResourceWarning"); }));
  CHECK(it.data("stray") == "1");
}

TEST_CASE("what ignoreDifferences names is no drift and is not healed; what it does not name is") {
  for (const char* rule : {"jsonPointers: [/data/key]", "jqPathExpressions: [.data.key]", "managedFieldsManagers: [somebody]"}) {
    CAPTURE(rule);
    Spec it;
    it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/b.yaml", config_map("b", "1")}});
    it.create_application("shop", "app",
                          std::string(kAutomated) + "  ignoreDifferences: [{kind: ConfigMap, name: a, " + rule + "}]\n");
    REQUIRE(it.is_synced("shop"));
    it.edit("a", "edited");
    it.edit("b", "edited");
    REQUIRE(it.eventually([&] { return it.data("b") == "1"; }));
    CHECK(it.data("a") == "edited");
    CHECK(it.is_synced("shop"));
  }
}

TEST_CASE("a plain folder: recurse, include and exclude choose the files") {
  Spec it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/deep/b.yaml", config_map("b", "1")},
                      {"app/deep/not.yaml", config_map("n", "1")}, {"app/c.json", "{\"apiVersion\": \"v1\", \"kind\": "
                      "\"ConfigMap\", \"metadata\": {\"name\": \"c\"}, \"data\": {\"key\": \"1\"}}"}});
  const auto create = [&](const std::string& name, const std::string& directory) {
    it.create("{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: " + name +
              ", namespace: argocd}, spec: {project: default, source: {repoURL: '" + std::string(kUrl) +
              "', path: app, targetRevision: main, directory: " + directory +
              "}, destination: {name: in-cluster, namespace: shop}}}");
    REQUIRE(it.eventually([&] { return it.application(name)["status"]["resources"].size() > 0; }));
    std::set<std::string> out;
    for (const Value& one : it.application(name)["status"]["resources"].items()) out.insert(one["name"].str());
    return out;
  };
  CHECK(create("flat", "{recurse: false}") == std::set<std::string>{"a", "c"});
  CHECK(create("deep", "{recurse: true, exclude: '**/not.yaml'}") == std::set<std::string>{"a", "b", "c"});
  CHECK(create("some", "{recurse: true, include: '{*.json,deep/b.yaml}'}") == std::set<std::string>{"b", "c"});
}

TEST_CASE("automated sync does not empty an Application, unless allowEmpty says so") {
  Spec it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"two/b.yaml", config_map("b", "1")}});
  it.create_application("shop", "app", kAutomated);
  it.create_application("two", "two", "  syncPolicy: {automated: {prune: true, allowEmpty: true}}\n");
  REQUIRE(it.is_synced("shop"));
  REQUIRE(it.is_synced("two"));
  const std::string commit = it.repository.push(
      {{"app/a.yaml", ""}, {"two/b.yaml", ""}, {"app/README.md", "nothing"}, {"two/README.md", "nothing"}});
  it.announce(commit, {"app/a.yaml", "two/b.yaml"});
  CHECK(it.eventually([&] { return it.data("b") == "absent"; }));
  CHECK(it.eventually([&] { return it.is("shop", "OutOfSync", commit); }));
  CHECK(it.data("a") == "1");
}

TEST_CASE("a rollback brings the source of its time along, and stays this Application's") {
  Spec it;
  const auto chart = [](const std::string& value) {
    return std::map<std::string, std::string>{
        {"chart/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"},
        {"chart/values.yaml", "key: \"" + value + "\"\n"},
        {"chart/templates/cm.yaml",
         "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {key: {{ .Values.key | quote }}}\n"}};
  };
  const std::string first = it.repository.push(chart("1"));
  it.create_application("shop", "chart", "  syncPolicy: {automated: {}}\n");
  REQUIRE(it.eventually([&] { return it.data("shop") == "1"; }));
  it.announce(it.repository.push(chart("2")), {"chart/values.yaml"});
  REQUIRE(it.eventually([&] { return it.data("shop") == "2" && it.is("shop", "Synced", ""); }));
  const Value entry = it.application("shop")["status"]["history"][0];
  REQUIRE(entry["revision"].as_string() == first);
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [&](kube::Object& one) {
    one.edit({"spec", "syncPolicy"}) = Value::map();
    one.edit().set("operation", Value{{"sync", Value{{"revision", first}, {"source", entry["source"]}}}});
    return true;
  }));
  CHECK(it.eventually([&] { return it.data("shop") == "1"; }));
  CHECK(it.application("shop")["status"]["operationState"]["phase"].as_string() != "Error");
}
