// SPDX-License-Identifier: Apache-2.0
// The JMESPath compliance suite: files with an array of {given, cases: [{expression, result | error | bench}]}.
#include <doctest/doctest.h>

#include "conformance/corpus.h"
#include "core/document/json.h"
#include "core/expr/jmespath/jmespath.h"

namespace caisson::conformance {
namespace {

std::string check_case(const Value& given, const Value& test) {
  Result<Value> result = Error{ErrorCode::internal, ""};
  const auto expression = jmespath::Expression::compile(test["expression"].as_string(), jmespath::Dialect::standard);
  if (expression.ok())
    result = expression->search(given, {});
  else
    result = expression.error();
  if (test.contains("error")) {
    if (result.ok()) return "was not refused: " + test["error"].str();
    const std::string_view kind = jmespath::error_kind(result.error());
    return kind == test["error"].as_string() ? ""
                                             : "refused as " + std::string(kind) + " instead of " + test["error"].str();
  }
  if (!result.ok()) return "refused: " + result.error().message;
  if (test.contains("bench") || *result == test["result"]) return "";
  return json::write(*result) + " instead of " + json::write(test["result"]);
}

}  // namespace

TEST_CASE("JMESPath expressions give the results or kinds of error of the compliance suite") {
  Outcomes outcomes("jmespath");
  const std::string root = corpus_dir("jmespath");
  if (root.empty()) return;
  const auto files = list_dir(root);
  REQUIRE(files.ok());
  for (const std::string& file : *files) {
    if (!file.ends_with(".json")) continue;
    const auto groups = json::parse(text_of(root + "/" + file));
    REQUIRE_MESSAGE(groups.ok(), file);
    std::size_t number = 0;
    for (const Value& group : groups->items()) {
      for (const Value& test : group["cases"].items()) {
        const std::string id = file + "#" + std::to_string(number++);
        const std::string why = check_case(group["given"], test);
        if (why.empty())
          outcomes.passed(id);
        else
          outcomes.failed(id, test["expression"].str() + ": " + why);
      }
    }
  }
  outcomes.check(true);
}

}  // namespace caisson::conformance
