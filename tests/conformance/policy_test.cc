// SPDX-License-Identifier: Apache-2.0
// Policy tests of Kyverno's policy library and command line. A case is a kyverno-test.yaml: every row must hold. Cases
// that read an image registry are left out; one names a policy that is not there, and must be reported as failed.
#include <doctest/doctest.h>

#include "conformance/corpus.h"
#include "core/document/json.h"
#include "security/policy/test_command.h"

namespace caisson::conformance {
namespace {

constexpr std::string_view kMustFail = "kyverno-cli/test-fail/missing-policy/kyverno-test.yaml";

bool needs_registry(const Value& entry) {
  for (const Value& need : entry["needs"].items())
    if (need.as_string() == "registry") return true;
  return false;
}

std::string check_case(const std::string& path) {
  const auto report = policy::run_test(path);
  if (!report.ok()) return report.error().message;
  std::string why;
  for (const policy::TestRow& row : report->rows)
    if (!row.ok)
      why += (why.empty() ? "" : "\n    ") + row.policy + "/" + row.rule + " " + row.resource + ": " + row.reason +
             " (" + row.message.substr(0, 300) + ")";
  return why;
}

}  // namespace

TEST_CASE("Policy tests give the results that their rows expect") {
  Outcomes outcomes("policy");
  const std::string root = corpus_dir("policy");
  if (root.empty()) return;
  const auto index = json::parse(text_of(root + "/INDEX.json"));
  REQUIRE(index.ok());
  for (const Value& entry : index->items()) {
    if (needs_registry(entry)) continue;
    const std::string id = entry["test"].str();
    std::string why = check_case(root + "/" + id);
    if (id == kMustFail) why = why.empty() ? "was not reported as failed" : "";
    if (why.empty())
      outcomes.passed(id);
    else
      outcomes.failed(id, why);
  }
  outcomes.check(true);
}

}  // namespace caisson::conformance
