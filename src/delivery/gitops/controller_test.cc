// SPDX-License-Identifier: Apache-2.0
// Applications over a real repository and the API server in this process: created, synced, healed, pruned, rolled back,
// broken, deleted.
#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>

#include "cluster/apiserver/api_server.h"
#include "cluster/store/store.h"
#include "core/base/file.h"
#include "core/base/process.h"
#include "core/document/json.h"
#include "core/document/yaml.h"
#include "core/http/tls.h"
#include "delivery/gitops/application.h"
#include "delivery/gitops/gitops.h"

using namespace caisson;

namespace {

constexpr Duration kTimeMax = std::chrono::seconds(20);
constexpr std::string_view kUrl = "http://localhost:8080/shop/deploy.git";

class Spans final : public SpanSink {
 public:
  void record(Span span) override {
    const std::lock_guard lock(mutex);
    names.push_back(span.name);
  }
  std::mutex mutex;
  std::vector<std::string> names;
};

void must(Result<void> result) {
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
}
template <class T>
T must(Result<T> result) {
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
  return std::move(result).value();
}

// A deploy repository and a clone to change it from.
class DeployRepository {
 public:
  explicit DeployRepository(const std::string& root) : bare_(root + "/git/shop/deploy.git"), clone_(root + "/clone") {
    must(make_dirs(bare_));
    git({"init", "-q", "--bare", "-b", "main", bare_}, root);
    git({"init", "-q", "-b", "main", clone_}, root);
    git({"remote", "add", "origin", bare_}, clone_);
  }
  // Gives the commit's id. An empty text removes the file.
  std::string push(const std::map<std::string, std::string>& files) {
    for (const auto& [path, text] : files) {
      const std::string full = clone_ + "/" + path;
      must(make_dirs(path_dir(full)));
      if (text.empty())
        must(remove_file(full));
      else
        must(write_file_unsynced(full, text));
    }
    git({"add", "-A"}, clone_);
    git({"-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "--allow-empty", "-m", "change"}, clone_);
    git({"push", "-q", "origin", "main"}, clone_);
    std::string id = git({"rev-parse", "HEAD"}, clone_);
    id.pop_back();
    return id;
  }

 private:
  static std::string git(std::vector<std::string> args, const std::string& directory) {
    args.insert(args.begin(), "git");
    Command command;
    command.args = std::move(args);
    command.directory = directory;
    return must(run_checked(command));
  }
  std::string bare_, clone_;
};

struct Platform {
  Platform() {
    runtime.start();
    for (const char* ns : {"argocd", "shop"}) {
      auto made = client->create(kube::Object::make(schema::kNamespaces, "", ns));
      REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
    }
    for (const auto& resource : {schema::kApplications, schema::kConfigMaps}) {
      runtime.informer(resource).on_change([this](const kube::Object*, const kube::Object*) {
        const std::lock_guard lock(mutex);
        ++changes;
        changed.notify_all();
      });
    }
  }

  // Waits for changes until `condition` holds.
  bool eventually(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + kTimeMax;
    for (;;) {
      int seen;
      {
        const std::lock_guard lock(mutex);
        seen = changes;
      }
      if (condition()) return true;
      std::unique_lock lock(mutex);
      if (!changed.wait_until(lock, deadline, [&] { return changes != seen; })) return false;
    }
  }

  Value application(const std::string& name) {
    auto got = client->get(schema::kApplications, {"argocd", name});
    return got.ok() ? got->value() : Value();
  }
  bool is(const std::string& name, std::string_view sync, const std::string& commit) {
    const Value app = application(name);
    const bool done = app["status"]["operationState"]["phase"].as_string() != "Running";
    return done && app["status"]["sync"]["status"].as_string() == sync &&
           (commit.empty() || app["status"]["sync"]["revision"].as_string() == commit);
  }
  std::string data(const std::string& name) {
    auto got = client->get(schema::kConfigMaps, {"shop", name});
    return got.ok() ? (*got)["data"]["key"].str() : "absent";
  }
  void create_application(const std::string& name, const std::string& path, const std::string& extra) {
    const std::string text = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: " + name +
                             ", namespace: argocd}\nspec:\n  project: default\n" + "  source: {repoURL: \"" +
                             std::string(kUrl) + "\", path: " + path + ", targetRevision: main}\n" +
                             "  destination: {server: \"https://kubernetes.default.svc\", namespace: shop}\n" + extra;
    must(client->create(kube::Object(must(yaml::read(text)))));
  }
  // What git would record.
  void announce(const std::string& commit, std::vector<std::string> paths) {
    kube::Object event = kube::Object::make(schema::kPushEvents, "shop", "push-" + commit.substr(0, 10));
    event.set_annotation(kTraceparentAnnotation, trace.traceparent());
    event.edit({"spec"}) = Value{{"repository", "shop/deploy"},
                                 {"ref", "refs/heads/main"},
                                 {"before", std::string(40, '0')},
                                 {"after", commit},
                                 {"changedPaths", Value::list_of(paths)}};
    must(client->create(event));
  }

  TempDir directory = must(TempDir::make("gitops"));
  DeployRepository repository{directory.path()};
  std::unique_ptr<store::Store> store = must(store::Store::open(directory.path() + "/store.db", system_clock()));
  schema::Schema schema = must(schema::Schema::built_in());
  std::unique_ptr<apiserver::ApiServer> api = must(apiserver::ApiServer::open(*store, schema, options()));
  std::unique_ptr<kube::Client> client = api->client({.name = "test", .groups = {"system:masters"}});
  git::Repositories repositories{{.directory = directory.path() + "/git",
                                  .mirrors = directory.path() + "/mirrors",
                                  .own_hosts = {"localhost:8080"}}};
  WorkerPool workers{"test", 2};
  Spans spans;
  TraceContext trace = TraceContext::start();
  std::mutex mutex;
  std::condition_variable changed;
  int changes = 0;
  kube::Runtime runtime{*client, system_clock(), {.threads = 4}};
  bool added = (gitops::add_gitops(
                    runtime, {.repositories = repositories, .workers = workers, .spans = spans, .schema = schema}),
                true);

  static apiserver::ApiServerOptions options() {
    apiserver::ApiServerOptions out;
    out.service_account_key_pem = SecretBytes(must(http::make_key_pem()));
    return out;
  }
};

std::string config_map(const std::string& name, const std::string& value, const std::string& annotations = "") {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n" + annotations + "data: {key: \"" + value +
         "\"}\n";
}

constexpr const char* kAutomated = "  syncPolicy: {automated: {prune: true, selfHeal: true}}\n";

}  // namespace

TEST_CASE("an Application follows its repository: sync, heal, push, prune, roll back, delete") {
  Platform it;
  const std::string first =
      it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/b.yaml", config_map("b", "1")}});
  it.create_application("shop", "app", kAutomated);
  REQUIRE(it.eventually([&] { return it.is("shop", "Synced", first); }));
  CHECK(it.data("a") == "1");
  const Value app = it.application("shop");
  CHECK(app["status"]["health"]["status"].as_string() == "Healthy");
  CHECK(app["status"]["operationState"]["phase"].as_string() == "Succeeded");
  CHECK(app["status"]["history"].size() == 1);
  CHECK(app["status"]["sourceType"].as_string() == "Directory");

  // Drift heals; so does deletion.
  must(it.client->patch(schema::kConfigMaps, {"shop", "a"}, kube::PatchType::merge,
                        Value{{"data", Value{{"key", "edited"}}}}));
  CHECK(it.eventually([&] { return it.data("a") == "1"; }));
  must(it.client->remove(schema::kConfigMaps, {"shop", "b"}));
  CHECK(it.eventually([&] { return it.data("b") == "1"; }));

  // A push changes and prunes, and its trace is carried on.
  const std::string second = it.repository.push({{"app/a.yaml", config_map("a", "2")}, {"app/b.yaml", ""}});
  it.announce(second, {"app/a.yaml", "app/b.yaml"});
  REQUIRE(it.eventually([&] { return it.is("shop", "Synced", second) && it.data("b") == "absent"; }));
  CHECK(it.data("a") == "2");
  const auto a = must(it.client->get(schema::kConfigMaps, {"shop", "a"}));
  CHECK(a.trace().trace_id == it.trace.trace_id);
  CHECK(it.application("shop")["metadata"]["annotations"][kTraceparentAnnotation].as_string() ==
        it.trace.traceparent());
  {
    const std::lock_guard lock(it.spans.mutex);
    for (const char* name : {"render", "diff", "apply", "healthy"}) {
      CHECK_MESSAGE(std::find(it.spans.names.begin(), it.spans.names.end(), name) != it.spans.names.end(), name);
    }
  }

  // Back to the first revision, by hand.
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [&](kube::Object& object) {
    object.edit({"spec", "syncPolicy"}).erase("automated");
    object.edit({"operation"}) = Value{{"sync", Value{{"revision", first}, {"prune", true}}}};
    return true;
  }));
  REQUIRE(
      it.eventually([&] { return it.data("a") == "1" && it.data("b") == "1" && it.is("shop", "OutOfSync", second); }));
  CHECK(it.application("shop")["status"]["operationState"]["syncResult"]["revision"].as_string() == first);
  const Value history = it.application("shop")["status"]["history"];
  CHECK(history[history.size() - 1]["revision"].as_string() == first);

