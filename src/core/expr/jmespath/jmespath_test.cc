// SPDX-License-Identifier: Apache-2.0
// Kyverno's functions and what the compliance suite does not ask: missing keys, limits, kinds of error.
#include "core/expr/jmespath/jmespath.h"

#include <doctest/doctest.h>

#include "core/document/json.h"

namespace caisson::jmespath {
namespace {

Environment environment() {
  static const FakeClock clock;  // 2023-11-14T22:13:20Z
  Environment out;
  out.clock = &clock;
  out.random = [n = std::uint64_t{0}]() mutable { return n++; };
  return out;
}

std::string result(std::string_view text, std::string_view input = "{}") {
  const auto expression = Expression::compile(text);
  if (!expression.ok()) return "error " + std::string(error_kind(expression.error()));
  const auto value = expression->search(json::parse(input).value(), environment());
  return value.ok() ? json::write(*value) : "error " + std::string(error_kind(value.error()));
}

}  // namespace

TEST_CASE("Kyverno's functions give what Kyverno 1.19.1 gives") {
  const std::pair<const char*, const char*> cases[] = {
      {"add('500m', '1')", "\"1500m\""},
      {"add('1Gi', '512Mi')", "\"1536Mi\""},
      {"add('1h', '30m0s')", "\"1h30m0s\""},
      {"add('1h', '30m')", "error invalid-type"},
      {"add(`1`, `2.5`)", "3.5"},
      {"add('1Gi', `1`)", "error invalid-type"},
      {"subtract('1Gi', '1Gi')", "\"0\""},
      {"multiply('100m', `3`)", "\"300m\""},
      {"multiply(`2`, '90s')", "\"3m0s\""},
      {"multiply('1Gi', '1Gi')", "error invalid-type"},
      {"divide('1Gi', '512Mi')", "2"},
      {"divide('10', `4`)", "\"2\""},
      {"divide(`1`, `0`)", "error invalid-value"},
      {"modulo('10', '3')", "\"1\""},
      {"modulo(`7`, `-1`)", "0"},
      {"sum(['1Gi', '512Mi'])", "\"1536Mi\""},
      {"sum([])", "error invalid-type"},
      {"round(`3.14159`, `2`)", "3.14"},
      {"base64_encode('a')", "\"YQ==\""},
      {"base64_decode('YQ==')", "\"a\""},
      {"compare('a', 'b')", "-1"},
      {"equal_fold('Straße', 'STRAßE')", "true"},
      {"to_upper('grün')", "\"GRÜN\""},
      {"replace('aaa', 'a', 'b', `2`)", "\"bba\""},
      {"replace_all('aaa', 'a', 'b')", "\"bbb\""},
      {"split('a-b-c', '-')", "[\"a\",\"b\",\"c\"]"},
      {"split('', '-')", "[\"\"]"},
      {"split('abc', '')", "[\"a\",\"b\",\"c\"]"},
      {"trim('xaxx', 'x')", "\"a\""},
      {"trim_prefix('v1.2', 'v')", "\"1.2\""},
      {"truncate('grün', `3`)", "\"grü\""},
      {"regex_match('^a+$', 'aaa')", "true"},
      {"regex_match('(', 'a')", "error invalid-value"},
      {"regex_replace_all('([0-9])([0-9])', 'image1234', '${2}$1')", "\"image2143\""},
      {"regex_replace_all_literal('[0-9]', 'a1', '$1')", "\"a$1\""},
      {"pattern_match('a*c?', 'abbcd')", "true"},
      {"label_match({a: 'x'}, {a: 'x', b: 'y'})", "true"},
      {"to_boolean('TRUE')", "true"},
      {"to_boolean('yes')", "error runtime"},
      {"path_canonicalize('/a/../b//c/')", "\"/b/c\""},
      {"semver_compare('1.2.3', '>=1.2.0 <2.0.0')", "true"},
      {"semver_compare('1.2.3-rc.1', '>=1.2.3')", "false"},
      {"semver_compare('3.1.0', '<1.0.0 || 3.x')", "true"},
      {"parse_json('{\"a\": [1]}').a[0]", "1"},
      {"parse_yaml('a: [1, yes]').a", "[1,true]"},
      {"lookup({a: `1`}, 'a')", "1"},
      {"lookup(['x'], `5`)", "null"},
      {"items({b: `2`, a: `1`}, 'k', 'v')", "[{\"k\":\"a\",\"v\":1},{\"k\":\"b\",\"v\":2}]"},
      {"object_from_lists(['a', 'b'], [`1`])", "{\"a\":1,\"b\":null}"},
      {"zip(['a', 'b'], [`1`, `2`, `3`])", "[[\"a\",1],[\"b\",2]]"},
      {"image_normalize('nginx')", "\"docker.io/nginx:latest\""},
      {"image_normalize('localhost:5000/a/b@sha256:"
       "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
       "')",
       "\"localhost:5000/a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\""},
      {"image_normalize('Not An Image')", "error runtime"},
      {"is_external_url('http://10.1.2.3/x')", "false"},
      {"is_external_url('https://8.8.8.8')", "true"},
      {"is_external_url('https://example.com')", "error runtime"},
      {"sha256('a')", "\"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb\""},
      {"md5('a')", "\"0cc175b9c0f1b6a831c399e269772661\""},
      {"time_now_utc()", "\"2023-11-14T22:13:20Z\""},
      {"time_add('2023-01-12T12:37:56-05:00', '6h')", "\"2023-01-12T18:37:56-05:00\""},
      {"time_utc('2021-01-02T18:04:05-05:00')", "\"2021-01-02T23:04:05Z\""},
      {"time_parse('Mon Jan 02 2006 15:04:05 -0700', 'Fri Jun 22 2022 17:45:00 +0100')",
       "\"2022-06-22T17:45:00+01:00\""},
      {"time_parse('1', '0')", "\"1970-01-01T00:00:00Z\""},
      {"time_diff('2021-01-02T15:04:05-07:00', '2021-01-10T03:14:16-07:00')", "\"180h10m11s\""},
      {"time_since('', '2023-11-14T22:00:00Z', '')", "\"13m20s\""},
      {"time_to_cron('2022-04-11T03:14:05-07:00')", "\"14 3 11 4 1\""},
      {"time_truncate('2023-11-14T22:13:20Z', '1h')", "\"2023-11-14T22:00:00Z\""},
      {"time_between('2021-01-02T15:04:05Z', '2021-01-01T00:00:00Z', '2021-01-03T00:00:00Z')", "true"},
      {"time_add('yesterday', '1h')", "error runtime"},
      {"length(random('[a-z]{4}-(x|y)\\d'))", "7"},
      {"x509_decode('none')", "error runtime"},
      {"no_such(@)", "error unknown-function"},
      {"split('a')", "error invalid-arity"},
  };
  for (const auto& [expression, expected] : cases)
    CHECK_MESSAGE(result(expression) == expected, std::string(expression));
}

TEST_CASE("a key that is missing is told at the end of a path, and forgotten behind an alternative") {
  const Value input = json::parse("{\"a\": {}}").value();
  const auto found = [&](std::string_view text) {
    return Expression::compile(text)->find(input, {}).value().missing_key;
  };
  CHECK(found("a.b") == "b");
  CHECK(found("a.b.c") == "b");
  CHECK(!found("a.b || 'x'"));
  CHECK(!found("a.b[].c"));
  CHECK(!found("[a.b]"));
}

TEST_CASE("a filter behind a filtered projection filters the list, not each item") {
  CHECK(result("v[?p].name[?starts_with(@, 'k')] | [0]",
               "{\"v\": [{\"name\": \"a\", \"p\": 1}, {\"name\": \"kb\", \"p\": 1}]}") == "\"kb\"");
  CHECK(result("v[].n[?@ > `1`]", "{\"v\": [{\"n\": [1, 2]}, {\"n\": [3]}]}") == "[[2],[3]]");
}

TEST_CASE("what has no end is stopped: nesting, steps, long texts") {
  CHECK(result(std::string(5000, '[') + std::string(5000, ']')) == "error syntax");
  CHECK(result(std::string(70'000, 'a')) == "error syntax");
  Environment few = environment();
  few.steps_max = 10;
  const auto stopped = Expression::compile("[*].[a, b]")->search(json::parse("[1,2,3,4,5,6,7]").value(), few);
  REQUIRE(!stopped.ok());
  CHECK(stopped.error().code == ErrorCode::too_large);
  CHECK(result("random('([a-z]{1000}){1000}')") == "error runtime");
}

TEST_CASE("time and randomness are only what is handed in") {
  for (const char* text : {"time_now()", "random('a')"})
    CHECK(!Expression::compile(text)->search(Value(), Environment{}).ok());
}

TEST_CASE("the roots of an expression are the names that its paths begin with") {
  CHECK(Expression::compile("request.object.x || images.y")->roots() == std::vector<std::string>{"request", "images"});
  CHECK(Expression::compile("a[?b == 'x'].c | [0]")->roots() == std::vector<std::string>{"a"});
}

TEST_CASE("the community's grammar has variables, let and arithmetic; the others refuse them") {
  const Value input = json::parse(R"({"a": 7, "b": 2, "list": [1, 2, 3]})").value();
  const auto given = [&](std::string_view text, Dialect dialect = Dialect::community) -> std::string {
    const auto expression = Expression::compile(text, dialect);
    if (!expression.ok()) return "error " + std::string(error_kind(expression.error()));
    const auto found = expression->find(input, environment(), Value{{"x", 5}});
    return found.ok() ? json::write(found->value) : "error " + std::string(error_kind(found.error()));
  };
  const std::pair<const char*, const char*> cases[] = {
      {"$x", "5"},
      {"$.b", "2"},
      {"list[?@ > $.b]", "[3]"},
      {"a + b * $x", "17"},
      {"(a + b) * $x", "45"},
      {"a - b - $x", "0"},
      {"a-b", "5"},
      {"-a", "-7"},
      {"a / b", "3.5"},
      {"a // b", "3"},
      {"a % b", "1"},
      {"list[-1]", "3"},
      {"list[*] | length(@) * `2`", "6"},
      {"let $y = a, $z = b in $y + $z + $x", "14"},
      {"let $x = a in let $x = b in $x", "2"},
      {"list[?let $n = @ in $n == $.b]", "[2]"},
      {"let", "null"},
      {"$nobody", "error runtime"},
      {"(let $y = a in $y) + $y", "error runtime"},
      {"a / `0`", "error runtime"},
      {"a + list", "error invalid-type"},
      {"let $y = a", "error syntax"},
      {"let $ = a in b", "error syntax"},
      {"a +", "error syntax"},
  };
  for (const auto& [text, wanted] : cases) CHECK_MESSAGE(given(text) == wanted, text);
  for (const char* text : {"$x", "a + b", "a * b", "let $y = a in b"})
    CHECK_MESSAGE(given(text, Dialect::kyverno) == "error syntax", text);
}

}  // namespace caisson::jmespath
