// SPDX-License-Identifier: Apache-2.0
// For the tests of this wing: a real API server over a real store in a temporary directory, and what a test asks of
// both.
#pragma once
#include <condition_variable>
#include <functional>
#include <mutex>

#include "cluster/apiserver/api_server.h"
#include "cluster/kube/reconciler.h"
#include "cluster/store/store.h"
#include "core/base/file.h"
#include "core/document/yaml.h"
#include "core/http/tls.h"

namespace caisson::git {

class Spans : public SpanSink {
 public:
  void record(Span span) override {
    const std::scoped_lock lock(mutex);
    spans.push_back(std::move(span));
  }
  std::mutex mutex;
  std::vector<Span> spans;  // GUARDED_BY(mutex)
};

struct Platform {
  TempDir directory = TempDir::make("delivery-test").value();
  std::unique_ptr<store::Store> store = store::Store::open(directory.path() + "/store.db", system_clock()).value();
  schema::Schema schema = schema::Schema::built_in().value();
  std::unique_ptr<apiserver::ApiServer> api = apiserver::ApiServer::open(*store, schema, options()).value();
  std::unique_ptr<kube::Client> client = api->client({.name = "system:caisson", .groups = {"system:masters"}});
  Spans spans;

  static apiserver::ApiServerOptions options() {
    apiserver::ApiServerOptions out;
    out.service_account_key_pem = SecretBytes(http::make_key_pem().value());
    return out;
  }
  // Creates every document of a YAML stream. Gives the first error's text, "" when all went well.
  std::string create(const std::string& text) {
    const auto documents = yaml::read_all(text);
    if (!documents.ok()) return documents.error().message;
    for (const Value& document : *documents) {
      const auto made = client->create(kube::Object(document));
      if (!made.ok()) return made.error().message;
    }
    return {};
  }
  void make_organization(const std::string& name) {
    create("{apiVersion: v1, kind: Namespace, metadata: {name: " + name +
           ", labels: {caisson.dev/organization: 'true'}}}");
  }
};

// Waits until `condition` holds, looking again at each change of a kind that was named.
class Eventually {
 public:
  Eventually(kube::Runtime& runtime, const std::vector<kube::Resource>& resources) {
    for (const kube::Resource& resource : resources) {
      runtime.informer(resource).on_change([state = state_](const kube::Object*, const kube::Object*) {
        const std::scoped_lock lock(state->mutex);
        ++state->changes;
        state->changed.notify_all();
      });
    }
  }
  bool operator()(const std::function<bool()>& condition) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (;;) {
      int seen = 0;
      {
        const std::scoped_lock lock(state_->mutex);
        seen = state_->changes;
      }
      if (condition()) return true;
      std::unique_lock lock(state_->mutex);
      if (!state_->changed.wait_until(lock, deadline, [&] { return state_->changes != seen; })) return condition();
    }
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    int changes = 0;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace caisson::git
