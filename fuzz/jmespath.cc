// SPDX-License-Identifier: Apache-2.0
// Any text compiles or is refused with a kind of the specification; what compiles ends on a document, within its
// limits.
#include "core/expr/jmespath/jmespath.h"
#include "core/base/check.h"
#include "core/document/json.h"

using namespace caisson;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const Value document =
      json::parse(R"({"a":{"b":[1,2.5,"x",null,{"c":true}]},"foo":[{"bar":"1Gi"},{"bar":"2h"}],"s":"text","n":-3})")
          .value();
  for (const auto dialect : {jmespath::Dialect::standard, jmespath::Dialect::kyverno}) {
    const auto expression = jmespath::Expression::compile(text, dialect);
    if (!expression.ok()) {
      const std::string_view kind = jmespath::error_kind(expression.error());
      CHECK(kind == "syntax" || kind == "invalid-arity" || kind == "unknown-function" || kind == "invalid-value");
      continue;
    }
    const jmespath::Environment environment{
        .random = [] { return std::uint64_t{7}; }, .steps_max = 20'000, .text_bytes_max = 1u << 16};
    const auto first = expression->search(document, environment), second = expression->search(document, environment);
    CHECK(first.ok() == second.ok());
    if (first.ok()) CHECK(json::write(*first) == json::write(*second));
  }
  return 0;
}
