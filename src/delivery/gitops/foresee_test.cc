// SPDX-License-Identifier: Apache-2.0
// What policies say of the desired state shows on the Application before anything is applied.
#include <doctest/doctest.h>

#include <atomic>

#include "delivery/gitops/platform_test.h"

using namespace caisson;
using namespace caisson::gitops;
using namespace caisson::gitops::testing;

namespace {

// Speaks of ConfigMaps whose data.key is "bad".
struct Judge {
  std::atomic<std::uint64_t> generation = 1;
  std::atomic<bool> enforced = true, silent = false;

  PreSyncVerdict verdict() {
    return {[this] { return generation.load(); },
            [this](const Value& object) -> std::vector<ForeseenViolation> {
              if (silent || object["data"]["key"].as_string() != "bad") return {};
              return {{"no-bad", "check-key", "key may not be bad", enforced}};
            }};
  }
};

std::string config_map(const std::string& name, const std::string& value) {
  return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {key: \"" + value + "\"}\n";
}

bool shows(Platform& it, std::string_view type, std::string_view part) {
  const Value app = it.application("shop");
  for (const Value& one : app["status"]["conditions"].items())
    if (one["type"].as_string() == type && one["message"].as_string().find(part) != std::string_view::npos) return true;
  return false;
}

constexpr const char* kAutomated = "  syncPolicy: {automated: {prune: true, selfHeal: true}}\n";

}  // namespace

TEST_CASE("an enforced violation of the desired state shows as a condition and stops the sync") {
  Judge judge;
  Platform it("", judge.verdict());
  it.repository.push({{"app/a.yaml", config_map("a", "good")}, {"app/b.yaml", config_map("b", "bad")}});
  it.create_application("shop", "app", kAutomated);
  REQUIRE(it.eventually([&] {
    return shows(it, "PolicyViolationError", "policy no-bad/check-key refuses ConfigMap/shop/b: key may not be bad");
  }));
  CHECK(it.data("a") == "absent");
  SUBCASE("a person's sync fails and says why") {
    must(kube::modify(*it.client, schema::kApplications, {"argocd", "shop"}, [&](kube::Object& one) {
      one.edit().set("operation", Value{{"sync", Value::map()}});
      return true;
    }));
    REQUIRE(it.eventually(
        [&] { return it.application("shop")["status"]["operationState"]["phase"].as_string() == "Failed"; }));
    CHECK(it.application("shop")["status"]["operationState"]["message"].as_string().find("no-bad/check-key") !=
          std::string_view::npos);
    CHECK(it.data("a") == "absent");
  }
  SUBCASE("what complies is applied") {
    const std::string commit = it.repository.push({{"app/b.yaml", config_map("b", "fine")}});
    it.announce(commit, {"app/b.yaml"});
    REQUIRE(it.eventually([&] { return it.is("shop", "Synced", commit); }));
    CHECK(it.data("b") == "fine");
    CHECK(!shows(it, "PolicyViolationError", ""));
  }
}

TEST_CASE("a violation that is only audited shows and stops nothing") {
  Judge judge;
  judge.enforced = false;
  Platform it("", judge.verdict());
  it.repository.push({{"app/b.yaml", config_map("b", "bad")}});
  it.create_application("shop", "app", kAutomated);
  REQUIRE(it.eventually([&] { return it.data("b") == "bad"; }));
  CHECK(it.eventually([&] { return shows(it, "PolicyViolationWarning", "warns of ConfigMap/shop/b"); }));
}
