// SPDX-License-Identifier: Apache-2.0
#include "core/calendar/time_zone.h"

#include <doctest/doctest.h>

#include "core/calendar/go_time.h"
#include "core/calendar/tzif_test.h"

namespace caisson::calendar {
namespace {

using testing::kBerlin;
using testing::tzif;

Time at(std::string_view text) {
  return parse_time(text).value();
}

}  // namespace

TEST_CASE("a time zone gives the offset of its last transition, and after all of them that of its rule") {
  const auto zone =
      TimeZone::parse("there", tzif({{at("2020-03-29T01:00:00Z").time_since_epoch().count() / 1'000'000'000, 1},
                                     {at("2020-10-25T01:00:00Z").time_since_epoch().count() / 1'000'000'000, 0}},
                                    kBerlin));
  REQUIRE(zone);
  const auto hours = [&](const char* time) { return zone->offset_at(at(time)).count() / 3600; };
  CHECK(hours("2020-01-01T00:00:00Z") == 1);
  CHECK(hours("2020-03-29T00:59:59Z") == 1);
  CHECK(hours("2020-03-29T01:00:00Z") == 2);
  CHECK(hours("2020-12-01T00:00:00Z") == 1);
  CHECK(hours("2026-03-29T00:59:59Z") == 1);  // the rule's
  CHECK(hours("2026-03-29T01:00:00Z") == 2);
  CHECK(hours("2026-10-25T00:59:59Z") == 2);
  CHECK(hours("2026-10-25T01:00:00Z") == 1);
}

TEST_CASE("south of the equator summer spans the turn of the year") {
  const auto zone = TimeZone::parse("there", tzif({}, "<+10>-10<+11>,M10.1.0,M4.1.0/3"));
  REQUIRE(zone);
  // Without transitions the first type holds until the rule does.
  const auto later = TimeZone::parse("there", tzif({{0, 0}}, "<+10>-10<+11>,M10.1.0,M4.1.0/3"));
  REQUIRE(later);
  CHECK(later->offset_at(at("2026-01-01T00:00:00Z")).count() == 11 * 3600);
  CHECK(later->offset_at(at("2026-07-01T00:00:00Z")).count() == 10 * 3600);
}

TEST_CASE("what is no time zone is refused") {
  CHECK_FALSE(TimeZone::parse("none", ""));
  CHECK_FALSE(TimeZone::parse("none", "TZif2"));
  const std::string whole = tzif({{0, 0}}, kBerlin);
  for (std::size_t size = 0; size < whole.size() - 30; ++size)
    CHECK_FALSE(TimeZone::parse("cut", whole.substr(0, size)));
  CHECK_FALSE(TimeZone::parse("there", tzif({{0, 7}}, kBerlin)));
  CHECK_FALSE(TimeZone::parse("there", tzif({}, "CET-1CEST,M13.5.0,M10.5.0")));
  for (const std::string name : {"Nowhere/Land", "Europe", "../../etc/passwd", "/etc/passwd"})
    CHECK_MESSAGE(!TimeZone::load(name), name);
}

TEST_CASE("a time is read and written by a layout of Go") {
  struct Case {
    const char *layout, *text, *rfc3339;
  };
  for (const Case& it : {
           Case{"Jan 2, 2006 at 3:04pm (MST)", "Feb 3, 2013 at 7:54pm (UTC)", "2013-02-03T19:54:00Z"},
           Case{"2006-01-02T15:04:05Z07:00", "2024-02-29T23:59:59.5+09:00", "2024-02-29T23:59:59+09:00"},
           Case{"Mon, 02 Jan 2006 15:04:05 -0700", "Tue, 01 Jan 1895 00:00:00 -0330", "1895-01-01T00:00:00-03:30"},
           Case{"2006-002", "2024-060", "2024-02-29T00:00:00Z"},
       }) {
    const auto time = parse_go_time(it.layout, it.text, TimeZone::utc());
    REQUIRE_MESSAGE(time.ok(), std::string(it.text));
    CHECK(format_go_time(*time, kRfc3339) == it.rfc3339);
  }
}

TEST_CASE("a text that does not fit its layout is refused in Go's words") {
  const auto error = [](const char* text) {
    return parse_go_time("2006-01-02", text, TimeZone::utc()).error().message;
  };
  CHECK(error("2024-02-30") == "parsing time \"2024-02-30\": day out of range");
  CHECK(error("2024/02/03") == "parsing time \"2024/02/03\" as \"2006-01-02\": cannot parse \"/02/03\" as \"-\"");
  CHECK(error("2024-02-03Z") == "parsing time \"2024-02-03Z\": extra text: \"Z\"");
}

}  // namespace caisson::calendar
