// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/promql/parser.h"

#include <doctest/doctest.h>

#include "observe/metrics/promql/series_description.h"

namespace caisson::metrics::promql {
namespace {

std::string error_of(std::string_view query) {
  const auto expr = parse(query);
  return expr.ok() ? "" : expr.error().message;
}

std::string printed(std::string_view query) {
  const auto expr = parse(query);
  return expr.ok() ? print(**expr) : expr.error().message;
}

}  // namespace

TEST_CASE("a query that does not parse is told with its place, in upstream's words") {
  const std::pair<const char*, const char*> cases[] = {
      {"", "unknown position: parse error: no expression found in input"},
      {"# nothing", "1:1: parse error: no expression found in input"},
      {"1+", "1:3: parse error: unexpected end of input"},
      {"*1", "1:1: parse error: unexpected <op:*>"},
      {"(1))", "1:4: parse error: unexpected right parenthesis ')'"},
      {"((1)", "1:5: parse error: unclosed left parenthesis"},
      {"foo{a=}", "1:7: parse error: unexpected \"}\" in label matching, expected string"},
      {"foo{a>1}", "1:6: parse error: unexpected character inside braces: '>'"},
      {"foo{", "1:5: parse error: unexpected end of input inside braces"},
      {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
      {"sum(", "1:5: parse error: unclosed left parenthesis"},
      {"sum()", "1:1: parse error: no arguments for aggregate expression provided"},
      {"topk(foo)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1"},
      {"sum by (a b) (c)", "1:11: parse error: unexpected identifier \"b\" in grouping opts, expected \",\" or \")\""},
      {"nofunc(a)", "1:1: parse error: unknown function with name \"nofunc\""},
      {"rate(foo)", "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector"},
      {"floor(1)", "1:7: parse error: expected type instant vector in call to function \"floor\", got scalar"},
      {"time(1)", "1:1: parse error: expected 0 argument(s) in call to \"time\", got 1"},
      {"foo[5m] offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"},
      {"foo offset",
       "1:11: parse error: unexpected end of input in offset, expected number, duration, step(), or range()"},
      {"1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
      {"foo + bool bar", "1:5: parse error: bool modifier can only be used on comparison operators"},
      {"foo and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
      {"foo == on(a) group_left(a) bar", "1:5: parse error: label \"a\" must not occur in ON and GROUP clause at once"},
      {"foo[5m] + 1", "1:1: parse error: binary expression must contain only scalar and instant vector types"},
      {"1[5m]", "1:2: parse error: ranges only allowed for vector selectors"},
      {"'a", "1:1: parse error: unterminated quoted string"},
  };
  for (const auto& [query, wanted] : cases) {
    CAPTURE(query);
    CHECK(error_of(query) == wanted);
  }
}

TEST_CASE("a query is printed in its normal form, and that parses to itself") {
  const std::pair<const char*, const char*> cases[] = {
      {"sum(rate(x_total[5m]))by(a,b)", "sum by (a, b) (rate(x_total[5m]))"},
      {"a+on(x)group_left(y)b*-c", "a + on (x) group_left (y) b * -c"},
      {"-2^2", "-2 ^ 2"},
      {"foo{b='1',a!~\"x.*\"}[90m:1h30m]offset-1w @ 1.5", "foo{a!~\"x.*\",b=\"1\"}[1h30m:1h30m] @ 1.500 offset -1w"},
      {"foo @ start()", "foo @ start()"},
      {"{\"my metric\",\"a.b\"=\"c\"}", "{\"a.b\"=\"c\",__name__=\"my metric\"}"},
      {"x == bool ignoring(a) y", "x == bool ignoring (a) y"},
      {"foo[5m+step()]", "foo[5m + step()]"},
      {"a + fill(1) b", "a + fill (1) b"},
      {"rate(a[5m] smoothed)", "rate(a[5m] smoothed)"},
      {"topk(5,a)", "topk(5, a)"},
  };
  for (const auto& [query, wanted] : cases) {
    CAPTURE(query);
    CHECK(printed(query) == wanted);
    CHECK(printed(wanted) == wanted);
  }
}

TEST_CASE("a long query is split over lines") {
  const auto expr = parse(
      "sum by (namespace) (rate(container_cpu_usage_seconds_total{namespace=~\"shop.*\"}[5m])) / sum by (namespace) "
      "(kube_quota)");
  REQUIRE(expr.ok());
  CHECK(pretty(**expr) ==
        "  sum by (namespace) (rate(container_cpu_usage_seconds_total{namespace=~\"shop.*\"}[5m]))\n/\n"
        "  sum by (namespace) (kube_quota)");
}

TEST_CASE("nesting and length have limits") {
  CHECK(error_of(std::string(5000, '(') + '1' + std::string(5000, ')')).find("nested too deeply") != std::string::npos);
  CHECK_FALSE(parse(std::string(2 << 20, '1')).ok());
  CHECK_FALSE(parse("a offset " + std::string(100'000, '-') + "1").ok());
  CHECK_FALSE(parse(std::string(100'000, '-') + "1").ok());
}

TEST_CASE("series of unit tests are read with repetitions, gaps and histograms") {
  const auto series =
      parse_series("up{job=\"x\", instance=\"a}b\"} 0+2x2 _ 5 stale -1x1 {{schema:1 count:3 sum:2 buckets:[1 2]}}");
  REQUIRE(series.ok());
  CHECK(series->labels.str() == "{__name__=\"up\", instance=\"a}b\", job=\"x\"}");
  REQUIRE(series->values.size() == 9);
  CHECK(series->values[2].v == 4);
  CHECK(series->values[3].omitted);
  CHECK(is_stale_nan(series->values[5].v));
  CHECK(series->values[7].v == -1);
  CHECK(series->values[8].h->positive.size() == 2);
  CHECK_FALSE(parse_series("up 1x99999999999").ok());
  CHECK_FALSE(parse_series("up {{schema:1").ok());
}

}  // namespace caisson::metrics::promql