  // With the finalizer, what it made goes with it (in the background: no garbage collector runs here).
  must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [](kube::Object& object) {
    object.add_finalizer(std::string(gitops::kFinalizer) + "/background");
    return true;
  }));
  must(it.client->remove(schema::kApplications, {"argocd", "shop"}));
  CHECK(it.eventually(
      [&] { return it.application("shop").is_null() && it.data("a") == "absent" && it.data("b") == "absent"; }));
}

TEST_CASE("a broken source is a condition that names the file, and other Applications go on") {
  Platform it;
  const std::string first =
      it.repository.push({{"good/a.yaml", config_map("a", "1")}, {"bad/b.yaml", config_map("b", "1")}});
  it.create_application("good", "good", kAutomated);
  it.create_application("bad", "bad", kAutomated);
  REQUIRE(it.eventually([&] { return it.is("good", "Synced", first) && it.is("bad", "Synced", first); }));
  const std::string second =
      it.repository.push({{"bad/b.yaml", "apiVersion: v1\nkind: [\n"}, {"good/a.yaml", config_map("a", "2")}});
  it.announce(second, {"bad/b.yaml", "good/a.yaml"});
  REQUIRE(it.eventually([&] {
    return it.data("a") == "2" &&
           it.application("bad")["status"]["conditions"][0]["type"].as_string() == "ComparisonError";
  }));
  CHECK(it.application("bad")["status"]["conditions"][0]["message"].as_string().find("b.yaml") !=
        std::string_view::npos);
  CHECK(it.data("b") == "1");
  const std::string third = it.repository.push({{"bad/b.yaml", config_map("b", "3")}});
  it.announce(third, {"bad/b.yaml"});
  CHECK(it.eventually([&] { return it.data("b") == "3" && it.application("bad")["status"]["conditions"].empty(); }));
}

