// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/exposition/text.h"

#include <doctest/doctest.h>

#include <cmath>

namespace caisson::metrics {
namespace {

std::string error_of(std::string_view text) {
  const auto parsed = parse_text(text);
  return parsed.ok() ? "" : parsed.error().message;
}

}  // namespace

TEST_CASE("the text format gives samples, times and metadata") {
  const auto parsed = parse_text(
      "# HELP http_requests_total Requests \\\\ by\\ncode.\n# TYPE http_requests_total counter\n# a comment\n\n"
      "http_requests_total{method=\"post\",code=\"200\",} 1027 1395066363000\n"
      "  up 1\nx{path=\"C:\\\\a \\\"b\\\"\\n\"} +Inf\nnan NaN -5\n{\"odd.name\",a=\"b\"} 2e3");
  REQUIRE(parsed.ok());
  REQUIRE(parsed->samples.size() == 5);
  CHECK(parsed->samples[0].labels.str() == "{__name__=\"http_requests_total\", code=\"200\", method=\"post\"}");
  CHECK(parsed->samples[0].t == 1395066363000);
  CHECK_FALSE(parsed->samples[1].t.has_value());
  CHECK(parsed->samples[2].labels.get("path") == "C:\\a \"b\"\n");
  CHECK(std::isinf(parsed->samples[2].v));
  CHECK(parsed->samples[3].t == -5);
  CHECK(parsed->samples[4].labels.get("__name__") == "odd.name");
  REQUIRE(parsed->metadata.size() == 1);
  CHECK(parsed->metadata[0].type == "counter");
  CHECK(parsed->metadata[0].help == "Requests \\ by\ncode.");
}

TEST_CASE("OpenMetrics adds exemplars and seconds, and must end with EOF") {
  const auto parsed = parse_open_metrics(
      "# TYPE a counter\n# UNIT a seconds\na_total{x=\"y\"} 17 1520879607.789 # {trace_id=\"KOO5\"} 0.67 "
      "1520879607.5\n# EOF\n");
  REQUIRE(parsed.ok());
  CHECK(parsed->samples[0].t == 1520879607789);
  REQUIRE(parsed->samples[0].exemplar.has_value());
  CHECK(parsed->samples[0].exemplar->labels.get("trace_id") == "KOO5");
  CHECK(parsed->samples[0].exemplar->t == 1520879607500);
  CHECK_FALSE(parse_open_metrics("a 1\n").ok());
  CHECK_FALSE(parse_open_metrics("a 1\n# EOF\nb 1\n").ok());
  CHECK_FALSE(parse_open_metrics("\n# EOF\n").ok());
}

TEST_CASE("what is malformed is refused with its line") {
  CHECK(error_of("a 1\nb{x=1} 2\n") == "line 2: expected '\"'");
  CHECK(error_of("a{x=\"1\" y=\"2\"} 1") == "line 1: expected ',' or '}' behind a label");
  CHECK(error_of("a{x=\"1\",x=\"2\"} 1") == "line 1: label \"x\" stands twice");
  CHECK(error_of("a") == "line 1: not a value: \"\"");
  CHECK(error_of("a 1 2 3") == "line 1: unexpected \"3\" behind the sample");
  CHECK(error_of("a 0x1p-2 x") == "line 1: not a timestamp: \"x\"");
  CHECK(error_of("{x=\"y\"} 1") == "line 1: sample without a metric name");
  CHECK(error_of("a{x=\"1") == "line 1: unterminated label value");
  CHECK(error_of("a{x=\"\xff\"} 1") == "line 1: label value is not UTF-8");
  CHECK(error_of("# TYPE a wrong") == "line 1: unknown metric type \"wrong\"");
}

TEST_CASE("limits are named") {
  ExpositionLimits limits;
  limits.samples_max = 2;
  limits.labels_max = 2;
  CHECK(parse_text("a 1\nb 1\nc 1\n", limits).error().message == "line 3: more than 2 samples");
  CHECK(parse_text("a{x=\"1\",y=\"2\"} 1\n", limits).error().message == "line 1: sample has more than 2 labels");
}

}  // namespace caisson::metrics
