// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/tree_json.h"

#include <doctest/doctest.h>

#include "core/document/json.h"

namespace caisson::metrics {

// The shape of Prometheus' own answers.
TEST_CASE("parse_query answers the tree of a query") {
  const auto tree = [](const std::string& query) {
    return json::parse(answer_parse_query({{"query", query}}).body).value()["data"];
  };
  const auto expected = [](std::string_view text) { return json::parse(text).value(); };
  const std::string up =
      R"({"type":"vectorSelector","name":"up","matchers":[{"name":"__name__","type":"=","value":"up"}],"offset":0,)"
      R"("offsetExpr":null,"startOrEnd":null,"timestamp":null,"anchored":false,"smoothed":false})";
  CHECK(json::write(tree("up")) == up);
  CHECK(json::write(tree("-topk(3, up)")) ==
        R"({"type":"unaryExpr","op":"-","expr":{"type":"aggregation","op":"topk","expr":)" + up +
            R"(,"param":{"type":"numberLiteral","val":"3"},"grouping":[],"without":false}})");
  const Value division = tree("rate(x{b=~\"c.*\"}[5m] offset 1m) / on(a) group_left(z) (up > bool 2)");
  const std::string_view matching =
      R"({"card":"many-to-one","fillValues":{"lhs":null,"rhs":null},"include":["z"],"labels":["a"],"on":true})";
  CHECK(division["matching"] == expected(matching));
  CHECK(division["lhs"]["func"] ==
        expected(R"({"argTypes":["matrix"],"name":"rate","returnType":"vector","variadic":0})"));
  const Value range = division["lhs"]["args"][0];
  CHECK(range["type"] == Value("matrixSelector"));
  CHECK(range["range"].as_int() == 300'000);
  CHECK(range["offset"].as_int() == 60'000);
  CHECK(range["matchers"].size() == 2);
  CHECK(division["rhs"]["type"] == Value("parenExpr"));
  CHECK(division["rhs"]["expr"]["bool"].as_bool());
  CHECK(division["rhs"]["expr"]["matching"].is_null());
  const Value subquery = tree("max_over_time(up[1h:5m] @ end())")["args"][0];
  CHECK(subquery["step"].as_int() == 300'000);
  CHECK(subquery["startOrEnd"] == Value("end"));
  CHECK(tree("up and up")["matching"]["card"] == Value("many-to-many"));
  CHECK(answer_parse_query({{"query", "up{"}}).status == 400);
}

}  // namespace caisson::metrics
