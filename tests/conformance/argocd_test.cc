// SPDX-License-Identifier: Apache-2.0
// Argo CD's resource health: GROUP/KIND/health_test.yaml lists objects with the status and message that Argo CD gives.
#include <doctest/doctest.h>

#include "conformance/corpus.h"
#include "core/document/yaml.h"
#include "delivery/gitops/health.h"

namespace caisson::conformance {
namespace {

std::string check_case(const Value& test, const std::string& path) {
  const auto object = yaml::read(text_of(path), {.name = path, .duplicate_keys_refused = false});
  if (!object.ok()) return object.error().message;
  const auto health = gitops::health_by_kind(*object);
  if (!health) return "has no health";
  const Value& want = test["healthStatus"];
  if (gitops::health_name(health->code) != want["status"].as_string())
    return std::string(gitops::health_name(health->code)) + " (" + health->message + ") instead of " +
           want["status"].str() + " (" + want["message"].str() + ")";
  // The reference compares with the empty message where none is given.
  if (health->message != want["message"].as_string())
    return "\"" + health->message + "\" instead of \"" + want["message"].str() + "\"";
  return "";
}

void run(const std::string& root, Outcomes& outcomes) {
  for (const std::string& kind : cases_with(root, "health_test.yaml")) {
    const auto tests = yaml::read(text_of(root + "/" + kind + "/health_test.yaml"), {.name = kind});
    REQUIRE_MESSAGE(tests.ok(), kind);
    for (const Value& test : (*tests)["tests"].items()) {
      // Two cases spell the key otherwise; the reference reads keys without regard to case.
      const std::string input = test[test.contains("inputPath") ? "inputPath" : "inputpath"].str();
      const std::string id = kind + "/" + input;
      const std::string why = check_case(test, root + "/" + kind + "/" + input);
      if (why.empty())
        outcomes.passed(id);
      else
        outcomes.failed(id, why);
    }
  }
}

}  // namespace

TEST_CASE("objects have the health that Argo CD gives them") {
  Outcomes outcomes("argocd");
  const std::string upstream = corpus_dir("argocd/health");
  if (!upstream.empty()) run(upstream, outcomes);
  outcomes.check(!upstream.empty());
}

}  // namespace caisson::conformance
