// SPDX-License-Identifier: Apache-2.0
// Expected values: apimachinery's resource.Quantity (v0.33).
#include <doctest/doctest.h>

#include "cluster/kube/quantity.h"

namespace caisson::kube {

TEST_CASE("quantities read in thousandths and in whole units") {
  struct Case {
    const char* text;
    std::int64_t milli, whole;
  };
  for (const Case& c :
       {Case{"0", 0, 0}, Case{"1", 1000, 1}, Case{"100m", 100, 1}, Case{"1.5", 1500, 2}, Case{"-1.5", -1500, -2},
        Case{"1Ki", 1'024'000, 1024}, Case{"1.5Gi", 1'610'612'736'000, 1'610'612'736}, Case{"2e3", 2'000'000, 2000},
        Case{"1E", INT64_MAX, 1'000'000'000'000'000'000}, Case{"1n", 1, 1}, Case{".5", 500, 1}, Case{"5.", 5000, 5},
        Case{"1e-3", 1, 1}, Case{"+7k", 7'000'000, 7000}, Case{"99999999999999999999", INT64_MAX, INT64_MAX},
        Case{"1000Ei", INT64_MAX, INT64_MAX}}) {
    CAPTURE(c.text);
    const auto milli = parse_quantity_milli(c.text);
    const auto whole = parse_quantity(c.text);
    REQUIRE(milli.ok());
    REQUIRE(whole.ok());
    CHECK_EQ(*milli, c.milli);
    CHECK_EQ(*whole, c.whole);
  }
}

TEST_CASE("what is no quantity is refused") {
  for (const char* text : {"", "x", "1x", "1.2.3", "--1", "1 ", "Gi", "1GiB", "1e", "1e+", ".", "1mm"}) {
    CAPTURE(text);
    const auto got = parse_quantity(text);
    REQUIRE_FALSE(got.ok());
    CHECK(got.error().code == ErrorCode::bad_request);
  }
}

TEST_CASE("quantities are written in their canonical form") {
  struct Case {
    const char* text;
    const char* want;
  };
  for (const Case& c : {Case{"0.5", "500m"}, Case{"1024Mi", "1Gi"}, Case{"1.5Gi", "1536Mi"}, Case{"1000", "1k"},
                        Case{"1000m", "1"}, Case{"2e3", "2e3"}, Case{"2000e0", "2e3"}, Case{"0.1Gi", "107374182400m"},
                        Case{"0Gi", "0"}, Case{"512Ki", "512Ki"}, Case{"1023Ki", "1023Ki"}, Case{"0.5Ki", "512"},
                        Case{"-1.5", "-1500m"}, Case{"12", "12"}, Case{"100M", "100M"}}) {
    CAPTURE(c.text);
    const auto got = canonical_quantity(c.text);
    REQUIRE(got.ok());
    CHECK_EQ(*got, c.want);
    const auto again = canonical_quantity(*got);
    REQUIRE(again.ok());
    CHECK_EQ(*again, *got);
  }
  CHECK_EQ(format_quantity_milli(100), "100m");
  CHECK_EQ(format_quantity_milli(2000), "2");
  CHECK_EQ(format_quantity_bytes(134217728), "128Mi");
  CHECK_EQ(format_quantity_bytes(1000), "1000");
}

}  // namespace caisson::kube
