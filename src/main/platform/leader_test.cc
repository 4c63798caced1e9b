// SPDX-License-Identifier: Apache-2.0
#include "main/platform/leader.h"

#include <doctest/doctest.h>

#include "cluster/apiserver/api_server.h"
#include "cluster/schema/schema.h"
#include "cluster/store/store.h"
#include "core/base/file.h"
#include "core/http/tls.h"
#include "main/platform/attach_objects.h"

namespace caisson::platform {
namespace {

struct Fixture {
  TempDir directory = TempDir::make("leader").value();
  std::unique_ptr<store::Store> store = store::Store::open(directory.path() + "/store.db", system_clock()).value();
  schema::Schema schema = schema::Schema::built_in().value();
  std::unique_ptr<apiserver::ApiServer> api = [this] {
    apiserver::ApiServerOptions options;
    options.service_account_key_pem = SecretBytes(http::make_key_pem().value());
    return apiserver::ApiServer::open(*store, schema, std::move(options)).value();
  }();
  std::unique_ptr<kube::Client> client = api->client({.name = "test", .groups = {"system:masters"}});
  FakeClock clock;
  Leader leader(const char* identity) {
    return Leader(*client, clock, {.lease = {"default", "gitops"}, .identity = identity});
  }
};

TEST_CASE("one of two leads; the other takes over when the lease is not renewed") {
  Fixture f;
  Leader one = f.leader("one"), two = f.leader("two");
  CHECK(*one.try_once());
  CHECK(one.is_leader());
  CHECK_FALSE(*two.try_once());
  CHECK(two.holder() == "one");
  f.clock.advance(std::chrono::seconds(9));
  CHECK(*one.try_once());
  f.clock.advance(std::chrono::seconds(9));
  CHECK_FALSE(*two.try_once());  // it was renewed in between
  f.clock.advance(std::chrono::seconds(5));
  CHECK_FALSE(one.is_leader());  // stopped before anybody may take it
  CHECK_FALSE(*two.try_once());
  f.clock.advance(std::chrono::seconds(11));
  CHECK(*two.try_once());
  CHECK_FALSE(*one.try_once());
  CHECK_FALSE(one.is_leader());
}

TEST_CASE("a lease that was given back is taken at once") {
  Fixture f;
  Leader one = f.leader("one"), two = f.leader("two");
  CHECK(*one.try_once());
  CHECK(one.release().ok());
  CHECK_FALSE(one.is_leader());
  CHECK(*two.try_once());
  CHECK(one.release().ok());  // another one's stays
  CHECK(two.holder() == "two");
  CHECK_FALSE(*one.try_once());
}

TEST_CASE("an Argo CD that works there is seen, one that is scaled to 0 is none") {
  Fixture f;
  const auto controller = [&](const char* name, int replicas) {
    kube::Object one = kube::Object::make({"apps", "v1", "Deployment", "deployments", true}, "default", name);
    one.set_label("app.kubernetes.io/name", "argocd-applicationset-controller");
    Value labels{{"matchLabels", Value{{"app", name}}}};
    Value pod{{"metadata", Value{{"labels", Value{{"app", name}}}}},
              {"spec", Value{{"containers", Value(std::vector<Value>{Value{{"name", "c"}, {"image", "i"}}})}}}};
    one.edit({"spec"}) = Value{{"replicas", replicas}, {"selector", labels}, {"template", pod}};
    CHECK(f.client->create(one).ok());
  };
  CHECK(running_argocd(*f.client)->empty());
  controller("asleep", 0);
  CHECK(running_argocd(*f.client)->empty());
  controller("awake", 1);
  const auto there = running_argocd(*f.client).value();
  CHECK(describe_controllers(there) == "Deployment default/awake");
  CHECK(stop_argocd(*f.client, there).ok());
  CHECK(running_argocd(*f.client)->empty());
}

TEST_CASE("the rights are those of the kinds in use, and what is there is left as it is") {
  Fixture f;
  CHECK(ensure_definitions(*f.client).ok());
  CHECK(ensure_home(*f.client, "team").ok());
  kube::Object project = f.client->get(schema::kAppProjects, {"team", "default"}).value();
  project.edit({"spec"}).set("description", "ours");
  CHECK(f.client->update(project).ok());
  CHECK(ensure_home(*f.client, "team").ok());
  CHECK(f.client->get(schema::kAppProjects, {"team", "default"})->spec()["description"].as_string() == "ours");
  CHECK(rbac_manifest(nullptr, "team")->find("daemonsets") != std::string::npos);
  kube::Object application = kube::Object::make(schema::kApplications, "team", "web");
  application.edit({"spec"}) = Value{{"project", "default"}, {"destination", Value::map()}};
  Value entry{{"version", "v1"}, {"kind", "ConfigMap"}, {"name", "a"}};
  application.edit({"status"}) = Value{{"resources", Value(std::vector<Value>{entry})}};
  REQUIRE(f.client->create(application).ok());
  const std::string rights = rbac_manifest(f.client.get(), "team").value();
  CHECK(rights.find("configmaps") != std::string::npos);
  CHECK(rights.find("daemonsets") == std::string::npos);
}

}  // namespace
}  // namespace caisson::platform