TEST_CASE("App of Apps: waves wait for the health of what stands before them") {
  Platform it;
  const auto child = [](const std::string& name, const std::string& wave) {
    return "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: " + name +
           "\n  namespace: argocd\n  annotations: {argocd.argoproj.io/sync-wave: \"" + wave +
           "\"}\nspec:\n  project: default\n  source: {repoURL: \"" + std::string(kUrl) + "\", path: " + name +
           "}\n  destination: {server: \"https://kubernetes.default.svc\", namespace: shop}\n" + kAutomated;
  };
  const std::string commit = it.repository.push({{"apps/one.yaml", child("one", "0")},
                                                 {"apps/two.yaml", child("two", "1")},
                                                 {"one/a.yaml", config_map("a", "1")},
                                                 {"two/b.yaml", config_map("b", "1")}});
  it.create_application("root", "apps", kAutomated);
  REQUIRE(it.eventually(
      [&] { return it.is("root", "Synced", commit) && it.is("two", "Synced", commit) && it.data("b") == "1"; }));
  const Value one = it.application("one"), two = it.application("two");
  CHECK(one["status"]["operationState"]["finishedAt"].as_string() <= two["metadata"]["creationTimestamp"].as_string());
  CHECK(it.eventually([&] { return it.application("root")["status"]["health"]["status"].as_string() == "Healthy"; }));
}

TEST_CASE("an object that the server refuses fails the sync by name") {
  Platform it;
  it.repository.push({{"app/a.yaml", config_map("a", "1")}, {"app/b.yaml", config_map("Not_A_Name", "1")}});
  it.create_application("shop", "app", "  syncPolicy: {automated: {}, retry: {limit: 0}}\n");
  REQUIRE(it.eventually(
      [&] { return it.application("shop")["status"]["operationState"]["phase"].as_string() == "Failed"; }));
  CHECK(it.application("shop")["status"]["operationState"]["message"].as_string().find("Not_A_Name") !=
        std::string_view::npos);
  CHECK(it.data("a") == "1");
}
