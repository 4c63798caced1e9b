// SPDX-License-Identifier: Apache-2.0
// Any text compiles or is refused with a place in it; what compiles evaluates within its limit, twice to the same.
#include "core/expr/cel/cel.h"

#include "core/base/check.h"
#include "core/document/json.h"

using namespace caisson;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const cel::Environment environment([] {
    cel::EnvironmentOptions options;
    options.libraries = cel::kAllLibraries;
    options.variables = {
        {"object", cel::Type()}, {"l", cel::Type::list(cel::TypeKind::integer)}, {"s", cel::TypeKind::string}};
    return options;
  }());
  static const Value object = json::parse(R"({"a":{"b":[1,2.5,"x",null,true]},"n":3,"s":"text"})").value();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto program = environment.compile(text);
  if (!program.ok()) {
    CHECK(program.error().message.find("<input>:") != std::string::npos);
    return 0;
  }
  cel::Bindings bindings;
  bindings.set("object", cel::Value::from(object));
  bindings.set("l", cel::Value::from(object["a"]["b"]));
  bindings.set("s", cel::Value::string("hello"));
  const cel::Outcome first = program->evaluate(bindings, {.cost_max = 100'000});
  const cel::Outcome again = program->evaluate(bindings, {.cost_max = 100'000});
  CHECK(first.value.ok() == again.value.ok());
  CHECK(first.cost == again.cost);
  if (first.value.ok()) CHECK(first.value->debug_string() == again.value->debug_string());
  return 0;
}
