// SPDX-License-Identifier: Apache-2.0
// Time comes in from outside, so that a test owns it. Times are RFC 3339 in API objects and std::chrono in code.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace caisson {

using Time = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;
using Duration = std::chrono::nanoseconds;

// Any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;            // wall clock
  virtual Duration monotonic() const = 0;  // since an arbitrary start; never goes back
};

Clock& system_clock();

// A clock that stands still until told. Any thread.
class FakeClock : public Clock {
 public:
  explicit FakeClock(Time start = Time(std::chrono::seconds(1'700'000'000)));
  ~FakeClock() override;
  Time now() const override;
  Duration monotonic() const override;
  void advance(Duration by);

 private:
  struct Impl;
  Impl* impl_;
};

std::string format_time(Time time);         // "2026-11-21T02:30:17Z": metav1.Time
std::string format_time_micros(Time time);  // "2026-11-21T02:30:17.123456Z": metav1.MicroTime
std::string format_time_nanos(Time time);   // nine digits
std::optional<Time> parse_time(std::string_view rfc3339);

Result<Duration> parse_duration(std::string_view text);  // Go's: "1h30m", "1.5s", "300ms"; bad_request otherwise
std::string format_duration(Duration duration);          // Go's String(): "1h30m0s", "1.5s"
std::string format_age(Duration age);                    // kubectl's: "5s", "3m20s", "4h", "12d"

}  // namespace caisson
