// SPDX-License-Identifier: Apache-2.0
#include "core/document/json.h"

#include <doctest/doctest.h>

#include "core/document/generate_test.h"

namespace caisson::json {

TEST_CASE("documents are read and written again") {
  struct Case {
    std::string_view in, out;
  };
  const Case cases[] = {
      {" { } ", "{}"},
      {"[1, -2,3.5,1e3,1E-7,1e21, -0, 0.1]", "[1,-2,3.5,1000,1e-7,1e+21,0,0.1]"},
      {R"({"a":[true,false,null,"x"]})", R"({"a":[true,false,null,"x"]})"},
      {R"("\u00e9\ud83d\ude00\n\/\"\\\b\f\r\t\u0001")", "\"é😀\\n/\\\"\\\\\\b\\f\\r\\t\\u0001\""},
      {R"("\ud800x\udc00")", "\"\xEF\xBF\xBDx\xEF\xBF\xBD\""},
      {"9223372036854775807", "9223372036854775807"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"12345678901234567890", "12345678901234567000"},
      {R"({"a":1,"b":2,"a":3})", R"({"a":3,"b":2})"},
      {"\"\xE2\x80\xA8\"", R"("\u2028")"},
      {"1e-400", "0"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.in);
    const auto value = parse(c.in);
    REQUIRE(value.ok());
    CHECK(write(*value) == c.out);
  }
}

TEST_CASE("what is not JSON is refused with its place") {
  struct Case {
    std::string_view in, error;
  };
  const Case cases[] = {
      {"", "line 1, column 1: unexpected end"},
      {"{\n  \"a\": 1\n  \"b\": 2}", "line 3, column 3: expected ',' or '}' after a member"},
      {"[1,]", "line 1, column 4: unexpected character where a value was expected"},
      {"{\"a\":1,}", "line 1, column 8: expected a member's name in quotes"},
      {"{'a':1}", "line 1, column 2: expected a member's name in quotes"},
      {"01", "line 1, column 2: a number with a leading zero"},
      {"+1", "line 1, column 1: unexpected character where a value was expected"},
      {"1.", "line 1, column 3: a number without digits after its point"},
      {"-", "line 1, column 2: a number without digits"},
      {"1e999", "line 1, column 6: a number out of range"},
      {"nul", "line 1, column 1: unexpected character where a value was expected"},
      {"\"a\nb\"", "line 1, column 3: a control character in a string must be escaped"},
      {"\"\xff\"", "line 1, column 2: invalid UTF-8 in a string"},
      {"\"\xed\xa0\x80\"", "line 1, column 2: invalid UTF-8 in a string"},
      {"\"\\x\"", "line 1, column 3: unknown escape in a string"},
      {"\"\\u12g4\"", "line 1, column 4: \\u must be followed by four hexadecimal digits"},
      {"\"abc", "line 1, column 5: a string without its closing quote"},
      {"{} {}", "line 1, column 4: unexpected text after the document"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.in);
    const auto value = parse(c.in);
    REQUIRE_FALSE(value.ok());
    CHECK(value.error().message == c.error);
  }
}

TEST_CASE("depth and size have limits") {
  CHECK(parse(std::string(200, '[') + std::string(200, ']')).ok());
  CHECK_FALSE(parse(std::string(201, '[') + std::string(201, ']')).ok());
  CHECK_FALSE(parse(std::string(100'000, '[')).ok());
  CHECK(parse("[1,2,3]", {.size_bytes_max = 3}).error().code == ErrorCode::too_large);
}

TEST_CASE("indentation, sorted keys and HTML escapes are as Go writes them") {
  const Value value = *parse(R"({"b":[1,{}],"a":"<&>","c":[]})");
  CHECK(write(value, {.indent = 2, .escape_html = true, .sort_keys = true}) ==
        "{\n  \"a\": \"\\u003c\\u0026\\u003e\",\n  \"b\": [\n    1,\n    {}\n  ],\n  \"c\": []\n}");
}

TEST_CASE("parse(write(x)) is x for generated documents") {
  const std::uint64_t seed = document::generate::seed();
  MESSAGE("seed " << seed);
  document::generate::Source source(seed);
  for (int i = 0; i < 2000; ++i) {
    const Value value = source.value(4);
    const auto again = parse(write(value, {.indent = i % 3}));
    REQUIRE(again.ok());
    REQUIRE(*again == value);
  }
}

TEST_CASE("a text is appended behind what is there, however much of it must be escaped") {
  std::string plain, escaped;
  for (int i = 0; i < 400; ++i) {
    plain += "a<b\"\n\xC3\xA9\xE2\x80\xA8\xFF";
    escaped += "a<b\\\"\\n\xC3\xA9\\u2028\\ufffd";
    std::string out = "there: ";
    out.reserve(i % 2 == 0 ? 100'000 : 0);
    json::append_string(out, plain);
    json::append(out, Value(i));
    REQUIRE(out == "there: \"" + escaped + "\"" + std::to_string(i));
  }
  for (int c = 0; c < 0x80; ++c) {
    const std::string text(3, static_cast<char>(c));
    CHECK(json::parse(json::write(Value(text))).value().as_string() == text);
    CHECK(json::parse(json::write(Value(text), {.escape_html = true})).value().as_string() == text);
  }
}

}  // namespace caisson::json
