// SPDX-License-Identifier: Apache-2.0
// For tests: a deploy repository, an API server and the GitOps reconcilers in this process. The node side is missing:
// nothing runs pods, so a test that waits for health writes the status of workloads itself.
#pragma once
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

namespace caisson::gitops::testing {

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

inline void must(Result<void> result) {
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
    if (exists(clone_)) return;  // of a platform that ran before
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

// `at`: a directory that outlives it, so that another Platform can go on there; empty: one of its own.
struct Platform {
  explicit Platform(const std::string& at = "", PreSyncVerdict verdict_ = {})
      : root(at.empty() ? directory.path() : at), verdict(std::move(verdict_)) {
    runtime.start();
    for (const char* ns : {"argocd", "shop"}) {
      auto made = client->create(kube::Object::make(schema::kNamespaces, "", ns));
      const bool there = made.ok() || made.error().code == ErrorCode::already_exists;
      REQUIRE_MESSAGE(there, (there ? "" : made.error().message));
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
  const std::string root;
  const PreSyncVerdict verdict;
  DeployRepository repository{root};
  std::unique_ptr<store::Store> store = must(store::Store::open(root + "/store.db", system_clock()));
  schema::Schema schema = must(schema::Schema::built_in());
  std::unique_ptr<apiserver::ApiServer> api = must(apiserver::ApiServer::open(*store, schema, options()));
  std::unique_ptr<kube::Client> client = api->client({.name = "test", .groups = {"system:masters"}});
  git::Repositories repositories{
      {.directory = root + "/git", .mirrors = root + "/mirrors", .own_hosts = {"localhost:8080"}}};
  WorkerPool workers{"test", gitops::kGitopsThreads};
  Spans spans;
  TraceContext trace = TraceContext::start();
  std::mutex mutex;
  std::condition_variable changed;
  int changes = 0;
  kube::Runtime runtime{*client, system_clock(), {.threads = 4}};
  bool added =
      (gitops::add_gitops(
           runtime,
           {.repositories = repositories, .workers = workers, .spans = spans, .schema = schema, .verdict = verdict}),
       true);

  static apiserver::ApiServerOptions options() {
    apiserver::ApiServerOptions out;
    out.service_account_key_pem = SecretBytes(must(http::make_key_pem()));
    return out;
  }
};

}  // namespace caisson::gitops::testing
