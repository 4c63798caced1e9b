// SPDX-License-Identifier: Apache-2.0
#include "core/expr/go_template/execution.h"

#include <doctest/doctest.h>

#include <thread>

#include "core/document/json.h"
#include "core/expr/go_template/go_functions.h"

using namespace caisson;
using namespace caisson::go_template;

namespace {

Result<Datum> include(Call& call) {
  return call.execution.include(call.text(0), call[1]);
}
Result<Datum> expand(Call& call) {
  return call.execution.expand(call.text(0), call[1]);
}

struct Greeter : Host {
  std::string greeting = "hi";
};
Result<Datum> greet(Call& call) {
  return Datum(static_cast<Greeter*>(call.host())->greeting + " " + std::string(call.text(0)));
}

constexpr Function kOwn[] = {{"greet", "s", greet}, {"include", "sa", include}, {"tpl", "sa", expand}};

Set make_set() {
  return Set("gotpl", {FunctionTable(kOwn), helm_functions(), sprig_functions(), go_functions()});
}

Datum data_of(std::string_view json_text) {
  return Datum::from(with_json_numbers(*json::parse(json_text)));
}

std::string message_of(const Result<std::string>& result) {
  return result.ok() ? "= " + *result : result.error().message;
}

// The output, or "= " and it; an error's text otherwise.
std::string render(std::string_view text, std::string_view data = "{}", const Options& options = {},
                   Host* host = nullptr) {
  Set set = make_set();
  const auto parsed = set.parse("t", text);
  if (!parsed.ok()) return parsed.error().message;
  Execution execution(set, options, host);
  return message_of(execution.run("t", data_of(data)));
}

ErrorCode code_of(std::string_view text, const Limits& limits) {
  Set set = make_set();
  REQUIRE(set.parse("t", text).ok());
  Execution execution(set, {.limits = limits});
  const auto out = execution.run("t", Datum());
  REQUIRE(!out.ok());
  return out.error().code;
}

}  // namespace

TEST_CASE("a missing key is what the options say") {
  constexpr std::string_view kProgram = "{{ .a.b }}";
  CHECK(render(kProgram) == "= <no value>");
  CHECK(render(kProgram, "{}", {.missing_key = MissingKey::zero}) ==
        "template: t:1:5: executing \"t\" at <.a.b>: nil pointer evaluating interface {}.b");
  CHECK(render(kProgram, "{}", {.missing_key = MissingKey::error}) ==
        "template: t:1:5: executing \"t\" at <.a.b>: map has no entry for key \"a\"");
  CHECK(render("{{ (split \",\" \"x\")._9 }}|", "{}", {.missing_key = MissingKey::zero}) == "= |");
}

TEST_CASE("a nil that is handed to include has no type any more") {
  constexpr std::string_view kProgram = "{{ define \"d\" }}[{{ .a.b }}]{{ end }}{{ include \"d\" .missing }}";
  CHECK(render(kProgram, "{}", {.missing_key = MissingKey::zero}) == "= [<no value>]");
}

TEST_CASE("functions reach what their caller gave the execution") {
  Greeter host;
  host.greeting = "good day";
  CHECK(render("{{ greet \"you\" }}", "{}", {}, &host) == "= good day you");
}

TEST_CASE("a caller's table comes before the others") {
  constexpr Function kUpper[] = {{"upper", "s", [](Call&) -> Result<Datum> { return Datum("mine"); }}};
  Set set("x", {FunctionTable(kUpper), sprig_functions(), go_functions()});
  REQUIRE(set.parse("t", "{{ upper \"a\" }}").ok());
  Execution execution(set, {});
  CHECK(message_of(execution.run("t", Datum())) == "= mine");
}

TEST_CASE("an empty definition does not replace what is defined") {
  Set set = make_set();
  REQUIRE(set.parse("a", "body").ok());
  REQUIRE(set.parse("a", "  {{/* nothing */}} {{ define \"b\" }}B{{ end }}").ok());
  Execution execution(set, {});
  CHECK(message_of(execution.run("a", Datum())) == "= body");
  CHECK(message_of(execution.run("b", Datum())) == "= B");
  CHECK(set.names() == std::vector<std::string>{"a", "b"});
  CHECK(message_of(execution.run("c", Datum())) == "template: no template \"c\" associated with template \"gotpl\"");
}

