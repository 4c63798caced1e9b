// SPDX-License-Identifier: Apache-2.0
#include "observe/logs/api/parameters.h"

#include <algorithm>
#include <cmath>

#include "core/base/text.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

Error bad(std::string message) {
  return {ErrorCode::bad_request, std::move(message)};
}

}  // namespace

Result<std::int64_t> parse_log_time(std::string_view text) {
  if (text.find('.') != std::string_view::npos && text.find(':') == std::string_view::npos) {
    const auto seconds = metrics::parse_float(text);
    if (seconds && std::isfinite(*seconds) && std::fabs(*seconds) < 9e9)
      return static_cast<std::int64_t>(std::llround(*seconds * 1e3)) * 1'000'000;
  }
  if (const auto number = parse_int(text)) return text.size() <= 10 ? *number * kSecond : *number;
  if (const auto time = parse_time(text)) return static_cast<std::int64_t>(time->time_since_epoch().count());
  return bad("could not parse " + metrics::quote(text) + " as a time");
}

std::vector<std::string> Parameters::all(std::string_view name) const {
  std::vector<std::string> out;
  for (const auto& [key, value] : query_)
    if (key == name) out.push_back(value);
  return out;
}

Result<std::int64_t> Parameters::time(std::string_view name, std::int64_t otherwise) const {
  return text(name).empty() ? otherwise : TRY(parse_log_time(text(name)));
}

Result<std::int64_t> Parameters::duration(std::string_view name, std::int64_t otherwise) const {
  const std::string_view given = text(name);
  if (given.empty()) return otherwise;
  if (const auto seconds = metrics::parse_float(given); seconds && std::isfinite(*seconds) && std::fabs(*seconds) < 9e9)
    return static_cast<std::int64_t>(*seconds * 1e9);
  const auto ms = metrics::parse_duration(given);
  if (!ms.ok()) return bad("cannot parse " + metrics::quote(given) + " to a valid duration");
  return *ms * 1'000'000;
}

Result<Parameters::Span> Parameters::span(std::int64_t otherwise) const {
  Span out;
  out.end = TRY(time("end", now_));
  const std::int64_t since = TRY(duration("since", otherwise));
  out.start = TRY(time("start", std::min(out.end, now_) - since));
  if (out.end < out.start) return bad("end timestamp must not be before or equal to start time");
  return out;
}

Result<std::int64_t> Parameters::step(const Span& span) const {
  const std::int64_t seconds = (span.end - span.start) / 250 / kSecond;
  const std::int64_t step = TRY(duration("step", std::max<std::int64_t>(1, seconds) * kSecond));
  if (step <= 0) return bad("zero or negative query resolution step widths are not accepted. Try a positive integer");
  return step;
}

Result<std::size_t> Parameters::limit(std::size_t otherwise, std::size_t largest) const {
  const std::string_view given = text("limit");
  if (given.empty()) return otherwise;
  const auto number = parse_int(given);
  if (!number) return bad("strconv.Atoi: parsing " + metrics::quote(given) + ": invalid syntax");
  if (*number <= 0) return bad("limit must be a positive value");
  if (static_cast<std::size_t>(*number) > largest)
    return bad("max entries limit per query exceeded, limit > max_entries_limit_per_query (" + std::to_string(*number) +
               " > " + std::to_string(largest) + ")");
  return static_cast<std::size_t>(*number);
}

Result<Direction> Parameters::direction() const {
  const std::string given = to_lower(text("direction"));
  if (given.empty() || given == "backward") return Direction::backward;
  if (given == "forward") return Direction::forward;
  return bad("invalid direction '" + std::string(text("direction")) + "'");
}

}  // namespace caisson::logs
