// SPDX-License-Identifier: Apache-2.0
// Any text parses or is refused, any program ends within its limits, and one that asks neither clock nor randomness
// gives the same twice.
#include "core/base/check.h"
#include "core/expr/go_template/execution.h"

namespace {

using namespace caisson;
using namespace caisson::go_template;

Result<Datum> include(Call& call) {
  return call.execution.include(call.text(0), call[1]);
}
Result<Datum> expand(Call& call) {
  return call.execution.expand(call.text(0), call[1]);
}
constexpr Function kOwn[] = {{"include", "sa", include}, {"tpl", "sa", expand}};

Value values() {
  const Value list(std::vector<Value>{Value(1.5), Value("two"), Value(), Value(true)});
  const Value dict({{"a", Value(1)}, {"l", list}, {"d", Value({{"k", Value("v")}})}});
  return Value({{"Values", Value({{"s", Value("hello")}, {"n", Value(3.0)}, {"l", list}, {"m", dict}})}});
}

std::string outcome(const Set& set) {
  constexpr Limits kLimits{.depth_max = 50, .include_depth_max = 20, .steps_max = 20'000, .output_bytes_max = 1u << 20};
  Execution execution(set, {.missing_key = MissingKey::zero, .limits = kLimits});
  const auto out = execution.run("t", Datum::from(values()));
  return out.ok() ? "= " + *out : out.error().message;
}

bool is_repeatable(std::string_view text) {
  for (const char* word :
       {"rand", "now", "ago", "date", "Date", "shuffle", "uuid", "encrypt", "duration", "%p", "crypt", "htpasswd"}) {
    if (text.find(word) != std::string_view::npos) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Set set("gotpl", {FunctionTable(kOwn), helm_functions(), sprig_functions(), go_functions()});
  const auto parsed = set.parse("t", text);
  if (!parsed.ok()) {
    CHECK(parsed.error().message.starts_with("template: t:"));
    return 0;
  }
  const std::string first = outcome(set);
  if (is_repeatable(text)) CHECK(first == outcome(set));
  return 0;
}
