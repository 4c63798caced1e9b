// SPDX-License-Identifier: Apache-2.0
// Golden answers of cel-go in Kubernetes' environment, made by tests/differential/cel (tool and version are in the
// file): values, runtime costs, and the words of compile errors.
#include <doctest/doctest.h>

#include "core/base/file.h"
#include "core/base/test_dirs.h"
#include "core/document/json.h"
#include "core/expr/cel/cel.h"

namespace caisson::cel {
namespace {

constexpr std::string_view kObject = R"({"metadata":{"name":"web","labels":{"app":"web","tier":"front"}},
  "spec":{"replicas":3,"containers":[{"name":"a","image":"nginx:1.25","ports":[80,443]},
  {"name":"b","image":"busybox"}]},"empty":null})";

Value view(std::string_view text) {
  return Value::from(json::parse(text).value());
}

// As protobuf's JSON has it: numbers are doubles, whole ones beyond 2^53 texts; an optional only tells whether it has
// a value; other objects are their type.
document::Value shown(const Value& value) {
  if (value.is(Kind::optional)) return document::Value(value.as_optional() != nullptr);
  if (value.is(Kind::integer) && std::abs(static_cast<double>(value.as_int())) > 9007199254740991.0)
    return document::Value(std::to_string(value.as_int()));
  if (value.is(Kind::type)) return document::Value("type");
  const auto document = value.to_document();
  return document.ok() ? *document : document::Value(value.type().name());
}

}  // namespace

TEST_CASE("values, costs and compile errors are those of cel-go in Kubernetes 1.33") {
  EnvironmentOptions options = kubernetes_options();
  options.variables = {{"object", Type()},
                       {"n", TypeKind::integer},
                       {"s", TypeKind::string},
                       {"l", Type::list(TypeKind::integer)},
                       {"m", Type::map(TypeKind::string, TypeKind::string)}};
  const Environment environment(std::move(options));
  Bindings bindings;
  bindings.set("object", view(kObject));
  bindings.set("n", Value(std::int64_t{3}));
  bindings.set("s", Value::string("hello"));
  bindings.set("l", view("[3, 1, 2]"));
  bindings.set("m", view(R"({"a": "1", "b": "2"})"));
  const auto golden = json::parse(read_file(test_room_dir() + "/cel/testdata/kubernetes.json").value());
  REQUIRE(golden.ok());
  for (const document::Value& c : (*golden)["cases"].items()) {
    const std::string expression = c["expression"].str();
    CAPTURE(expression);
    const auto program = environment.compile(expression);
    if (c.contains("compile")) {
      CHECK_FALSE(program.ok());
      if (!program.ok() && c["compile"].as_string().find("Syntax error") == std::string_view::npos)
        CHECK(program.error().message == c["compile"].as_string());
      continue;
    }
    if (!program.ok()) {
      CHECK_MESSAGE(false, program.error().message);
      continue;
    }
    const Outcome outcome = program->evaluate(bindings);
    CHECK(outcome.value.ok() == !c.contains("error"));
    if (outcome.value.ok()) {
      CHECK(json::write(shown(*outcome.value)) == json::write(c["value"]));
      CHECK(outcome.cost == static_cast<std::uint64_t>(c["cost"].as_int()));
    } else {
      CAPTURE(outcome.value.error().message);
      CHECK(c.contains("error"));
    }
  }
}

}  // namespace caisson::cel
