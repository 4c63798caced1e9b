// SPDX-License-Identifier: Apache-2.0
// Cells of metrics.k8s.io. The quantities are this server's own: whole numbers with the suffixes n, u, m, Ki, Mi, Gi.
#include "cluster/schema/cells.h"
#include "core/base/text.h"

namespace caisson::schema {
namespace {

struct Suffix {
  std::string_view text;
  std::int64_t factor;  // in nanos of decimal quantities, in units of binary ones
};
constexpr Suffix kDecimal[] = {{"n", 1}, {"u", 1'000}, {"m", 1'000'000}, {"", 1'000'000'000}};
constexpr Suffix kBinary[] = {{"", 1}, {"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}};

std::int64_t parse(std::string_view text, std::span<const Suffix> suffixes) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  for (const Suffix& suffix : suffixes)
    if (suffix.text == text.substr(end)) return parse_int(text.substr(0, end)).value_or(0) * suffix.factor;
  return 0;
}

std::string print(std::int64_t number, std::span<const Suffix> suffixes) {
  if (number == 0) return "0";
  const Suffix* fits = &suffixes.front();
  for (const Suffix& suffix : suffixes)
    if (number % suffix.factor == 0) fits = &suffix;
  return std::to_string(number / fits->factor) + std::string(fits->text);
}

}  // namespace

Value usage_cell(const Value& metrics, std::string_view resource) {
  if (!metrics["containers"].is_list()) return metrics["usage"][resource].scalar_text();
  const std::span<const Suffix> suffixes = resource == "cpu" ? std::span<const Suffix>(kDecimal) : kBinary;
  std::int64_t sum = 0;
  for (const Value& container : metrics["containers"].items())
    sum += parse(container["usage"][resource].as_string(), suffixes);
  return print(sum, suffixes);
}

}  // namespace caisson::schema
