// SPDX-License-Identifier: Apache-2.0
// json-patch-tests: files with an array of {doc, patch, expected | error, disabled?}.
#include <doctest/doctest.h>

#include "conformance/corpus.h"
#include "core/document/json.h"
#include "core/document/patch.h"

namespace caisson::conformance {
namespace {

std::string check_case(const Value& test) {
  const auto result = document::json_patch(test["doc"], test["patch"]);
  if (test.contains("error")) return result.ok() ? "was not refused: " + test["error"].str() : "";
  if (!result.ok()) return "refused: " + result.error().message;
  if (!test.contains("expected") || *result == test["expected"]) return "";
  return json::write(*result) + " instead of " + json::write(test["expected"]);
}

void run(const std::string& root, Outcomes& outcomes) {
  for (const char* file : {"tests.json", "spec_tests.json", "own.json"}) {
    if (!exists(root + "/" + file)) continue;
    const auto tests = json::parse(text_of(root + "/" + file));
    REQUIRE_MESSAGE(tests.ok(), file);
    std::size_t number = 0;
    for (const Value& test : tests->items()) {
      const std::string id = std::string(file) + "#" + std::to_string(number++);
      if (test["disabled"].as_bool() || !test.contains("patch")) continue;
      const std::string why = check_case(test);
      if (why.empty())
        outcomes.passed(id);
      else
        outcomes.failed(id, why + " (" + test["comment"].str() + ")");
    }
  }
}

}  // namespace

TEST_CASE("JSON patches give the documents or refusals that RFC 6902 wants") {
  Outcomes outcomes("jsonpatch");
  run(own_dir("jsonpatch"), outcomes);
  const std::string upstream = corpus_dir("jsonpatch");
  if (!upstream.empty()) run(upstream, outcomes);
  outcomes.check(!upstream.empty());
}

}  // namespace caisson::conformance
