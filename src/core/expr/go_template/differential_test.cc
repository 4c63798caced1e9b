// SPDX-License-Identifier: Apache-2.0
// Programs that Helm's own engine answered (tests/differential/go_template; Go 1.26.8, Helm 3.22.0, Sprig 3.3.0) must
// give the same output, or the same error. $CAISSON_TEMPLATE_GOLDEN names another file of such answers.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>

#include "core/base/test_dirs.h"
#include "core/base/text.h"
#include "core/document/json.h"
#include "core/expr/go_template/execution.h"
#include "core/expr/go_template/unicode.h"

using namespace caisson;
using namespace caisson::go_template;

namespace {

Result<Datum> include(Call& call) {
  return call.execution.include(call.text(0), call[1]);
}
Result<Datum> expand(Call& call) {
  return call.execution.expand(call.text(0), call[1]);
}
Result<Datum> lookup(Call&) {
  return Datum(make<Map>());
}
Result<Datum> no_host(Call&) {
  return Datum("");
}

constexpr Function kOwn[] = {
    {"getHostByName", "s", no_host}, {"include", "sa", include}, {"lookup", "ssss", lookup}, {"tpl", "sa", expand}};
constinit const Type kValues{Kind::map, "chartutil.Values", &kAny, {}, nullptr, &kMap};

struct Answer {
  bool failed;
  std::string text;
  bool operator==(const Answer&) const = default;
};

// What Helm makes of an error of the template package.
std::string parse_error(const std::string& text) {
  const std::size_t start = text.find(": ") + 2, end = text.find(": ", start);
  return "parse error at (" + text.substr(start, end - start) + "): " + text.substr(text.rfind(": ") + 2);
}

std::string execution_error(const std::string& text) {
  const std::size_t mark = text.find(kAuthorMessageStart);
  const std::size_t end = text.rfind(kAuthorMessageEnd);
  if (mark == std::string::npos || end == std::string::npos || !text.starts_with("template: ")) return text;
  const std::size_t start = text.find(": ") + 2;
  const std::size_t from = mark + kAuthorMessageStart.size();
  return "execution error at (" + text.substr(start, text.find(": ", start) - start) +
         "): " + text.substr(from, end - from);
}

Answer render(const std::string& text, const Value& values) {
  Set set("gotpl", {FunctionTable(kOwn), helm_functions(), sprig_functions(), go_functions()});
  const auto parsed = set.parse("c/t", text);
  if (!parsed.ok()) return {true, parse_error(parsed.error().message)};
  Map::Entries top;
  for (const char* other : {"Capabilities", "Chart", "Files", "Release", "Subcharts", "Template"}) {
    top.emplace(other, Datum::nil_interface());
  }
  top.emplace("Values", Datum::from(with_json_numbers(values)).with_type(kValues));
  Execution execution(set, {.missing_key = MissingKey::zero});
  const auto out = execution.run("c/t", Datum(make<Map>(std::move(top)), kValues));
  if (!out.ok()) return {true, execution_error(out.error().message)};
  return {false, replace_all(*out, "<no value>", "")};
}

// What both may answer in their own way, with the reason.
bool is_excused(const Answer& wanted, const Answer& got) {
  // YAML that can't be read: the position and the words are those of the reader.
  constexpr std::string_view kYaml = "error converting YAML to JSON";
  const bool both_yaml = wanted.text.find(kYaml) != std::string::npos && got.text.find(kYaml) != std::string::npos;
  // The whole data printed: .Capabilities is a pointer there, and Go prints where it lies.
  constexpr std::string_view kAddress = "map[Capabilities:0x";
  const bool address = wanted.text.find(kAddress) != std::string::npos;
  return wanted.failed == got.failed && (both_yaml || address);
}

// The answers stand in JSON, which has no place for bytes that are no characters.
std::string utf8(const std::string& text) {
  return is_valid_utf8(text) ? text : from_runes(runes(text));
}

}  // namespace

TEST_CASE("programs give what Helm's engine gives") {
  const char* other = std::getenv("CAISSON_TEMPLATE_GOLDEN");
  std::ifstream file(other ? other : test_room_dir() + "/go_template/testdata/golden.jsonl");
  REQUIRE(file.good());
  std::string line;
  Value values;
  int count = 0, different = 0;
  while (std::getline(file, line)) {
    const auto golden = json::parse(line);
    REQUIRE(golden.ok());
    const bool failed = golden->contains("error");
    const Answer wanted{failed, (*golden)[failed ? "error" : "output"].str()};
    if (golden->contains("values")) values = (*golden)["values"];
    Answer got = render((*golden)["template"].str(), values);
    got.text = utf8(got.text);
    ++count;
    if (wanted == got || is_excused(wanted, got)) continue;
    ++different;
    MESSAGE("template: " << (*golden)["template"].str() << "\n want " << (wanted.failed ? "E " : "= ") << wanted.text
                         << "\n got  " << (got.failed ? "E " : "= ") << got.text);
  }
  CHECK(different == 0);
  MESSAGE(count << " programs");
}
