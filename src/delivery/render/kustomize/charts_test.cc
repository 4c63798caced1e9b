// SPDX-License-Identifier: Apache-2.0
// Charts of helmCharts that do not lie in the tree. Their output beside kustomize's: tests/e2e/kustomize_charts_test.
#include "delivery/render/charts.h"

#include <doctest/doctest.h>

#include "delivery/render/helm/chart.h"
#include "delivery/render/helm/repository/package.h"
#include "delivery/render/remote.h"
#include "delivery/render/render.h"

namespace caisson::render {
namespace {

std::string packed(const std::string& name, const std::string& version) {
  const std::vector<helm::File> files = {
      {"Chart.yaml", "apiVersion: v2\nname: " + name + "\nversion: " + version + "\n"},
      {"values.yaml", "color: blue\n"},
      {"prod.yaml", "color: red\n"},
      {"templates/cm.yaml",
       "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n"
       "data: {color: {{ .Values.color }}, version: {{ .Chart.Version | quote }}}\n"}};
  std::vector<std::string> warnings;
  const auto chart = helm::load_files(files, warnings);
  REQUIRE(chart.ok());
  auto archive = helm::pack_chart(chart->metadata, files);
  REQUIRE(archive.ok());
  return std::move(archive).value();
}

class Repository final : public ChartPuller {
 public:
  Result<std::string> pull(const ChartPull& chart) override {
    asked.push_back(chart);
    if (chart.repo != "https://charts.example") return Error{ErrorCode::unavailable, "no such host"};
    return packed(given_name.empty() ? chart.name : given_name, chart.version.empty() ? "9.0.0" : chart.version);
  }
  std::vector<ChartPull> asked;
  std::string given_name;  // what the archive says its name is
};

Result<Rendering> build(const std::string& kustomization, Repository* charts, Fetcher* fetcher = nullptr) {
  Options options;
  options.charts_enabled = true;
  options.charts = charts;
  options.fetcher = fetcher;
  return kustomize(MemorySource({{"entry/kustomization.yaml", kustomization},
                                 {"entry/charts/here/Chart.yaml", "apiVersion: v2\nname: here\nversion: 1.0.0\n"},
                                 {"entry/charts/here/values.yaml", "{}\n"},
                                 {"entry/charts/here/templates/cm.yaml",
                                  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: here}\n"}}),
                   "entry", options);
}

// A repository with a kustomization that has a chart of its own.
class Shelf final : public Fetcher {
 public:
  Result<std::shared_ptr<const FileSource>> repository(const RepositoryUrl&) override {
    return std::shared_ptr<const FileSource>(std::make_shared<MemorySource>(std::map<std::string, std::string>{
        {"kustomization.yaml", "helmCharts: [{name: web, releaseName: far, repo: 'https://charts.example'}]\n"}}));
  }
  Result<std::string> file(const std::string&) override { return Error{ErrorCode::not_found, "404"}; }
};

}  // namespace

TEST_CASE("a chart that is not there is pulled to where kustomize leaves it, and one that is there is not") {
  Repository charts;
  const auto made = build(
      "helmGlobals: {configHome: /home/of/helm}\n"
      "helmCharts:\n"
      "- {name: here, repo: 'https://charts.example', releaseName: h}\n"
      "- {name: web, repo: 'https://charts.example', version: 1.2.0, releaseName: a}\n"
      "- {name: web, repo: 'https://charts.example', version: 1.2.0, releaseName: b,\n"
      "   valuesFile: charts/web-1.2.0/web/prod.yaml}\n"
      "- {name: web, repo: 'https://charts.example', releaseName: c, devel: true}\n",
      &charts);
  REQUIRE_MESSAGE(made.ok(), made.error().message);
  REQUIRE(made->objects.size() == 4);
  CHECK(made->objects[0]["data"]["version"].as_string() == "1.2.0");  // sorted by name: a, b, c, here
  CHECK(made->objects[1]["data"]["color"].as_string() == "red");
  CHECK(made->objects[2]["data"]["version"].as_string() == "9.0.0");
  CHECK(made->objects[3]["metadata"]["name"].as_string() == "here");
  REQUIRE(charts.asked.size() == 2);
  CHECK(charts.asked[0].folder == "entry/charts/web-1.2.0");
  CHECK(charts.asked[0].config_home == "/home/of/helm");
  CHECK(charts.asked[1].folder == "entry/charts");
  CHECK(charts.asked[1].devel);
  const auto named = [&](const std::string& path) {
    return std::any_of(made->inputs.begin(), made->inputs.end(),
                       [&](const Input& input) { return input.path == path && input.sha256.size() == 64; });
  };
  CHECK(named("+https://charts.example/web@1.2.0"));
  CHECK(named("+https://charts.example/web@9.0.0"));
}

TEST_CASE("a chart of a repository that was itself fetched is left nowhere") {
  Repository charts;
  Shelf shelf;
  const auto made = build("resources: ['https://git.example/org/repo?ref=v1']\n", &charts, &shelf);
  REQUIRE_MESSAGE(made.ok(), made.error().message);
  REQUIRE(charts.asked.size() == 1);
  CHECK(charts.asked[0].folder.empty());
}

TEST_CASE("a chart that can't be had is refused, with its name and repository") {
  const std::string far = "helmCharts: [{name: web, releaseName: a, repo: 'https://charts.example'}]\n";
  CHECK(build(far, nullptr).error().message.find("keep a copy at 'entry/charts/web'") != std::string::npos);
  Repository charts;
  const auto says = [&](const std::string& chart, const std::string& words) {
    CAPTURE(chart);
    const auto made = build("helmCharts: [{" + chart + "}]\n", &charts);
    REQUIRE_FALSE(made.ok());
    CHECK_MESSAGE(made.error().message.find(words) != std::string::npos, made.error().message);
  };
  says("name: web", "no repo specified for pull, no chart found at 'entry/charts/web'");
  says("name: web, repo: 'https://elsewhere.example'", "no such host");
  says("name: ../web, repo: 'https://charts.example'", "chart name");
  says("name: '-web', repo: 'https://charts.example'", "chart name must not start with '-'");
  says("name: web, repo: 'https://charts.example', valuesFile: none.yaml", "none.yaml");
  charts.given_name = "other";
  says("name: web, repo: 'https://charts.example'", "the archive holds the chart \"other\"");
  charts.given_name.clear();
  const auto absolute = build("helmGlobals: {chartHome: /srv/charts}\n" + far, &charts);
  REQUIRE_FALSE(absolute.ok());
  CHECK(absolute.error().message.find("an absolute path is not allowed: /srv/charts") != std::string::npos);
}

TEST_CASE("debug shows what the templates gave when it can't be read") {
  const MemorySource files({{"kustomization.yaml", "helmCharts: [{name: web, releaseName: a, debug: true}]\n"},
                            {"charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"},
                            {"charts/web/values.yaml", "{}\n"},
                            {"charts/web/templates/bad.yaml", "a: {{ .Release.Name }}: c\n"}});
  Options options;
  options.charts_enabled = true;
  const auto made = kustomize(files, ".", options);
  REQUIRE_FALSE(made.ok());
  CHECK(made.error().message.find("mapping values are not allowed") != std::string::npos);
  CHECK(made.error().message.find("# Source: web/templates/bad.yaml\na: a: c") != std::string::npos);
}

}  // namespace caisson::render
