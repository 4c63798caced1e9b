// SPDX-License-Identifier: Apache-2.0
#include "core/document/yaml.h"

#include <doctest/doctest.h>

#include "core/document/generate_test.h"
#include "core/document/json.h"

namespace caisson::yaml {

TEST_CASE("plain scalars mean what go-yaml takes them for") {
  struct Case {
    std::string_view in, json;
  };
  const Case cases[] = {
      {"true", "true"},
      {"False", "false"},
      {"yes", "\"yes\""},
      {"on", "\"on\""},
      {"y", "\"y\""},
      {"~", "null"},
      {"", "null"},
      {"Null", "null"},
      {"nUll", "\"nUll\""},
      {"0777", "511"},
      {"0o17", "15"},
      {"0x1F", "31"},
      {"-0x1F", "-31"},
      {"0b101", "5"},
      {"1_000", "1000"},
      {"08", "8"},
      {"089", "89"},
      {"+12", "12"},
      {"1e3", "1000"},
      {"1.50", "1.5"},
      {".5", "0.5"},
      {"1.", "1"},
      {"1.2.3", "\"1.2.3\""},
      {"100m", "\"100m\""},
      {"2001-01-01", "\"2001-01-01\""},
      {"12:30:45", "\"12:30:45\""},
      {"_1", "\"_1\""},
      {"12345678901234567890", "12345678901234567000"},
      {"\"true\"", "\"true\""},
      {"!!str 1", "\"1\""},
      {"!!int '7'", "7"},
      {"!!float 1", "1"},
      {"!custom x", "\"x\""},
      {"=", "\"=\""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.in);
    const auto value = read("v: " + std::string(c.in));
    REQUIRE(value.ok());
    CHECK(json::write((*value)["v"]) == c.json);
  }
}

TEST_CASE("anchors, aliases and merge keys are resolved; own keys win") {
  const auto value = read("base: &b {a: 1, b: 2}\nother: &o {c: 3}\nboth:\n  <<: [*b, *o]\n  a: 9\nsame: *b\n");
  REQUIRE(value.ok());
  CHECK(json::write((*value)["both"]) == R"({"a":9,"b":2,"c":3})");
  CHECK((*value)["same"].shares_with((*value)["base"]));
}

TEST_CASE("a bracket may close in the key's own column, as people write and go-yaml reads") {
  const auto value = read("a: [\n  1,\n  2\n]\nb: {\n  c: d\n}\n");
  REQUIRE(value.ok());
  CHECK(json::write(*value) == R"({"a":[1,2],"b":{"c":"d"}})");
}

TEST_CASE("errors name file, line and column") {
  struct Case {
    std::string_view in, error;
  };
  const Case cases[] = {
      {"a: 1\n b: 2\n", "f.yaml: line 2, column 3: a map's first key must be on one line"},
      {"a: b: c\n", "f.yaml: line 1, column 5: a map's value is not allowed here; is the text to be quoted?"},
      {"a:\n\tb: 1\n", "f.yaml: line 2, column 2: a tab where an indentation is expected"},
      {"a: [1, 2\n", "f.yaml: line 2, column 1: a list in brackets that is not closed"},
      {"a: 'x\n", "f.yaml: line 1, column 4: quotes that are not closed"},
      {"a: 1\na: 2\n", "f.yaml: line 2, column 1: the key \"a\" is already defined in this map"},
      {"a: *x\n", "f.yaml: line 1, column 4: unknown anchor \"x\""},
      {"a: @x\n", "f.yaml: line 1, column 4: a character that no value can begin with"},
      {"? [a]\n: b\n", "f.yaml: line 1, column 3: a map's key must be a scalar: [\"a\"]"},
      {"a: \"\\q\"\n", "f.yaml: line 1, column 6: unknown escape in a quoted string"},
      {"- a\nb: c\n", "f.yaml: line 2, column 1: expected '-' of the list's next item"},
      {"a: \x01\n", "f.yaml: line 1, column 4: a control character, which YAML does not allow"},
      {"a: \xff\n", "f.yaml: line 1, column 4: invalid UTF-8"},
      {"<<: 3\n", "f.yaml: line 1, column 5: a merge key needs a map or a list of maps as its value"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.in);
    const auto value = read_all(c.in, {.name = "f.yaml"});
    REQUIRE_FALSE(value.ok());
    CHECK(value.error().message == c.error);
  }
}

TEST_CASE("line ends and byte order marks of every kind read as one, and positions count what was read") {
  struct Case {
    std::string_view in, json;
  };
  const Case cases[] = {
      {"a: 1\r\nb: 2\r\n", R"({"a":1,"b":2})"},
      {"a: 1\rb: 2\r", R"({"a":1,"b":2})"},
      {"a: |\r\n  x\r  y\n", R"({"a":"x\ny\n"})"},
      {"\xEF\xBB\xBF"
       "a: 1\n",
       R"({"a":1})"},
      {"\xEF\xBB\xBF\xEF\xBB\xBF"
       "a: 1\n",
       R"({"a":1})"},
      {"a: 1\r\xEF\xBB\xBF"
       "b: 2\n",
       R"({"a":1,"b":2})"},
      {"a: x\xEF\xBB\xBF\n", "{\"a\":\"x\xEF\xBB\xBF\"}"},
      {"a: 한글 # 끝\r\nb: é\n", R"({"a":"한글","b":"é"})"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.in);
    const auto value = read(c.in);
    REQUIRE_MESSAGE(value.ok(), value.error().message);
    CHECK(json::write(*value) == c.json);
  }
  CHECK(read("a: 1\r\nb: \x01\n").error().message.starts_with("line 2, column 4: a control character"));
  CHECK(read("a: 1\rb: @x\r").error().message.starts_with("line 2, column 4: a character that no value"));
}

TEST_CASE("what may not stand in a text is found wherever it is") {
  // The text is looked at in blocks: every place in and around one counts.
  for (std::size_t before = 0; before < 200; ++before) {
    const std::string good = "# " + std::string(before, 'x');
    CAPTURE(before);
    CHECK(read(good + "\n").ok());
    for (const char* bad : {"\x01", "\x7f", "\xff", "\xC3"}) {
      const auto refused = read(good + bad + "\n");
      REQUIRE_FALSE(refused.ok());
      CHECK(refused.error().message.starts_with("line 1, column " + std::to_string(before + 3) + ": "));
    }
    CHECK(json::write(*read(good + "\ra: 1\n")) == R"({"a":1})");
  }
}

TEST_CASE("a small text cannot become a large document") {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string from = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + from;
    for (int n = 0; n < 9; ++n) bomb += "," + from;
    bomb += "]\n";
  }
  CHECK(read(bomb).error().message.find("expands to too many nodes") != std::string::npos);
  CHECK_FALSE(read(std::string(1000, '[')).ok());
  CHECK_FALSE(read("a: " + std::string(100'000, '{')).ok());
  std::string nested;
  for (int i = 0; i < 500; ++i) nested += "- ";
  CHECK_FALSE(read(nested).ok());
}

TEST_CASE("strings are quoted as go-yaml v2 quotes them") {
  struct Case {
    std::string_view text, yaml;
  };
  const Case cases[] = {
      {"plain", "plain"},
      {"", "\"\""},
      {"yes", "\"yes\""},
      {"on", "\"on\""},
      {"y", "\"y\""},
      {"true", "\"true\""},
      {"null", "\"null\""},
      {"~", "\"~\""},
      {"0x1", "\"0x1\""},
      {"1e3", "\"1e3\""},
      {"0777", "\"0777\""},
      {"1.0", "\"1.0\""},
      {".inf", "\".inf\""},
      {"2001-01-01", "\"2001-01-01\""},
      {"12:30:45", "\"12:30:45\""},
      {" lead", "' lead'"},
      {"trail ", "'trail '"},
      {"a: b", "'a: b'"},
      {"a #b", "'a #b'"},
      {"a#b", "a#b"},
      {"a:b", "a:b"},
      {"- a", "'- a'"},
      {"-a", "-a"},
      {"*a", "'*a'"},
      {"@a", "'@a'"},
      {"it's", "it's"},
      {"'q'", "'''q'''"},
      {"\"q\"", "'\"q\"'"},
      {"{a}", "'{a}'"},
      {"a,b", "a,b"},
      {"a\tb", "\"a\\tb\""},
      {"\\", "\\"},
      {"한글", "한글"},
      {"😀", "\"\\U0001F600\""},
      {"a:", "'a:'"},
      {"--- a", "'--- a'"},
      {"a\nb", "|-\n  a\n  b"},
      {"a\nb\n", "|\n  a\n  b"},
      {"a\n\n", "|+\n  a\n"},
      {" a\nb\n", "|2\n   a\n  b"},
      {"a \nb", "\"a \\nb\""},
      {"a\nb ", "\"a\\nb \""},
      {"1.2.3", "1.2.3"},
      {"100m", "100m"},
      {"=", "="},
      {"!t", "'!t'"},
      {"%", "'%'"},
      {"?", "'?'"},
      {"?a", "?a"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(write(Value{{"v", Value(c.text)}}) == "v: " + std::string(c.yaml) + "\n");
  }
}

TEST_CASE("maps and lists are laid out as sigs.k8s.io/yaml does") {
  const Value value = *json::parse(
      R"({"b":[1,{"x":1,"z":[]},[2,[3]],{}],"a":{"c":null,"d":{}},"e":1e21,"f":"m\nn\n","g":[{"h":"i\nj"}]})");
  CHECK(write(value) ==
        "b:\n- 1\n- x: 1\n  z: []\n- - 2\n  - - 3\n- {}\na:\n  c: null\n  d: {}\ne: 1e+21\nf: |\n  m\n  n\ng:\n- h: "
        "|-\n    i\n    j\n");
  CHECK(write(value["b"], {.indent_sequences = true}) == "- 1\n- x: 1\n  z: []\n- - 2\n  - - 3\n- {}\n");
  CHECK(write(Value{{"a", value["b"]}}, {.indent_sequences = true}).starts_with("a:\n  - 1\n  - x: 1\n    z: []\n"));
  CHECK(write(Value("x")) == "x\n");
}

TEST_CASE("keys are sorted with numbers by size and letters last") {
  const Value value = *json::parse(R"({"a10":1,"a2":2,"b":3,"B":4,"a-b":5,"ab":6,"1":7,"a":8})");
  CHECK(write(value, {.sort_keys = true}) == "\"1\": 7\nB: 4\na: 8\na-b: 5\na2: 2\na10: 1\nab: 6\nb: 3\n");
}

TEST_CASE("a long line is broken at the next space") {
  const std::string words =
      "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen";
  CHECK(write(Value{{"k", Value(words)}}) ==
        "k: one two three four five six seven eight nine ten eleven twelve thirteen fourteen\n  fifteen sixteen\n");
  CHECK(write(Value{{"k", Value(words)}}, {.line_width = 0}) == "k: " + words + "\n");
}

TEST_CASE("read(write(x)) is x for generated documents, in every style") {
  const std::uint64_t seed = document::generate::seed();
  MESSAGE("seed " << seed);
  document::generate::Source source(seed);
  for (int i = 0; i < 3000; ++i) {
    const Value value = source.value(4);
    const std::string text =
        write(value, {.sort_keys = i % 2 == 0, .indent_sequences = i % 3 == 0, .line_width = i % 5 == 0 ? 0 : 80});
    const auto again = read(text);
    CAPTURE(text);
    REQUIRE_MESSAGE(again.ok(), again.error().message);
    REQUIRE(json::write(*again, {.sort_keys = true}) == json::write(value, {.sort_keys = true}));
  }
}

}  // namespace caisson::yaml
