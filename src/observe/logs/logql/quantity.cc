// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/clock.h"
#include "core/base/text.h"
#include "observe/logs/logql/token.h"
#include "observe/metrics/model/format.h"

namespace caisson::logs::logql {
namespace {

struct ByteUnit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::uint64_t kKilo = 1000, kKibi = 1024;
constexpr std::array<ByteUnit, 23> kByteUnits{{{"", 1},
                                               {"b", 1},
                                               {"k", kKilo},
                                               {"kb", kKilo},
                                               {"ki", kKibi},
                                               {"kib", kKibi},
                                               {"m", kKilo* kKilo},
                                               {"mb", kKilo* kKilo},
                                               {"mi", kKibi* kKibi},
                                               {"mib", kKibi* kKibi},
                                               {"g", 1'000'000'000},
                                               {"gb", 1'000'000'000},
                                               {"gi", 1ull << 30},
                                               {"gib", 1ull << 30},
                                               {"t", 1'000'000'000'000},
                                               {"tb", 1'000'000'000'000},
                                               {"ti", 1ull << 40},
                                               {"tib", 1ull << 40},
                                               {"p", 1'000'000'000'000'000},
                                               {"pb", 1'000'000'000'000'000},
                                               {"pi", 1ull << 50},
                                               {"pib", 1ull << 50},
                                               {"e", 1'000'000'000'000'000'000}}};

constexpr std::array<std::string_view, 8> kDurationUnits{"ns", "us", "µs", "μs", "ms", "s", "m", "h"};

// Why Go's ParseDuration refuses a text.
std::string duration_fault(std::string_view text) {
  const std::string shown = metrics::quote(text);
  const auto is_number = [](char c) { return (c >= '0' && c <= '9') || c == '.'; };
  std::string_view rest = text;
  if (rest.starts_with('-') || rest.starts_with('+')) rest.remove_prefix(1);
  while (!rest.empty()) {
    const std::size_t number = std::find_if_not(rest.begin(), rest.end(), is_number) - rest.begin();
    const std::string_view digits = rest.substr(0, number);
    if (digits.empty() || digits.find_first_of("0123456789") == std::string_view::npos) break;
    rest.remove_prefix(number);
    const std::size_t end = std::find_if(rest.begin(), rest.end(), is_number) - rest.begin();
    const std::string_view unit = rest.substr(0, end);
    if (unit.empty()) return "missing unit in duration " + shown;
    if (std::find(kDurationUnits.begin(), kDurationUnits.end(), unit) == kDurationUnits.end())
      return "unknown unit " + metrics::quote(unit) + " in duration " + shown;
    rest.remove_prefix(end);
  }
  return "invalid duration " + shown;
}

}  // namespace

Result<std::int64_t> parse_go_duration(std::string_view text) {
  if (const auto duration = parse_duration(text); duration.ok()) return static_cast<std::int64_t>(duration->count());
  return Error{ErrorCode::bad_request, "time: " + duration_fault(text)};
}

Result<std::uint64_t> parse_byte_size(std::string_view text) {
  std::size_t end = 0;
  std::string digits;
  for (; end < text.size() && ((text[end] >= '0' && text[end] <= '9') || text[end] == '.' || text[end] == ','); ++end)
    if (text[end] != ',') digits += text[end];
  const auto value = metrics::parse_float(digits);
  if (!value)
    return Error{ErrorCode::bad_request, "strconv.ParseFloat: parsing " + metrics::quote(digits) + ": invalid syntax"};
  const std::string unit = to_lower(trim(text.substr(end)));
  for (const ByteUnit& one : kByteUnits) {
    if (one.name != unit) continue;
    const double size = *value * static_cast<double>(one.factor);
    if (size >= 18446744073709551615.0) return Error{ErrorCode::bad_request, "too large: " + std::string(text)};
    return static_cast<std::uint64_t>(size);
  }
  return Error{ErrorCode::bad_request, "unhandled size name: " + unit};
}

}  // namespace caisson::logs::logql
