// SPDX-License-Identifier: Apache-2.0
// Charts of a Helm repository on loopback, and of the platform's own registry on disk; several sources.
#include "delivery/gitops/chart_source.h"

#include <doctest/doctest.h>

#include <atomic>

#include "core/base/encoding.h"
#include "core/base/file.h"
#include "core/base/process.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/http/server.h"
#include "delivery/gitops/source.h"
#include "delivery/render/helm/repository/dependencies.h"
#include "delivery/render/helm/repository/index.h"
#include "delivery/render/helm/repository/oci.h"
#include "delivery/render/helm/repository/package.h"

namespace caisson::gitops {
namespace {

using namespace render::helm;

template <class T>
T must(Result<T> result) {
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
  return std::move(result).value();
}
void must(Result<void> result) {
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
}

std::string packed_chart(const std::string& version) {
  const std::vector<File> files = {{"Chart.yaml", "apiVersion: v2\nname: web\nversion: " + version + "\n"},
                                   {"values.yaml", "color: blue\n"},
                                   {"templates/cm.yaml",
                                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n"
                                    "data: {color: {{ .Values.color }}, version: {{ .Chart.Version | quote }}}\n"}};
  std::vector<std::string> warnings;
  const Chart chart = must(load_files(files, warnings));
  return must(pack_chart(chart.metadata, files));
}

// index.yaml and two versions of the chart `web`, behind a login.
class ChartServer {
 public:
  ChartServer() {
    for (const char* version : {"1.0.0", "1.2.0", "2.0.0-rc.1"})
      must(write_file(folder_.path() + "/web-" + version + ".tgz", packed_chart(version)));
    must(write_file(folder_.path() + "/index.yaml",
                    write_index(must(index_directory(folder_.path(), "", system_clock().now())), false)));
    port_ = must(server_.listen("127.0.0.1", 0, [this](const http::ExchangePtr& exchange) { answer(exchange); }));
  }
  std::string url() { return "http://127.0.0.1:" + std::to_string(port_); }
  std::atomic<int> asked{0};  // with the right login

