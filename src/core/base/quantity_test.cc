// SPDX-License-Identifier: Apache-2.0
// Expected values: apimachinery's resource.Quantity (v0.33).
#include "core/base/quantity.h"

#include <doctest/doctest.h>

using namespace caisson;

namespace {

Quantity of(std::string_view text) {
  const auto quantity = Quantity::parse(text);
  REQUIRE_MESSAGE(quantity, text);
  return *quantity;
}

}  // namespace

TEST_CASE("quantities read in thousandths and in whole units") {
  struct Case {
    const char* text;
    std::int64_t milli, units;
  };
  for (const Case& c : {Case{"0", 0, 0},
                        Case{"1", 1000, 1},
                        Case{"100m", 100, 1},
                        Case{"1.5", 1500, 2},
                        Case{"-1.5", -1500, -2},
                        Case{"1Ki", 1'024'000, 1024},
                        Case{"1.5Gi", 1'610'612'736'000, 1'610'612'736},
                        Case{"2e3", 2'000'000, 2000},
                        Case{"1E", INT64_MAX, 1'000'000'000'000'000'000},
                        Case{"1n", 1, 1},
                        Case{".5", 500, 1},
                        Case{"5.", 5000, 5},
                        Case{"1e-3", 1, 1},
                        Case{"+7k", 7'000'000, 7000},
                        Case{"99999999999999999999", INT64_MAX, INT64_MAX},
                        Case{"1000Ei", INT64_MAX, INT64_MAX},
                        Case{"1e400", INT64_MAX, INT64_MAX},
                        Case{"1e-400", 1, 1},
                        Case{"0e400", 0, 0},
                        Case{"0.0000000000000000000000000000000001", 1, 1},
                        Case{"1.00000000000000000000000000000000001Ei", INT64_MAX, (std::int64_t{1} << 60) + 1}}) {
    CAPTURE(c.text);
    CHECK(of(c.text).milli() == c.milli);
    CHECK(of(c.text).units() == c.units);
  }
}

TEST_CASE("what is no quantity is refused, in apimachinery's words") {
  for (const char* text : {"", "x", "1x", "1.2.3", "--1", "1 ", "Gi", "1GiB", "1e", "1e+", ".", "1mm", "1Kb"}) {
    CAPTURE(text);
    CHECK(!Quantity::parse(text));
  }
  CHECK(Quantity::refusal("1mm").message == "unable to parse quantity's suffix");
  CHECK(Quantity::refusal("1x").message.starts_with("quantities must match the regular expression"));
}

TEST_CASE("quantities are written in their canonical form") {
  struct Case {
    const char* text;
    const char* want;
  };
  for (const Case& c : {Case{"0.5", "500m"}, Case{"1024Mi", "1Gi"}, Case{"1.5Gi", "1536Mi"}, Case{"1000", "1k"},
                        Case{"1000m", "1"}, Case{"2e3", "2e3"}, Case{"2000e0", "2e3"}, Case{"0.1Gi", "107374182400m"},
                        Case{"0Gi", "0"}, Case{"512Ki", "512Ki"}, Case{"1023Ki", "1023Ki"}, Case{"0.5Ki", "512"},
                        Case{"-1.5", "-1500m"}, Case{"12", "12"}, Case{"100M", "100M"}, Case{"1e3", "1e3"},
                        Case{"1024", "1024"}, Case{"1500u", "1500u"}, Case{"0.0000000001", "1n"}}) {
    CAPTURE(c.text);
    const std::string canonical = of(c.text).str();
    CHECK(canonical == c.want);
    CHECK(of(canonical).str() == canonical);
  }
  CHECK(Quantity::of_milli(100).str() == "100m");
  CHECK(Quantity::of_milli(2000).str() == "2");
  CHECK(Quantity::of_integer(134'217'728, Quantity::Form::binary_si).str() == "128Mi");
}

TEST_CASE("arithmetic is exact and keeps the form of what stands left") {
  CHECK(of("1Gi").plus(of("512Mi"))->str() == "1536Mi");
  CHECK(of("0").plus(of("1Ki"))->str() == "1Ki");
  CHECK(of("1").minus(of("100m"))->str() == "900m");
  CHECK(of("1Ti").times(of("1Ti")).has_value());
  CHECK(of("10").divided_by(of("3"))->str() == "3");
  CHECK(of("10.0").divided_by(of("3"))->str() == "3300m");
  CHECK(!of("1").divided_by(of("0")));
  CHECK(of("1Gi").compare(of("1024Mi")) == 0);
  CHECK(of("999m").compare(of("1")) < 0);
}

TEST_CASE("what is beyond the cap is known to be") {
  for (const char* text : {"99999999999999999999", "-10E", "1e400"}) CHECK_MESSAGE(of(text).is_capped(), text);
  for (const char* text : {"1", "9223372036854775806", "7E"}) CHECK_MESSAGE(!of(text).is_capped(), text);
}

TEST_CASE("only what is written whole and short counts as an integer") {
  for (const char* text : {"1", "1k", "1.5k", "1Gi", "1e3", "0"}) CHECK_MESSAGE(of(text).is_integer(), text);
  for (const char* text : {"1000m", "1.5", "1.5Gi", "1.0", "9999999999999999999"})
    CHECK_MESSAGE(!of(text).is_integer(), text);
  CHECK(of("1").plus(of("2"))->is_integer());
  CHECK(!of("1500m").plus(of("500m"))->is_integer());
}
