// SPDX-License-Identifier: Apache-2.0
#include "observe/metrics/api/parameters.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "core/document/utf8.h"
#include "observe/metrics/model/format.h"
#include "observe/metrics/promql/parser.h"

namespace caisson::metrics {
namespace {

// How Go writes the first and the last time that fit, whose years no parser reads.
constexpr std::string_view kFirstTime = "-292273086-05-16T16:47:06Z", kLastTime = "292277025-08-18T07:12:54.999999999Z";

bool matches_nothing_only(const std::vector<Matcher>& matchers) {
  return std::all_of(matchers.begin(), matchers.end(), [](const Matcher& m) { return m.matches(""); });
}

}  // namespace

Result<std::int64_t> parse_api_time(std::string_view text) {
  const auto seconds = parse_float(text);
  if (seconds && std::isfinite(*seconds) && std::fabs(*seconds) < 9e15)
    return static_cast<std::int64_t>(std::llround(*seconds * 1000));
  if (text == kFirstTime) return INT64_MIN;
  if (text == kLastTime) return INT64_MAX;
  const auto time = parse_time(text);
  if (!time) return Error{ErrorCode::bad_request, "cannot parse " + quote(text) + " to a valid timestamp"};
  return std::chrono::duration_cast<std::chrono::milliseconds>(time->time_since_epoch()).count();
}

Result<std::int64_t> parse_api_duration(std::string_view text) {
  constexpr double kSecondsMax = 9223372036.0;  // of 64 bits of nanoseconds
  if (const auto seconds = parse_float(text); seconds && !std::isnan(*seconds)) {
    if (std::fabs(*seconds) > kSecondsMax)
      return Error{ErrorCode::bad_request, "cannot parse " + quote(text) + " to a valid duration. It overflows int64"};
    return static_cast<std::int64_t>(*seconds * 1000);
  }
  if (const auto ms = parse_duration(text); ms.ok()) return *ms;
  return Error{ErrorCode::bad_request, "cannot parse " + quote(text) + " to a valid duration"};
}

std::string unescaped_label_name(std::string_view name) {
  constexpr std::string_view kMark = "U__";
  if (!name.starts_with(kMark)) return std::string(name);
  std::string out;
  std::string_view rest = name.substr(kMark.size());
  while (!rest.empty()) {
    const std::size_t at = rest.find('_');
    out += rest.substr(0, at);
    if (at == std::string_view::npos) break;
    rest.remove_prefix(at + 1);
    const std::size_t end = rest.find('_');
    if (end == 0) {
      out += '_';
    } else {
      constexpr std::size_t kDigitsMax = 6;
      std::uint32_t code = 0;
      const char* const last = rest.data() + end;
      if (end == std::string_view::npos || end > kDigitsMax ||
          std::from_chars(rest.data(), last, code, 16).ptr != last || code > 0x10FFFF ||
          (code >= 0xD800 && code <= 0xDFFF))
        return std::string(name);
      utf8::append(out, code);
    }
    rest.remove_prefix(end + 1);
  }
  return out;
}

Error bad_parameter(std::string_view name, const std::string& why) {
  return {ErrorCode::bad_request, "invalid parameter " + quote(name) + ": " + why};
}

Result<std::int64_t> parse_api_number(std::string_view text, std::string_view function) {
  std::int64_t number = 0;
  const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const std::string said = "strconv." + std::string(function) + ": parsing " + quote(text);
  if (digits.starts_with("-") && text.starts_with('+')) return Error{ErrorCode::bad_request, said + ": invalid syntax"};
  if (end != digits.data() + digits.size() || error == std::errc::invalid_argument)
    return Error{ErrorCode::bad_request, said + ": invalid syntax"};
  if (error != std::errc()) return Error{ErrorCode::bad_request, said + ": value out of range"};
  return number;
}

bool Parameters::allows(std::string_view name, std::string_view value) const {
  bool asked = false;
  for (const auto& [key, wanted] : all_) {
    if (key != name) continue;
    asked = true;
    if (wanted == value) return true;
  }
  return !asked;
}

Result<std::int64_t> Parameters::time(std::string_view name) const {
  auto t = parse_api_time(get(name));
  if (!t.ok()) return bad_parameter(name, t.error().message);
  return t;
}

Result<std::int64_t> Parameters::time(std::string_view name, std::int64_t otherwise) const {
  if (get(name).empty()) return otherwise;
  auto t = parse_api_time(get(name));
  if (!t.ok()) return bad_parameter(name, "invalid time value for '" + std::string(name) + "': " + t.error().message);
  return t;
}

Result<std::optional<std::int64_t>> Parameters::duration(std::string_view name) const {
  if (get(name).empty()) return std::optional<std::int64_t>();
  return std::optional(TRY(parse_api_duration(get(name))));
}

Result<std::size_t> Parameters::limit() const {
  if (get("limit").empty()) return SIZE_MAX;
  const auto number = parse_api_number(get("limit"));
  if (!number.ok()) return bad_parameter("limit", number.error().message);
  if (*number < 0) return bad_parameter("limit", "limit must be non-negative");
  return *number == 0 ? SIZE_MAX : static_cast<std::size_t>(*number);
}

Result<std::vector<std::vector<Matcher>>> Parameters::selectors() const {
  std::vector<std::vector<Matcher>> list;
  for (const auto& [name, value] : all_)
    if (name == "match[]") list.push_back(TRY(promql::parse_selector(value)));
  for (const std::vector<Matcher>& matchers : list)
    if (matches_nothing_only(matchers))
      return Error{ErrorCode::bad_request, "match[] must contain at least one non-empty matcher"};
  return list;
}

}  // namespace caisson::metrics
