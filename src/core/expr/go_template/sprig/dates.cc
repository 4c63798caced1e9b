// SPDX-License-Identifier: Apache-2.0
// Sprig's dates. Follows date.go of Sprig 3.3. What is no date is the present, as there.
#include "core/base/clock.h"
#include "core/expr/go_template/numbers.h"
#include "core/expr/go_template/sprig/convert.h"
#include "core/expr/go_template/sprig/functions.h"
#include "core/expr/go_template/time_object.h"

namespace caisson::go_template::sprig {
namespace {

using calendar::format_go_time;
using calendar::GoTime;
using calendar::parse_go_time;
using calendar::TimeZone;
constexpr std::string_view kHtmlDate = "2006-01-02";

GoTime present(const Call& call) {
  return GoTime::from(call.execution.clock().now(), TimeZone::local());
}

GoTime time_or_now(const Call& call, const Datum& datum, bool takes_int32) {
  if (const GoTime* time = time_of(datum)) return *time;
  const bool is_number = datum.type() == &kInt64 || datum.type() == &kInt || (takes_int32 && datum.type() == &kInt32);
  if (is_number) return {datum.as_int(), 0, TimeZone::local()};
  return present(call);
}

std::string formatted(const Call& call, std::string_view layout, const Datum& datum, std::string_view zone) {
  auto there = TimeZone::load(zone);
  if (!there) there = TimeZone::utc();
  return format_go_time(time_or_now(call, datum, true).in(std::move(there)), layout);
}

// time.ParseDuration's complaint.
Error bad_duration(std::string_view text) {
  return invalid("time: invalid duration \"" + std::string(text) + "\"");
}

}  // namespace

Result<Datum> now(Call& call) {
  return time_datum(present(call));
}
Result<Datum> date(Call& call) {
  return Datum(formatted(call, call.text(0), call[1], "Local"));
}
Result<Datum> date_in_zone(Call& call) {
  return Datum(formatted(call, call.text(0), call[1], call.text(2)));
}
Result<Datum> html_date(Call& call) {
  return Datum(formatted(call, kHtmlDate, call[0], "Local"));
}
Result<Datum> html_date_in_zone(Call& call) {
  return Datum(formatted(call, kHtmlDate, call[0], call.text(1)));
}
Result<Datum> unix_epoch(Call& call) {
  return Datum(std::to_string(time_of(call[0])->seconds));
}

Result<Datum> must_date_modify(Call& call) {
  const auto by = parse_duration(call.text(0));
  if (!by.ok()) return bad_duration(call.text(0));
  return time_datum(time_of(call[1])->add(*by));
}

Result<Datum> date_modify(Call& call) {
  auto modified = must_date_modify(call);
  return modified.ok() ? std::move(modified) : call[1];
}

Result<Datum> must_to_date(Call& call) {
  return time_datum(TRY(parse_go_time(call.text(0), call.text(1), TimeZone::local())));
}

Result<Datum> to_date(Call& call) {
  auto parsed = must_to_date(call);
  return parsed.ok() ? std::move(parsed) : time_datum(GoTime::zero());
}

Result<Datum> ago(Call& call) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t nanos = present(call).since(time_or_now(call, call[0], false)).count();
  const std::int64_t rest = nanos % kSecond;
  std::int64_t rounded = nanos - rest;
  if (rest * 2 >= kSecond) rounded += kSecond;
  if (rest * 2 <= -kSecond) rounded -= kSecond;
  return Datum(format_duration(Duration(rounded)));
}

Result<Datum> duration(Call& call) {
  std::int64_t seconds = 0;
  if (call[0].type() == &kString) {
    const auto parsed = parse_int(call.text(0));
    seconds = parsed.error == NumberError::syntax ? 0 : parsed.value;
  } else if (call[0].type() == &kInt64) {
    seconds = call[0].as_int();
  }
  const auto nanos = static_cast<std::int64_t>(static_cast<std::uint64_t>(seconds) * 1'000'000'000ULL);
  return Datum(format_duration(Duration(nanos)));
}

Result<Datum> duration_round(Call& call) {
  std::int64_t nanos = 0;
  if (call[0].type() == &kString) {
    const auto parsed = parse_duration(call.text(0));
    if (parsed.ok()) nanos = parsed->count();
  } else if (call[0].type() == &kInt64) {
    nanos = call[0].as_int();
  } else if (const GoTime* time = time_of(call[0])) {
    nanos = present(call).since(*time).count();
  }
  struct Unit {
    std::uint64_t seconds;
    std::string_view name;
  };
  constexpr Unit kUnits[] = {{365 * 86'400, "y"}, {30 * 86'400, "mo"}, {86'400, "d"},
                             {3'600, "h"},        {60, "m"},           {1, "s"}};
  const auto magnitude = nanos < 0 ? ~static_cast<std::uint64_t>(nanos) + 1 : static_cast<std::uint64_t>(nanos);
  for (const Unit& unit : kUnits) {
    const std::uint64_t size = unit.seconds * 1'000'000'000ULL;
    if (magnitude > size) return Datum(std::to_string(magnitude / size) + std::string(unit.name));
  }
  return Datum("0s");
}

}  // namespace caisson::go_template::sprig
