// SPDX-License-Identifier: Apache-2.0
// A quantity is held as a whole number of billionths, apimachinery's smallest unit, in 128 bits: exact for everything
// it accepts.
#include "cluster/kube/quantity.h"

#include <limits>
#include <optional>

namespace caisson::kube {
namespace {

__extension__ typedef __int128 Nano;

constexpr Nano kOne = 1'000'000'000;
constexpr Nano kNanoMax = static_cast<Nano>(std::numeric_limits<std::int64_t>::max()) * kOne;

enum class Format { decimal, exponent, binary };
struct Quantity {
  Nano nano = 0;
  Format format = Format::decimal;
};

struct Suffix {
  int power;  // of ten, or of 1024 when binary
  Format format;
};

std::optional<Suffix> parse_suffix(std::string_view text) {
  struct Named {
    std::string_view name;
    Suffix suffix;
  };
  static constexpr Named kNamed[] = {
      {"", {0, Format::decimal}},   {"n", {-9, Format::decimal}}, {"u", {-6, Format::decimal}},
      {"m", {-3, Format::decimal}}, {"k", {3, Format::decimal}},  {"M", {6, Format::decimal}},
      {"G", {9, Format::decimal}},  {"T", {12, Format::decimal}}, {"P", {15, Format::decimal}},
      {"E", {18, Format::decimal}}, {"Ki", {1, Format::binary}},  {"Mi", {2, Format::binary}},
      {"Gi", {3, Format::binary}},  {"Ti", {4, Format::binary}},  {"Pi", {5, Format::binary}},
      {"Ei", {6, Format::binary}}};
  for (const Named& named : kNamed) {
    if (named.name == text) return named.suffix;
  }
  if (text.size() < 2 || (text[0] != 'e' && text[0] != 'E')) return std::nullopt;
  text.remove_prefix(1);
  const bool negative = text[0] == '-';
  if (text[0] == '-' || text[0] == '+') text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  int power = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    power = power > 1000 ? power : power * 10 + (c - '0');
  }
  return Suffix{negative ? -power : power, Format::exponent};
}

// Digits with at most one point, as a whole number and how many digits stood behind the point.
struct Digits {
  Nano number = 0;
  int places = 0;
  bool inexact = false;  // digits beyond what counts were dropped
};

std::optional<Digits> parse_digits(std::string_view text) {
  Digits out;
  bool any = false, point = false;
  for (const char c : text) {
    if (c == '.') {
      if (point) return std::nullopt;
      point = true;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    any = true;
    if (out.places >= 27) {
      out.inexact |= c != '0';
      continue;
    }
    if (out.number > kNanoMax) {
      if (!point) --out.places;  // too large for us anyway: keep the magnitude
      continue;
    }
    out.number = out.number * 10 + (c - '0');
    if (point) ++out.places;
  }
  if (!any) return std::nullopt;
  return out;
}

Nano times(Nano number, Nano factor) {
  return number > kNanoMax / factor ? kNanoMax : number * factor;
}

// Away from zero, as apimachinery: who asks for something gets something.
Nano divide_up(Nano number, Nano divisor) {
  return (number + divisor - 1) / divisor;
}

Result<Quantity> parse(std::string_view text) {
  const Error wrong{ErrorCode::bad_request,
                    "quantities must match the regular expression "
                    "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"};
  if (text.empty()) return wrong;
  const bool negative = text[0] == '-';
  if (text[0] == '-' || text[0] == '+') text.remove_prefix(1);
  const auto end = text.find_first_not_of("0123456789.");
  const auto digits = parse_digits(text.substr(0, end));
  if (!digits) return wrong;
  const auto suffix = parse_suffix(end == std::string_view::npos ? std::string_view() : text.substr(end));
  if (!suffix) {
    const auto beyond = text.find_first_not_of("eEinumkKMGTP+-0123456789", end);
    if (beyond != std::string_view::npos) return wrong;
    return Error{ErrorCode::bad_request, "unable to parse quantity's suffix"};
  }
  Nano nano = digits->number;
  int tens = 9 - digits->places + (suffix->format == Format::binary ? 0 : suffix->power);
  if (suffix->format == Format::binary) {
    for (int i = 0; i < suffix->power; ++i) nano = times(nano, 1024);
  }
  for (; tens > 0 && nano > 0 && nano < kNanoMax; --tens) nano = times(nano, 10);
  for (; tens < 0 && nano > 1; ++tens) nano = divide_up(nano, 10);
  if (digits->inexact && nano < kNanoMax) ++nano;
  if (nano > kNanoMax) nano = kNanoMax;
  return Quantity{negative ? -nano : nano, suffix->format};
}

std::string text_of(Nano number) {
  if (number == 0) return "0";
  const bool negative = number < 0;
  if (negative) number = -number;
  std::string out;
  for (; number > 0; number /= 10) out.insert(out.begin(), static_cast<char>('0' + static_cast<int>(number % 10)));
  return negative ? "-" + out : out;
}

std::string canonical(Quantity quantity) {
  static constexpr std::string_view kDecimal[] = {"n", "u", "m", "", "k", "M", "G", "T", "P", "E"};
  static constexpr std::string_view kBinary[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  Nano number = quantity.nano;
  if (number == 0) return "0";
  const Nano magnitude = number < 0 ? -number : number;
  if (quantity.format == Format::binary && magnitude >= 1024 * kOne && number % kOne == 0) {
    number /= kOne;
    std::size_t power = 0;
    for (; number % 1024 == 0 && power < 6; ++power) number /= 1024;
    return text_of(number) + std::string(kBinary[power]);
  }
  std::size_t power = 0;
  for (; number % 1000 == 0 && power < 9; ++power) number /= 1000;
  if (quantity.format != Format::exponent) return text_of(number) + std::string(kDecimal[power]);
  return power == 3 ? text_of(number) : text_of(number) + "e" + std::to_string(static_cast<int>(power) * 3 - 9);
}

std::int64_t scaled_up(Nano nano, Nano unit) {
  const Nano whole = nano < 0 ? -divide_up(-nano, unit) : divide_up(nano, unit);
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  if (whole > kMax) return kMax;
  return whole < -static_cast<Nano>(kMax) ? -kMax : static_cast<std::int64_t>(whole);
}

}  // namespace

Result<std::int64_t> parse_quantity_milli(std::string_view text) {
  const Quantity quantity = TRY(parse(text));
  return scaled_up(quantity.nano, 1'000'000);
}

Result<std::int64_t> parse_quantity(std::string_view text) {
  const Quantity quantity = TRY(parse(text));
  return scaled_up(quantity.nano, kOne);
}

std::string format_quantity_milli(std::int64_t milli) {
  return canonical({static_cast<Nano>(milli) * 1'000'000, Format::decimal});
}

std::string format_quantity_bytes(std::int64_t bytes) {
  const bool binary = bytes != 0 && bytes % 1024 == 0;
  if (!binary) return std::to_string(bytes);
  return canonical({static_cast<Nano>(bytes) * kOne, Format::binary});
}

Result<std::string> canonical_quantity(std::string_view text) {
  const Quantity quantity = TRY(parse(text));
  return canonical(quantity);
}

}  // namespace caisson::kube
