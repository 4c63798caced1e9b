// SPDX-License-Identifier: Apache-2.0
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

}  // namespace

Result<std::int64_t> parse_go_duration(std::string_view text) {
  if (const auto ms = metrics::parse_duration(text); ms.ok()) return *ms * 1'000'000;
  const auto duration = parse_duration(text);
  if (!duration.ok()) return Error{ErrorCode::bad_request, "time: invalid duration " + metrics::quote(text)};
  return static_cast<std::int64_t>(duration->count());
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
