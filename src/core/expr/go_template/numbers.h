// SPDX-License-Identifier: Apache-2.0
// Numbers as text, as Go's strconv reads and writes them. Pure functions; any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace caisson::go_template {

enum class NumberError : std::uint8_t { none, syntax, range };

template <class T>
struct Parsed {
  T value{};  // on `range`: the nearest that fits
  NumberError error = NumberError::none;
  bool ok() const { return error == NumberError::none; }
};

// Base 0: told by a prefix (0x, 0o, 0b, 0), underscores allowed.
Parsed<std::int64_t> parse_int(std::string_view text, int base = 10, int bits = 64);
Parsed<std::uint64_t> parse_uint(std::string_view text, int base = 10, int bits = 64);
Parsed<double> parse_float(std::string_view text);
// "strconv.ParseInt: parsing \"x\": invalid syntax"
std::string number_error(std::string_view function, std::string_view text, NumberError error);

// strconv.FormatFloat: format one of e E f g G b x X; precision -1 is the shortest that reads back the same.
std::string format_float(double value, char format, int precision = -1, int bits = 64);
std::string format_float(double value);  // as %v: 'g', shortest

}  // namespace caisson::go_template
