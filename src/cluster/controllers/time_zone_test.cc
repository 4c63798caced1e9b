// SPDX-License-Identifier: Apache-2.0
#include "cluster/controllers/cron.h"
#include "cluster/controllers/testing_objects.h"

namespace caisson::controllers {
namespace {

// A TZif file of version 2 with `transitions` (time, type) over two types, UTC+1 and UTC+2, and a POSIX rule at its
// end.
std::string tzif(const std::vector<std::pair<std::int64_t, int>>& transitions, const std::string& footer) {
  const auto number = [](std::int64_t value, int size) {
    std::string out;
    for (int i = size - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
    return out;
  };
  const auto header = [&](std::int64_t times, std::int64_t types, std::int64_t chars) {
    return "TZif2" + std::string(15, '\0') + number(0, 4) + number(0, 4) + number(0, 4) + number(times, 4) +
           number(types, 4) + number(chars, 4);
  };
  std::string out = header(0, 1, 4) + number(3600, 4) + std::string(2, '\0') + std::string("CET\0", 4);
  out += header(static_cast<std::int64_t>(transitions.size()), 2, 4);
  for (const auto& [time, type] : transitions) out += number(time, 8);
  for (const auto& [time, type] : transitions) out += static_cast<char>(type);
  for (const std::int64_t offset : {3600, 7200}) out += number(offset, 4) + std::string(2, '\0');
  return out + std::string("CET\0", 4) + "\n" + footer + "\n";
}

Time at(std::string_view text) {
  return parse_time(text).value();
}
constexpr const char* kBerlin = "CET-1CEST,M3.5.0,M10.5.0/3";

std::string next(const char* schedule, const TimeZone& zone, const char* after) {
  const auto found = CronSchedule::parse(schedule).value().next(at(after), &zone);
  return found ? format_time(*found) : "never";
}

}  // namespace

TEST_CASE("a time zone gives the offset of its last transition, and after all of them that of its rule") {
  const auto zone = TimeZone::parse(tzif({{at("2020-03-29T01:00:00Z").time_since_epoch().count() / 1'000'000'000, 1},
                                          {at("2020-10-25T01:00:00Z").time_since_epoch().count() / 1'000'000'000, 0}},
                                         kBerlin));
  REQUIRE(zone.ok());
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
  const auto zone = TimeZone::parse(tzif({}, "<+10>-10<+11>,M10.1.0,M4.1.0/3"));
  REQUIRE(zone.ok());
  // Without transitions the first type holds until the rule does.
  const auto later = TimeZone::parse(tzif({{0, 0}}, "<+10>-10<+11>,M10.1.0,M4.1.0/3"));
  REQUIRE(later.ok());
  CHECK(later->offset_at(at("2026-01-01T00:00:00Z")).count() == 11 * 3600);
  CHECK(later->offset_at(at("2026-07-01T00:00:00Z")).count() == 10 * 3600);
}

TEST_CASE("what is no time zone is refused") {
  CHECK_FALSE(TimeZone::parse("").ok());
  CHECK_FALSE(TimeZone::parse("TZif2").ok());
  const std::string whole = tzif({{0, 0}}, kBerlin);
  for (std::size_t size = 0; size < whole.size() - 30; ++size) CHECK_FALSE(TimeZone::parse(whole.substr(0, size)).ok());
  CHECK_FALSE(TimeZone::parse(tzif({{0, 7}}, kBerlin)).ok());
  CHECK_FALSE(TimeZone::parse(tzif({}, "CET-1CEST,M13.5.0,M10.5.0")).ok());
  for (const char* name : {"", "Nowhere/Land", "../../etc/passwd", "/etc/passwd"})
    CHECK_MESSAGE(TimeZone::load(name).error().code == ErrorCode::not_found, name);
}

TEST_CASE("a schedule follows the clock of its zone through changes of clocks") {
  const TimeZone zone = TimeZone::parse(tzif({{0, 0}}, kBerlin)).value();
  CHECK(next("0 9 * * *", zone, "2026-01-10T00:00:00Z") == "2026-01-10T08:00:00Z");
  CHECK(next("0 9 * * *", zone, "2026-07-10T00:00:00Z") == "2026-07-10T07:00:00Z");
  CHECK(next("0 0 1 * *", zone, "2026-06-15T00:00:00Z") == "2026-06-30T22:00:00Z");
  CHECK(next("30 2 * * *", zone, "2026-03-28T12:00:00Z") == "2026-03-30T00:30:00Z");  // 02:30 is left out on the 29th
  CHECK(next("30 2 * * *", zone, "2026-10-24T12:00:00Z") == "2026-10-25T00:30:00Z");  // and comes twice on 25 October
  CHECK(next("30 2 * * *", zone, "2026-10-25T00:30:00Z") == "2026-10-25T01:30:00Z");
  CHECK(next("0 0 31 2 *", zone, "2026-01-01T00:00:00Z") == "never");
}

}  // namespace caisson::controllers