 private:
  void answer(const http::ExchangePtr& exchange) {
    if (exchange->headers.get("Authorization") != "Basic " + base64("ann:secret"))
      return exchange->respond({401, {}, ""});
    ++asked;
    const auto bytes = read_file(folder_.path() + exchange->path);
    exchange->respond(bytes.ok() ? http::Response{200, {}, *bytes} : http::Response{404, {}, ""});
  }
  TempDir folder_ = must(TempDir::make("charts"));
  http::Server server_ = must(http::Server::start({}));
  int port_ = 0;
};

// A repository of the platform's own, with these files on its branch main.
class OwnRepository {
 public:
  explicit OwnRepository(const std::map<std::string, std::string>& files) {
    must(make_dirs(folder_.path() + "/git/shop"));
    git({"init", "-q", "--bare", "-b", "main", folder_.path() + "/git/shop/deploy.git"}, folder_.path());
    git({"init", "-q", "-b", "main", clone_}, folder_.path());
    push(files);
  }
  void push(const std::map<std::string, std::string>& files) {
    for (const auto& [path, text] : files) {
      must(make_dirs(path_dir(clone_ + "/" + path)));
      must(write_file(clone_ + "/" + path, text));
    }
    git({"add", "-A"}, clone_);
    git({"-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "one"}, clone_);
    git({"push", "-q", folder_.path() + "/git/shop/deploy.git", "main"}, clone_);
  }
  git::Repositories open() const {
    return git::Repositories{{.directory = folder_.path() + "/git",
                              .mirrors = folder_.path() + "/mirrors",
                              .own_hosts = {"localhost:8080"}}};
  }
  static constexpr const char* kUrl = "http://localhost:8080/shop/deploy.git";

 private:
  static void git(std::vector<std::string> args, const std::string& directory) {
    args.insert(args.begin(), "git");
    Command command;
    command.args = std::move(args);
    command.directory = directory;
    must(run_checked(command));
  }
  const TempDir folder_ = must(TempDir::make("sources"));
  const std::string clone_ = folder_.path() + "/clone";
};

// The platform's own registry, with the chart shop/charts/web in version 1.0.0+build.
struct OwnCharts {
  OwnCharts() {
    const content::Digest layer = must(blobs.put_bytes(packed_chart("1.0.0+build")));
    const Value manifest{
        {"layers", Value(std::vector<Value>{Value{{"mediaType", kChartLayerType}, {"digest", layer.str()}}})}};
    const content::Digest digest = must(blobs.put_bytes(json::write(manifest)));
    must(tags.add_manifest("shop/charts/web", digest, content::kOciManifest));
    must(tags.set("shop/charts/web", "1.0.0_build", digest));
    must(tags.set("shop/charts/web", "latest", digest));
  }
  OwnRegistry registry() const { return {&blobs, &tags, {}}; }

  const TempDir folder = must(TempDir::make("content"));
  content::BlobStore blobs = must(content::BlobStore::open(folder.path()));
  content::TagIndex tags = must(content::TagIndex::open(folder.path()));
};

Result<Access> ann(const std::string&) {
  Access access;
  access.username = "ann";
  access.password = SecretBytes("secret");
  return access;
}

}  // namespace

TEST_CASE("a chart of a repository: the newest version of a range, fetched with its login") {
  ChartServer server;
  const ChartFetcher charts(ann);
  const ChartPlace web{server.url(), "web"};
  CHECK(must(charts.resolve(web, "1.0.x")) == "1.0.0");
  CHECK(must(charts.resolve(web, ">=1.0")) == "1.2.0");
  CHECK(must(charts.resolve(web, "*")) == "1.2.0");
  CHECK(must(charts.resolve(web, ">=1.0.0-0")) == "2.0.0-rc.1");
  CHECK(must(charts.fetch(web, "1.2.0")) == packed_chart("1.2.0"));
  CHECK(charts.resolve(web, "3.x").error().message.find("no chart version found for web-3.x") != std::string::npos);
  CHECK(charts.resolve({server.url(), "nope"}, "*").error().message.find("no chart name found") != std::string::npos);
  const auto refused = ChartFetcher().resolve(web, "*");
  CHECK(refused.error().message.find("401") != std::string::npos);
}

TEST_CASE("a chart of the platform's own registry is read from disk") {
  const OwnCharts own;
  const ChartFetcher charts({}, own.registry());
  for (const char* url : {"oci://registry.caisson.internal:5000/shop/charts", "localhost:5000/shop/charts/"}) {
    CHECK(must(charts.resolve({url, "web"}, "1.x")) == "1.0.0+build");
    CHECK(must(charts.fetch({url, "web"}, "1.0.0+build")) == packed_chart("1.0.0+build"));
  }
  CHECK_FALSE(charts.resolve({"oci://localhost:5000/shop/charts", "web"}, "2.x").ok());
  CHECK_FALSE(charts.fetch({"oci://localhost:5000/shop/charts", "web"}, "3.0.0").ok());
}

TEST_CASE("several sources: a chart of a repository with values from git, and a folder") {
  ChartServer server;
  const OwnRepository own({{"env/stg/values.yaml", "color: green\n"},
                           {"plain/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n"}});
  const std::string spec = "sources:\n- {repoURL: '" + server.url() +
                           "', chart: web, targetRevision: 1.x, helm: {valueFiles: [$values/env/*/values.yaml, "
                           "$values/env/none.yaml], ignoreMissingValueFiles: true}}\n"
                           "- {repoURL: 'http://localhost:8080/shop/deploy.git', targetRevision: main, ref: values}\n"
                           "- {repoURL: 'http://localhost:8080/shop/deploy.git', targetRevision: main, path: plain}\n";
  Source source = must(parse_sources(must(yaml::read(spec))));
  name_sources(source, "shop", "prod");
  const git::Repositories repositories = own.open();
  Renderer renderer(repositories, std::chrono::minutes(1), default_capabilities, ChartFetcher(ann));
  const std::string revision = must(renderer.resolve(source, source.target_revision));
  CHECK(revision.starts_with("1.2.0,"));
  const RenderedPtr rendered = must(renderer.render(source, revision));
  REQUIRE(rendered->objects.size() == 2);
  CHECK(rendered->type == "Helm");
  CHECK(rendered->objects[0]["metadata"]["name"].as_string() == "shop");
  CHECK(rendered->objects[0]["data"]["color"].as_string() == "green");
  CHECK(rendered->objects[0]["data"]["version"].as_string() == "1.2.0");
  CHECK(rendered->objects[1]["metadata"]["name"].as_string() == "plain");
  // A rollback names every revision.
  const std::string before = "1.0.0" + revision.substr(5);
  CHECK(must(renderer.resolve(source, before)) == before);
  CHECK(must(renderer.render(source, before))->objects[0]["data"]["version"].as_string() == "1.0.0");
  source.helm = must(yaml::read("valueFiles: [$nobody/values.yaml]"));
  CHECK(renderer.render(source, revision).error().message.find("no source has the ref \"nobody\"") !=
        std::string::npos);
}

TEST_CASE("a chart is downloaded once, and again after a hard refresh") {
  ChartServer server;
  const ChartFetcher charts(ann);
  const ChartPlace web{server.url(), "web"};
  const std::string first = must(charts.fetch(web, "1.0.0"));
  const int asked = server.asked;
  CHECK(must(charts.fetch(web, "1.0.0")) == first);
  CHECK(server.asked == asked);
  CHECK(must(charts.fetch(web, "1.2.0")) != first);
  charts.forget();
  const int before = server.asked;
  CHECK(must(charts.fetch(web, "1.0.0")) == first);
  CHECK(server.asked > before);
}

TEST_CASE("a chart of a kustomization in git is pulled with the repository's login, when argocd-cm allows charts") {
  ChartServer server;
  OwnRepository own(
      {{"app/kustomization.yaml", "namePrefix: own-\nhelmCharts:\n- {name: web, repo: '" + server.url() +
                                      "', version: 1.x, releaseName: rel, valuesInline: {color: red}}\n"}});
  const git::Repositories repositories = own.open();
  Renderer renderer(repositories, std::chrono::minutes(1), default_capabilities, ChartFetcher(ann));
  Source source =
      must(parse_sources(must(yaml::read("source: {repoURL: '" + std::string(OwnRepository::kUrl) +
                                         "', targetRevision: main, path: app, kustomize: {namePrefix: p-}}"))));
  name_sources(source, "shop", "prod", "--enable-helm");
  const std::string commit = must(renderer.resolve(source, "main"));
  const RenderedPtr rendered = must(renderer.render(source, commit));
  REQUIRE(rendered->objects.size() == 1);
  CHECK(rendered->type == "Kustomize");
  CHECK(rendered->objects[0]["metadata"]["name"].as_string() == "p-rel");
  CHECK(rendered->objects[0]["data"]["color"].as_string() == "red");
  CHECK(rendered->objects[0]["data"]["version"].as_string() == "1.2.0");
  const int asked = server.asked;
  own.push({{"other/readme", "nothing of the Application\n"}});
  const std::string next = must(renderer.resolve(source, "main"));
  CHECK(renderer.carried_over(source, *rendered, next)->commit == next);
  CHECK(server.asked == asked);
  name_sources(source, "shop", "prod");
  CHECK(renderer.render(source, commit).error().message.find("must specify --enable-helm") != std::string::npos);
  Renderer nobody(repositories, std::chrono::minutes(1));
  name_sources(source, "shop", "prod", "--enable-helm");
  CHECK(nobody.render(source, commit).error().message.find("401") != std::string::npos);
}

namespace {

// A chart in git that names what is said as its dependencies.
std::string depending(const std::string& dependencies) {
  return "apiVersion: v2\nname: shop\nversion: 0.1.0\ndependencies: [" + dependencies + "]\n";
}

struct DependingChart {
  explicit DependingChart(const std::map<std::string, std::string>& files, ChartFetcher::Names names = {},
                          OwnRegistry registry = {})
      : own(files),
        renderer(repositories, std::chrono::minutes(1), default_capabilities,
                 ChartFetcher(ann, std::move(registry), names)) {
    name_sources(source, "shop", "prod");
  }
  Result<RenderedPtr> render() { return renderer.render(source, must(renderer.resolve(source, "main"))); }
  std::string refused() {
    const auto rendered = render();
    return rendered.ok() ? "rendered" : rendered.error().message;
  }
  OwnRepository own;
  const git::Repositories repositories = own.open();
  Renderer renderer;
  Source source = must(parse_sources(must(
      yaml::read("source: {repoURL: '" + std::string(OwnRepository::kUrl) + "', targetRevision: main, path: app}"))));
};

}  // namespace

TEST_CASE("dependencies that charts/ lacks are brought: a range of a repository, an alias, a chart of the same tree") {
  ChartServer server;
  const std::string web = "{name: web, version: 1.x, repository: '" + server.url() + "'}";
  DependingChart it(
      {{"app/Chart.yaml", depending(web + ", {name: web, alias: second, version: 1.0.0, repository: '" + server.url() +
                                    "'}, {name: local, version: ^0.3, repository: 'file://../charts/local'}")},
       {"app/values.yaml", "web: {color: green}\nsecond: {color: red}\n"},
       {"charts/local/Chart.yaml", "apiVersion: v2\nname: local\nversion: 0.3.1\n"},
       {"charts/local/templates/cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: local}\n"}});
  const RenderedPtr rendered = must(it.render());
  REQUIRE(rendered->objects.size() == 3);
  std::map<std::string, std::string> colors;  // by version
  for (const Value& one : rendered->objects) colors[one["data"]["version"].str()] = one["data"]["color"].str();
  CHECK(colors == std::map<std::string, std::string>{{"1.2.0", "green"}, {"1.0.0", "red"}, {"", ""}});
  // What was read of the other folder is an input, too.
  CHECK(concerns("app", rendered->inputs, {"charts/local/values.yaml"}));
}

TEST_CASE(
    "a dependency of the platform's own registry is brought from disk: a range, and a version that is not there") {
  const OwnCharts charts;
  const auto web = [](const std::string& version) {
    return depending("{name: web, version: '" + version +
                     "', repository: 'oci://registry.caisson.internal:5000/shop/charts'}");
  };
  DependingChart it({{"app/Chart.yaml", web("1.x")}, {"app/values.yaml", "web: {color: green}\n"}}, {},
                    charts.registry());
  const RenderedPtr rendered = must(it.render());
  REQUIRE(rendered->objects.size() == 1);
  CHECK(rendered->objects[0]["data"]["version"].as_string() == "1.0.0+build");
  CHECK(rendered->objects[0]["data"]["color"].as_string() == "green");
  it.own.push({{"app/Chart.yaml", web("2.x")}});
  const std::string said = it.refused();
  CHECK_MESSAGE(said.find("web") != std::string::npos, said);
  CHECK_MESSAGE(said.find("2.x") != std::string::npos, said);
}

TEST_CASE("dependencies are taken as Chart.lock has them, and one that does not fit is refused") {
  ChartServer server;
  const std::string one = "{name: web, version: 1.x, repository: '" + server.url() + "'}";
  const Dependency wanted{.name = "web", .version = "1.x", .repository = server.url()},
      locked{.name = "web", .version = "1.0.0", .repository = server.url()};
  const auto lock = [&](const std::string& digest) {
    return "dependencies:\n- {name: web, repository: '" + server.url() + "', version: 1.0.0}\ndigest: " + digest + "\n";
  };
  DependingChart it(
      {{"app/Chart.yaml", depending(one)}, {"app/Chart.lock", lock(dependencies_digest({wanted}, {locked}))}});
  CHECK(must(it.render())->objects[0]["data"]["version"].as_string() == "1.0.0");
  it.own.push({{"app/Chart.lock", lock("sha256:0")}});
  CHECK(it.refused().find("the lock file (Chart.lock) is out of sync with the dependencies file") != std::string::npos);
}

TEST_CASE("a dependency by a repository's name, and what can't be brought is named") {
  ChartServer server;
  const auto names = [&](const std::string& name) -> Result<std::string> {
    if (name == "team") return server.url();
    return Error{ErrorCode::not_found, "no repository Secret of type helm has the name " + name};
  };
  DependingChart it({{"app/Chart.yaml", depending("{name: web, version: '*', repository: '@team'}")}}, names);
  CHECK(must(it.render())->objects[0]["data"]["version"].as_string() == "1.2.0");
  const std::pair<std::string, std::string> refused[] = {
      {"{name: web, version: '*', repository: 'alias:nobody'}", "dependency web: no repository Secret of type helm"},
      {"{name: web, version: 9.x, repository: '@team'}", "no chart version found for web-9.x"},
      {"{name: web, version: 1.1.0, repository: '@team'}", "dependency web 1.1.0 of http://127.0.0.1:"},
      {"{name: web, version: nonsense, repository: '@team'}", "has an invalid version/constraint format"},
      {"{name: web, version: 1.x, repository: stable}", "no repository definition for stable"},
      {"{name: web, version: 1.x, repository: 'ftp://h/x'}", "ftp"},
      {"{name: web, version: 1.x}", "found in Chart.yaml, but missing in charts/ directory: web"},
      {"{name: web, version: 1.x, repository: 'file://../none'}", "directory none not found"},
      {"{name: web, version: 1.x, repository: 'file:///etc'}", "leads out of the repository"},
      {"{name: web, version: 1.x, repository: 'file://../../x'}", "leads out of the repository"}};
  for (const auto& [dependency, message] : refused) {
    it.own.push({{"app/Chart.yaml", depending(dependency)}});
    const std::string said = it.refused();
    CHECK_MESSAGE(said.find(message) != std::string::npos, dependency << ": " << said);
  }
}

TEST_CASE("a rendering that does not end in time is a timeout") {
  const std::map<std::string, std::string> files = {
      {"app/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"}};
  const OwnRepository own(files);
  const git::Repositories repositories = own.open();
  Renderer renderer(repositories, Duration(0));
  const Source source = must(parse_sources(must(
      yaml::read("source: {repoURL: '" + std::string(OwnRepository::kUrl) + "', targetRevision: main, path: app}"))));
  const auto rendered = renderer.render(source, must(renderer.resolve(source, "main")));
  REQUIRE_FALSE(rendered.ok());
  CHECK(rendered.error().code == ErrorCode::timeout);
  CHECK(rendered.error().message.find("rendering took too long") != std::string::npos);
}

TEST_CASE("what names the revision is rendered anew for each one") {
  OwnRepository own({{"app/kustomization.yaml", "resources: [a.yaml]\n"},
                     {"app/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"}});
  const git::Repositories repositories = own.open();
  Renderer renderer(repositories, std::chrono::minutes(1));
  Source source = must(parse_sources(
      must(yaml::read("source: {repoURL: '" + std::string(OwnRepository::kUrl) +
                      "', targetRevision: main, path: app, kustomize: "
                      "{commonAnnotations: {at: $ARGOCD_APP_REVISION}, commonAnnotationsEnvsubst: true}}"))));
  name_sources(source, "shop", "prod");
  const std::string first = must(renderer.resolve(source, "main"));
  const RenderedPtr rendered = must(renderer.render(source, first));
  CHECK(rendered->objects[0]["metadata"]["annotations"]["at"].as_string() == first);
  own.push({{"other/readme", "nothing of the Application\n"}});
  const std::string next = must(renderer.resolve(source, "main"));
  CHECK(renderer.carried_over(source, *rendered, next) == nullptr);
  CHECK(must(renderer.render(source, next))->objects[0]["metadata"]["annotations"]["at"].as_string() == next);
}

}  // namespace caisson::gitops
