// SPDX-License-Identifier: Apache-2.0
// Releases against the API server in this process: installed, upgraded, rolled back, uninstalled; hooks; what goes
// wrong.
#include "delivery/render/helm/actions.h"

#include <doctest/doctest.h>

#include "cluster/apiserver/api_server.h"
#include "cluster/store/store.h"
#include "core/base/file.h"
#include "core/document/yaml.h"
#include "core/http/tls.h"

namespace caisson::render::helm {
namespace {

template <class T>
T must(Result<T> result) {
  REQUIRE_MESSAGE(result.ok(), (result.ok() ? "" : result.error().message));
  return std::move(result).value();
}

struct Platform {
  TempDir directory = must(TempDir::make());
  std::unique_ptr<store::Store> store = must(store::Store::open(directory.path() + "/store.db", system_clock()));
  schema::Schema schema = must(schema::Schema::built_in());
  std::unique_ptr<apiserver::ApiServer> api = must(apiserver::ApiServer::open(*store, schema, options()));
  std::unique_ptr<kube::Client> client = api->client({.name = "admin", .groups = {"system:masters"}});
  FakeClock clock;
  std::function<void()> on_pause = [] {};  // what happens in the cluster while an action waits

  static apiserver::ApiServerOptions options() {
    apiserver::ApiServerOptions out;
    out.service_account_key_pem = SecretBytes(must(http::make_key_pem()));
    out.service_cidr = "10.96.0.0/16";
    return out;
  }
  Platform() { must(client->create(kube::Object::make(schema::kNamespaces, "", "demo"))); }
  Actions actions() {
    return Actions(Cluster(*client, &schema, clock,
                           [this](Duration pause) {
                             clock.advance(pause);
                             on_pause();
                           }),
                   "demo");
  }
  std::string data(const std::string& name, const std::string& key) {
    const auto found = client->get(schema::kConfigMaps, {"demo", name});
    return found.ok() ? (*found)["data"][key].str() : "absent";
  }
};

Chart chart(std::map<std::string, std::string> templates) {
  std::vector<File> files{{"Chart.yaml", "apiVersion: v2\nname: web\nversion: 0.1.0\nappVersion: 2.1.0\n"},
                          {"values.yaml", "color: blue\nsize: 1\n"}};
  for (auto& [name, text] : templates) files.push_back({"templates/" + name, std::move(text)});
  std::vector<std::string> warnings;
  return must(load_files(std::move(files), warnings));
}

std::string config_map(const std::string& name, const std::string& metadata = "") {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n" + metadata +
         "data:\n  color: {{ .Values.color }}\n  size: \"{{ .Values.size }}\"\n  revision: \"{{ .Release.Revision "
         "}}\"\n";
}

std::string job(const std::string& event) {
  return "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: step\n  annotations: {helm.sh/hook: '" + event +
         "'}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{name: a, image: x}]\n";
}

ActionOptions named(const std::string& name) {
  ActionOptions options;
  options.name = name;
  return options;
}

void finish_job(Platform& platform, const char* condition) {
  auto found = platform.client->get(schema::kJobs, {"demo", "step"});
  if (!found.ok()) return;
  kube::Object object = std::move(found).value();
  object.edit({"status", "conditions"}) =
      Value(std::vector<Value>{Value{{"type", condition}, {"status", "True"}, {"reason", "Test"}}});
  must(platform.client->update_status(object));
}

}  // namespace

TEST_CASE("a release is installed, upgraded, rolled back and uninstalled, and each revision is on record") {
  Platform platform;
  Actions actions = platform.actions();
  const Chart web = chart({{"cm.yaml", config_map("cm")}});
  const Release first = must(actions.install(web, Value::map(), named("rel")));
  CHECK(first.status == "deployed");
  CHECK(platform.data("cm", "color") == "blue");
  const auto live = must(platform.client->get(schema::kConfigMaps, {"demo", "cm"}));
  CHECK(live.label("app.kubernetes.io/managed-by") == "Helm");
  CHECK(live.annotation("meta.helm.sh/release-name") == "rel");
  const auto secret = must(platform.client->get(schema::kSecrets, {"demo", "sh.helm.release.v1.rel.v1"}));
  CHECK(secret["type"].as_string() == "helm.sh/release.v1");
  CHECK(secret.label("status") == "deployed");

  const Release second = must(actions.upgrade(web, Value{{"color", "red"}}, named("rel")));
  CHECK(second.version == 2);
  CHECK(platform.data("cm", "color") == "red");
  CHECK(platform.data("cm", "revision") == "2");
  const Release third = must(actions.rollback(1, named("rel")));
  CHECK(third.description == "Rollback to 1");
  CHECK(platform.data("cm", "color") == "blue");
  std::vector<std::string> statuses;
  for (const Release& release : must(actions.store().history("rel"))) statuses.push_back(release.status);
  CHECK(statuses == std::vector<std::string>{"superseded", "superseded", "deployed"});

  must(actions.uninstall(named("rel")));
  CHECK(platform.data("cm", "color") == "absent");
  CHECK(must(actions.store().history("rel")).empty());
  CHECK(actions.uninstall(named("rel")).error().code == ErrorCode::not_found);
}

TEST_CASE("an upgrade keeps what others wrote, and removes what the chart has no longer unless it is to be kept") {
  Platform platform;
  Actions actions = platform.actions();
  must(actions.install(chart({{"a.yaml", config_map("a")},
                              {"b.yaml", config_map("b")},
                              {"c.yaml", config_map("c", "  annotations: {helm.sh/resource-policy: keep}\n")}}),
                       Value::map(), named("rel")));
  must(platform.client->patch(schema::kConfigMaps, {"demo", "a"}, kube::PatchType::merge,
                              must(yaml::read("{data: {mine: \"1\"}}"))));
  must(actions.upgrade(chart({{"a.yaml", config_map("a")}}), Value{{"size", 2}}, named("rel")));
  CHECK(platform.data("a", "size") == "2");
  CHECK(platform.data("a", "mine") == "1");
  CHECK(platform.data("b", "size") == "absent");
  CHECK(platform.data("c", "size") == "1");
}

TEST_CASE("values of the last revision are reused, reset or merged as the flags say") {
  Platform platform;
  Actions actions = platform.actions();
  const Chart web = chart({{"cm.yaml", config_map("cm")}});
  must(actions.install(web, Value{{"color", "red"}}, named("rel")));
  must(actions.upgrade(web, Value::map(), named("rel")));
  CHECK(platform.data("cm", "color") == "red");  // nothing given: the old ones
  must(actions.upgrade(web, Value{{"size", 5}}, named("rel")));
  CHECK(platform.data("cm", "color") == "blue");  // something given: only that
  ActionOptions reuse = named("rel");
  reuse.reuse_values = true;
  must(actions.upgrade(web, Value{{"color", "green"}}, reuse));
  CHECK(platform.data("cm", "size") == "5");
  ActionOptions reset = named("rel");
  reset.reset_values = true;
  must(actions.upgrade(web, Value::map(), reset));
  CHECK(platform.data("cm", "color") == "blue");
}

TEST_CASE("what belongs to somebody else is not taken over, and a used name is not used again") {
  Platform platform;
  Actions actions = platform.actions();
  must(platform.client->create(kube::Object::make(schema::kConfigMaps, "demo", "cm")));
  const Chart web = chart({{"cm.yaml", config_map("cm")}});
  const auto refused = actions.install(web, Value::map(), named("rel"));
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().message.find(
            "ConfigMap \"cm\" in namespace \"demo\" exists and cannot be imported into the current "
            "release: invalid ownership metadata") != std::string::npos);
  CHECK(must(actions.store().history("rel")).empty());
  ActionOptions take = named("rel");
  take.take_ownership = true;
  must(actions.install(web, Value::map(), take));
  CHECK(actions.install(web, Value::map(), named("rel")).error().message ==
        "cannot re-use a name that is still in use");
  CHECK(actions.upgrade(web, Value::map(), named("other")).error().message == "\"other\" has no deployed releases");
}