TEST_CASE("what does not parse adds nothing") {
  Set set = make_set();
  CHECK(set.parse("a", "{{ define \"x\" }}1{{ end }}{{ nope }}").error().message ==
        "template: a:1: function \"nope\" not defined");
  CHECK(set.names().empty());
}

TEST_CASE("what tpl defines stays its own") {
  CHECK(render("{{ tpl \"{{ define `q` }}Q{{ end }}{{ include `q` . }}\" . }}{{ include \"q\" . }}") ==
        "template: t:1:62: executing \"t\" at <include \"q\" .>: error calling include: template: no template \"q\" "
        "associated with template \"gotpl\"");
}

TEST_CASE("templates of one execution see one another's edits") {
  Set set = make_set();
  REQUIRE(set.parse("a", "{{ $_ := set .m \"k\" 1 }}").ok());
  REQUIRE(set.parse("b", "{{ .m.k }}").ok());
  const Datum data = data_of(R"({"m":{"j":0}})");
  Execution execution(set, {});
  REQUIRE(execution.run("a", data).ok());
  CHECK(message_of(execution.run("b", data)) == "= 1");
}

TEST_CASE("edits leave the document alone that the data came from") {
  const auto document = json::parse(R"({"m":{"j":[{"x":1}]}})");
  Set set = make_set();
  REQUIRE(set.parse("t", "{{ $_ := set (index .m.j 0) \"x\" 2 }}{{ toJson . }}").ok());
  Execution execution(set, {});
  CHECK(message_of(execution.run("t", Datum::from(*document))) == R"(= {"m":{"j":[{"x":2}]}})");
  CHECK(json::write(*document) == R"({"m":{"j":[{"x":1}]}})");
}

TEST_CASE("dicts that hold themselves are refused by what would not end") {
  const std::string self = "{{ $d := dict }}{{ $_ := set $d \"d\" $d }}";
  CHECK(render(self + "{{ $d }}").ends_with("can't print data that is nested too deeply"));
  CHECK(render(self + "{{ mustToJson $d }}").find("encountered a cycle") != std::string::npos);
  CHECK(render(self + "{{ toYaml $d }}|") == "= |");
  CHECK(render(self + "{{ deepCopy $d }}").ends_with("dicts are nested too deeply"));
}

