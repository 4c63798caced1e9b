// SPDX-License-Identifier: Apache-2.0
#include "core/expr/cel/zone.h"

#include <cstdlib>
#include <string>

#include "core/base/text.h"
#include "core/calendar/time_zone.h"

namespace caisson::cel {
namespace {

Error unknown_zone(std::string_view zone) {
  return {ErrorCode::bad_request, "unknown time zone " + std::string(zone)};
}

}  // namespace

Result<std::int64_t> zone_offset(std::string_view zone, std::int64_t unix_seconds) {
  const std::size_t colon = zone.find(':');
  if (colon == std::string_view::npos) {
    const auto known = calendar::TimeZone::load(zone);
    if (!known) return unknown_zone(zone);
    return std::int64_t{known->at(unix_seconds).seconds};
  }
  const auto hours = parse_int(zone.substr(0, colon)), minutes = parse_int(zone.substr(colon + 1));
  if (!hours || !minutes || std::abs(*hours) > 24 || *minutes < 0 || *minutes > 59) return unknown_zone(zone);
  const bool negative = zone.starts_with('-');
  return *hours * 3600 + (negative ? -*minutes : *minutes) * 60;
}

}  // namespace caisson::cel
