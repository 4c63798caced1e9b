// SPDX-License-Identifier: Apache-2.0
// time.Time, time.Duration, time.Month and time.Weekday as templates see them.
#include "core/expr/go_template/time_object.h"

#include <cmath>

#include "core/calendar/civil.h"
#include "core/expr/go_template/function.h"

namespace caisson::go_template {
namespace {

using calendar::ClockFace;
using calendar::days_from_civil;
using calendar::face_of;
using calendar::format_go_time;
using calendar::GoTime;
using calendar::TimeZone;

class TimeObject : public Object {
 public:
  explicit TimeObject(GoTime time) : time_(std::move(time)) {}
  const Type& type() const override;
  Result<Value> to_value() const override {
    return Value(format_go_time(time_, "2006-01-02T15:04:05.999999999Z07:00"));
  }
  bool equals(const Object& other) const override {
    const auto& that = static_cast<const TimeObject&>(other).time_;
    return time_.seconds == that.seconds && time_.nanos == that.nanos && time_.zone->name() == that.zone->name();
  }
  const GoTime& time() const { return time_; }

 private:
  const GoTime time_;
};

const GoTime& receiver(const Call& call) {
  return *time_of(*call.receiver);
}
const GoTime& other(const Call& call) {
  return *time_of(call[0]);
}  // the letter 't' says that it is a time

std::string duration_text(const Datum& datum) {
  return format_duration(Duration(datum.as_int()));
}
std::string month_text(const Datum& datum) {
  const std::int64_t month = datum.as_int();
  if (month < 1 || month > 12) return "%!Month(" + std::to_string(month) + ")";
  return std::string(calendar::month_name(static_cast<int>(month)));
}
std::string weekday_text(const Datum& datum) {
  return std::string(calendar::weekday_name(static_cast<int>(datum.as_int())));
}

Result<Datum> seconds(Call& call) {
  return Datum(static_cast<double>(call.receiver->as_int()) / 1e9);
}
Result<Datum> minutes(Call& call) {
  return Datum(static_cast<double>(call.receiver->as_int()) / 6e10);
}
Result<Datum> hours(Call& call) {
  return Datum(static_cast<double>(call.receiver->as_int()) / 3.6e12);
}
Result<Datum> milliseconds(Call& call) {
  return Datum(call.receiver->as_int() / 1'000'000);
}
Result<Datum> microseconds(Call& call) {
  return Datum(call.receiver->as_int() / 1'000);
}
Result<Datum> nanoseconds(Call& call) {
  return Datum(call.receiver->as_int());
}
Result<Datum> text_of(Call& call) {
  return Datum(call.receiver->type()->text(*call.receiver));
}

constexpr Method kDurationMethods[] = {
    {"Hours", "", hours},     {"Microseconds", "", microseconds}, {"Milliseconds", "", milliseconds},
    {"Minutes", "", minutes}, {"Nanoseconds", "", nanoseconds},   {"Seconds", "", seconds},
    {"String", "", text_of},
};
constexpr Method kTextMethods[] = {{"String", "", text_of}};
constinit const Type kDuration{Kind::int64, "time.Duration", nullptr, kDurationMethods, duration_text};
constinit const Type kMonth{Kind::integer, "time.Month", nullptr, kTextMethods, month_text};
constinit const Type kWeekday{Kind::integer, "time.Weekday", nullptr, kTextMethods, weekday_text};

Datum number_of(const Type& type, std::int64_t number) {
  return Datum::scalar(type, Value(static_cast<long long>(number)));
}

Result<Datum> format(Call& call) {
  return Datum(format_go_time(receiver(call), call.text(0)));
}
Result<Datum> unix_seconds(Call& call) {
  return Datum(receiver(call).seconds);
}
Result<Datum> unix_millis(Call& call) {
  return Datum(receiver(call).seconds * 1'000 + receiver(call).nanos / 1'000'000);
}
Result<Datum> unix_micros(Call& call) {
  return Datum(receiver(call).seconds * 1'000'000 + receiver(call).nanos / 1'000);
}
Result<Datum> unix_nanos(Call& call) {
  return Datum(receiver(call).seconds * 1'000'000'000 + receiver(call).nanos);
}
Result<Datum> year(Call& call) {
  return Datum::integer(face_of(receiver(call)).year);
}
Result<Datum> month(Call& call) {
  return number_of(kMonth, face_of(receiver(call)).month);
}
Result<Datum> day(Call& call) {
  return Datum::integer(face_of(receiver(call)).day);
}
Result<Datum> hour(Call& call) {
  return Datum::integer(face_of(receiver(call)).hour);
}
Result<Datum> minute(Call& call) {
  return Datum::integer(face_of(receiver(call)).minute);
}
Result<Datum> second(Call& call) {
  return Datum::integer(face_of(receiver(call)).second);
}
Result<Datum> nanosecond(Call& call) {
  return Datum::integer(receiver(call).nanos);
}
Result<Datum> weekday(Call& call) {
  return number_of(kWeekday, face_of(receiver(call)).weekday);
}
Result<Datum> year_day(Call& call) {
  return Datum::integer(face_of(receiver(call)).year_day);
}
Result<Datum> utc(Call& call) {
  return time_datum(receiver(call).in(TimeZone::utc()));
}
Result<Datum> local(Call& call) {
  return time_datum(receiver(call).in(TimeZone::local()));
}
Result<Datum> is_zero(Call& call) {
  return Datum(receiver(call).seconds == GoTime::zero().seconds && receiver(call).nanos == 0);
}

Result<Datum> before(Call& call) {
  return Datum(receiver(call) < other(call));
}
Result<Datum> after(Call& call) {
  return Datum(other(call) < receiver(call));
}
Result<Datum> equal(Call& call) {
  return Datum(!(receiver(call) < other(call)) && !(other(call) < receiver(call)));
}
Result<Datum> sub(Call& call) {
  return number_of(kDuration, receiver(call).since(other(call)).count());
}

Result<Datum> add_date(Call& call) {
  const GoTime& from = receiver(call);
  const ClockFace face = face_of(from);
  const std::int64_t days =
      days_from_civil(face.year + call[0].as_int(), face.month + call[1].as_int(), 1) + face.day - 1 + call[2].as_int();
  const std::int64_t of_day = face.hour * 3600 + face.minute * 60 + face.second;
  return time_datum({from.zone->from_local(days * 86'400 + of_day), from.nanos, from.zone});
}

std::string time_text(const Datum& datum) {
  return format_go_time(*time_of(datum), "2006-01-02 15:04:05.999999999 -0700 MST");
}

constexpr Method kTimeMethods[] = {
    {"AddDate", "iii", add_date},
    {"After", "t", after},
    {"Before", "t", before},
    {"Day", "", day},
    {"Equal", "t", equal},
    {"Format", "s", format},
    {"Hour", "", hour},
    {"IsZero", "", is_zero},
    {"Local", "", local},
    {"Minute", "", minute},
    {"Month", "", month},
    {"Nanosecond", "", nanosecond},
    {"Second", "", second},
    {"String", "", text_of},
    {"Sub", "t", sub},
    {"UTC", "", utc},
    {"Unix", "", unix_seconds},
    {"UnixMicro", "", unix_micros},
    {"UnixMilli", "", unix_millis},
    {"UnixNano", "", unix_nanos},
    {"Weekday", "", weekday},
    {"Year", "", year},
    {"YearDay", "", year_day},
};
constinit const Type kTime{Kind::structure, "time.Time", nullptr, kTimeMethods, time_text};

const Type& TimeObject::type() const {
  return kTime;
}

}  // namespace

Datum time_datum(GoTime time) {
  return Datum(Ref<Object>(new TimeObject(std::move(time))));
}

const GoTime* time_of(const Datum& datum) {
  return datum.type() == &kTime ? &static_cast<const TimeObject&>(*datum.as_object()).time() : nullptr;
}

}  // namespace caisson::go_template
