// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "core/document/yaml.h"
#include "delivery/gitops/health_rules.h"
#include "delivery/gitops/script.h"

namespace caisson::gitops {
namespace {

Value object(std::string_view text) {
  return yaml::read(text).value();
}

TEST_CASE("every embedded rule file loads") {
  LuaState state = std::move(LuaState::open()).value();
  for (const EmbeddedText& file : health_rule_texts()) {
    const auto loaded = state.run(file.text, file.name);
    CHECK_MESSAGE(loaded.ok(), file.name << ": " << (loaded.ok() ? "" : loaded.error().message));
  }
}

TEST_CASE("a rule for a kind goes before a rule for its group, and unknown kinds have no health") {
  CHECK(health_by_rule("grafana.integreatly.org/Grafana", object("{kind: Grafana}"))->message ==
        "Waiting for Grafana status info");
  CHECK(health_by_rule("grafana.integreatly.org/GrafanaContactPoint", object("{kind: GrafanaContactPoint}"))
            ->message.empty());
  CHECK_FALSE(health_by_rule("example.com/Widget", object("{kind: Widget}")));
  CHECK_FALSE(health_by_rule("/ConfigMap", object("{kind: ConfigMap}")));
}

TEST_CASE("rules stand objects of any shape") {
  for (const char* text : {"{}", "{status: 3}", "{status: {conditions: no}}", "{status: {conditions: [1, {}]}}",
                           "{kind: X, status: {conditions: {a: b}}}"}) {
    for (const char* name : {"cert-manager.io/Certificate", "argoproj.io/Rollout", "keda.sh/ScaledJob",
                             "operators.coreos.com/Subscription", "gateway.networking.k8s.io/HTTPRoute"}) {
      CHECK(health_by_rule(name, object(text)));
    }
  }
}

TEST_CASE("an object that is being deleted is progressing, whatever its kind says") {
  const auto health =
      health_of(object("{apiVersion: cert-manager.io/v1, kind: Issuer, metadata: {deletionTimestamp: x}, "
                       "status: {conditions: [{type: Ready, status: 'True'}]}}"));
  CHECK(health->code == HealthCode::progressing);
  CHECK(health->message == "Pending deletion");
}

TEST_CASE("a script sees obj and gives a table") {
  const auto got =
      run_script("hs = {} hs.status = 'Healthy' hs.message = obj.metadata.name .. ' ' .. #obj.spec.list return hs",
                 "health.lua", object("{metadata: {name: web}, spec: {list: [1, 2]}}"));
  REQUIRE(got.ok());
  CHECK((*got)["message"].as_string() == "web 2");
}

TEST_CASE("what a script gives back keeps its empty lists and whole numbers") {
  const auto got =
      run_script("obj.spec.replicas = 4 / 2 return obj", "a", object("{spec: {replicas: 1, args: [], labels: {}}}"));
  REQUIRE(got.ok());
  CHECK((*got)["spec"]["replicas"].is_int());
  CHECK((*got)["spec"]["args"].is_list());
  CHECK((*got)["spec"]["labels"].is_map());
}

TEST_CASE("a script that does not end is stopped, even from inside its own pcall") {
  const ScriptLimits limits{.instructions_max = 100'000};
  for (const char* text : {"while true do end", "while true do pcall(function() while true do end end) end"}) {
    const auto got = run_script(text, "loop.lua", Value(), limits);
    REQUIRE_FALSE(got.ok());
    CHECK(got.error().code == ErrorCode::timeout);
  }
}

TEST_CASE("a script that wants all memory is refused") {
  const auto got = run_script("return string.rep('x', 100 * 1024 * 1024)", "big.lua", Value());
  REQUIRE_FALSE(got.ok());
  CHECK(got.error().code == ErrorCode::too_large);
}

TEST_CASE("a script can't reach files, processes or other code") {
  for (const std::string name :
       {"io", "os.execute", "os.getenv", "os.remove", "load", "require", "dofile", "string.dump", "debug", "package"}) {
    const auto got =
        run_script("return type(" + name + ")", "x", Value());  // a function itself would come back as null
    REQUIRE(got.ok());
    CHECK_MESSAGE(got->as_string() == "nil", name);
  }
}

TEST_CASE("an error names the script and the line") {
  const auto got = run_script("local a = 1\nreturn obj.none.more", "resource.customizations.health.x", object("{}"));
  REQUIRE_FALSE(got.ok());
  CHECK(got.error().message.find("resource.customizations.health.x:2:") == 0);
}

}  // namespace
}  // namespace caisson::gitops