TEST_CASE("hooks run before what they are for; one that fails fails the release") {
  Platform platform;
  platform.on_pause = [&] { finish_job(platform, "Complete"); };
  Actions actions = platform.actions();
  const Chart web = chart({{"cm.yaml", config_map("cm")}, {"job.yaml", job("pre-install,pre-upgrade")}});
  const Release release = must(actions.install(web, Value::map(), named("rel")));
  REQUIRE(release.hooks.size() == 1);
  CHECK(release.hooks[0].phase == "Succeeded");
  CHECK(must(actions.find("rel")).hooks[0].phase == "Succeeded");

  platform.on_pause = [&] { finish_job(platform, "Failed"); };
  const auto failed = actions.upgrade(web, Value{{"color", "red"}}, named("rel"));
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().message == "pre-upgrade hooks failed: job failed: Test");
  CHECK(platform.data("cm", "color") == "blue");
  CHECK(must(actions.find("rel")).status == "failed");
  CHECK(must(actions.find("rel", 1)).status == "deployed");
}

TEST_CASE("an atomic upgrade that does not get ready is rolled back; an atomic install is taken away") {
  Platform platform;
  Actions actions = platform.actions();
  const std::string deployment =
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: p}\nspec:\n  selector: {matchLabels: {a: b}}\n"
      "  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: x}]}}\n";
  ActionOptions atomic = named("rel");
  atomic.atomic = true;
  atomic.timeout = std::chrono::seconds(5);
  const auto install = actions.install(chart({{"p.yaml", deployment}}), Value::map(), atomic);
  REQUIRE_FALSE(install.ok());
  CAPTURE(install.error().message);
  CHECK(install.error().message.starts_with(
      "release rel failed, and has been uninstalled due to atomic being set: timed out"));
  CHECK(must(actions.store().history("rel")).empty());

  must(actions.install(chart({{"cm.yaml", config_map("cm")}}), Value::map(), named("rel")));
  const auto upgrade =
      actions.upgrade(chart({{"cm.yaml", config_map("cm")}, {"p.yaml", deployment}}), Value{{"color", "red"}}, atomic);
  REQUIRE_FALSE(upgrade.ok());
  CAPTURE(upgrade.error().message);
  CHECK(upgrade.error().message.starts_with(
      "release rel failed, and has been rolled back due to atomic being set: timed out"));
  CHECK(platform.data("cm", "color") == "blue");
  CHECK(must(actions.find("rel")).description == "Rollback to 1");
}