TEST_CASE("programs without an end are ended") {
  CHECK(code_of("{{ range 9999999999 }}{{ end }}", {.steps_max = 10'000}) == ErrorCode::timeout);
  CHECK(code_of("{{ untilStep 0 2000000000 1 }}", {.steps_max = 10'000}) == ErrorCode::timeout);
  CHECK(code_of("{{ $s := \"xx\" }}{{ range 99 }}{{ $s = cat $s $s }}{{ end }}", {.output_bytes_max = 10'000}) ==
        ErrorCode::too_large);
  CHECK(code_of("{{ repeat 2000000000 \"x\" }}", {.output_bytes_max = 10'000}) == ErrorCode::too_large);
  CHECK(code_of("{{ range 99999 }}xxxxx{{ end }}", {.output_bytes_max = 10'000}) == ErrorCode::too_large);
  CHECK(code_of("{{ $l := list 1 }}{{ range 99 }}{{ $l = concat $l $l }}{{ end }}", {.steps_max = 10'000}) ==
        ErrorCode::timeout);
}

TEST_CASE("recursion ends at its limit, on any thread") {
  std::string by_template, by_include;
  std::thread([&] {
    by_template = render("{{ define \"x\" }}{{ template \"x\" }}{{ end }}{{ template \"x\" }}");
    by_include = render("{{ define \"x\" }}{{ include \"x\" . }}{{ end }}{{ include \"x\" . }}");
  }).join();
  CHECK(by_template ==
        "template: t:1:28: executing \"x\" at <{{template \"x\"}}>: exceeded maximum template depth (100000)");
  CHECK(by_include.ends_with("rendering template has a nested reference name: x: unable to execute template"));
}

TEST_CASE("parentheses have a depth that is allowed") {
  const auto nested = [](std::size_t depth) {
    return "{{ " + std::string(depth, '(') + "1" + std::string(depth, ')') + " }}";
  };
  CHECK(render(nested(9'990)) == "= 1");
  CHECK(render(nested(10'010)) == "template: t:1: max expression depth exceeded");
}

TEST_CASE("structures within one another outgrow a thread's stack") {
  const auto repeated = [](std::size_t count, std::string_view text) {
    std::string out;
    while (count-- > 0) out += text;
    return out;
  };
  const auto nested = [&](std::string_view start, std::size_t depth) {
    return repeated(depth, start) + "x" + repeated(depth, "{{ end }}");
  };
  CHECK(render(nested("{{ if true }}", 9'990)) == "= x");
  CHECK(render(nested("{{ range list 1 }}", 9'990)) == "= x");
  CHECK(render("{{ if false }}" + repeated(9'000, "{{ else if false }}") + "{{ else }}x{{ end }}") == "= x");
  CHECK(render(nested("{{ if true }}", 10'010)) == "template: t:1: max expression depth exceeded");
}

TEST_CASE("lint lets required and fail pass") {
  CHECK(render("{{ required \"need\" .x }}{{ fail \"no\" }}|", "{}", {.lint = true}) == "= |");
  CHECK(render("{{ fail \"no\" }}").find("HELM_ERR_STARTnoHELM_ERR_END") != std::string::npos);
}

TEST_CASE("time comes from the clock that is given") {
  const FakeClock clock(Time(std::chrono::seconds(1'700'000'000)));
  Options options;
  options.clock = &clock;
  CHECK(render("{{ now.Unix }} {{ ago 1699999000 }} {{ now | unixEpoch }}", "{}", options) ==
        "= 1700000000 16m40s 1700000000");
}

TEST_CASE("one set is executed by several threads") {
  Set set = make_set();
  REQUIRE(
      set.parse("t", "{{ define \"d\" }}{{ .x | quote }}{{ end }}{{ range 50 }}{{ include \"d\" $ }}{{ end }}").ok());
  const auto document = json::parse(R"({"x":"a text that is longer than what stands in a value"})");
  std::vector<std::string> out(4);
  std::vector<std::thread> threads;
  for (std::string& text : out) {
    threads.emplace_back([&] {
      Execution execution(set, {});
      text = message_of(execution.run("t", Datum::from(*document)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : out) CHECK(text == out[0]);
  CHECK(out[0].starts_with("= \"a text"));
}

TEST_CASE("a text that was added is parsed when it is named, by a template or by its caller") {
  Set set = make_set();
  REQUIRE(
      set.parse("a", "{{ include \"late\" . }}{{ template \"late\" 2 }}{{ tpl \"{{ include `late` 3 }}\" . }}").ok());
  Execution execution(set, {});
  const auto add = [&](const char* name, const char* text) {
    execution.add_text(
        name, [&set, name, text = std::make_shared<const std::string>(text)] { return set.parse_apart(name, text); });
  };
  add("late", "<{{ . }}>");
  add("broken", "{{ if }}");
  CHECK(message_of(execution.run("late", Datum(0))) == "= <0>");
  CHECK(message_of(execution.run("a", Datum(1))) == "= <1><2><3>");
  CHECK(message_of(execution.run("late", Datum(4))) == "= <4>");
  CHECK(message_of(execution.run("broken", Datum(0))) == "template: broken:1: missing value for if");
  CHECK(message_of(execution.run("never", Datum(0))) ==
        "template: no template \"never\" associated with template \"gotpl\"");
}

TEST_CASE("call calls a function value") {
  constexpr Function kTwice = {"twice", "s", [](Call& call) -> Result<Datum> { return Datum(call.text(0)); }};
  Map::Entries entries;
  entries.emplace("f", Datum::of(Ref<Node>(new FunctionValue(kTwice)), kFunction));
  Set set = make_set();
  REQUIRE(set.parse("ok", "{{ call .f \"x\" }}").ok());
  REQUIRE(set.parse("bad", "{{ call .f 1 }}").ok());
  REQUIRE(set.parse("few", "{{ call .f }}").ok());
  Execution execution(set, {});
  const Datum data(make<Map>(std::move(entries)));
  CHECK(message_of(execution.run("ok", data)) == "= x");
  CHECK(message_of(execution.run("bad", data))
            .ends_with("error calling call: arg 0: value has type int; should be string"));
  CHECK(message_of(execution.run("few", data))
            .ends_with("error calling call: wrong number of args for .f: got 0 want 1"));
}