TEST_CASE("tests run by name, or all but those that are named") {
  const auto test = [](const std::string& name) { return config_map(name, "  annotations: {helm.sh/hook: test}\n"); };
  const auto ran = [&](std::vector<std::string> names) {
    Platform platform;
    Actions actions = platform.actions();
    must(actions.install(chart({{"a.yaml", test("one")}, {"b.yaml", test("two")}}), Value::map(), named("rel")));
    ActionOptions options = named("rel");
    options.tests = std::move(names);
    const Release release = must(actions.test(options));
    CHECK(release.hooks.size() == 2);  // what did not run stays on record
    return (platform.data("one", "color") == "blue" ? "one " : "") +
           std::string(platform.data("two", "color") == "blue" ? "two" : "");
  };
  CHECK(ran({}) == "one two");
  CHECK(ran({"two"}) == "two");
  CHECK(ran({"!two"}) == "one ");
  CHECK(ran({"one", "!one"}) == "");
}

TEST_CASE("what a release's objects own is deleted, awaited or left, as the cascade says") {
  for (const auto& [cascade, finalizer] :
       {std::pair{kube::Propagation::background, ""}, std::pair{kube::Propagation::foreground, "foregroundDeletion"},
        std::pair{kube::Propagation::orphan, "orphan"}}) {
    Platform platform;
    Actions actions = platform.actions();
    must(actions.install(chart({{"cm.yaml", config_map("cm")}}), Value::map(), named("rel")));
    ActionOptions options = named("rel");
    options.cascade = cascade;
    must(actions.uninstall(options));
    const auto left = platform.client->get(schema::kConfigMaps, {"demo", "cm"});  // nobody collects garbage here
    CHECK((left.ok() ? (*left)["metadata"]["finalizers"][0].str() : "") == finalizer);
  }
}

TEST_CASE("history is kept to its limit, and never loses what is deployed") {
  Platform platform;
  Actions actions = platform.actions();
  const Chart web = chart({{"cm.yaml", config_map("cm")}});
  ActionOptions options = named("rel");
  options.history_max = 3;
  must(actions.install(web, Value::map(), options));
  for (int i = 0; i < 5; ++i) must(actions.upgrade(web, Value{{"size", i}}, options));
  const auto history = must(actions.store().history("rel"));
  CHECK(history.size() == 3);
  CHECK(history.back().version == 6);
  CHECK(history.back().status == "deployed");
}

}  // namespace caisson::render::helm
